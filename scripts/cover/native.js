'use strict';

/**
 * `npm run coverage -- native [--html FOLDER]`: builds the core and the addon so that they count what runs, runs the tests of
 * test/native and those tests in Node that use the addon most (not the programs that they start), and tells what share of lines and
 * branches of native/ they went through, file by file. Branches that only an exception would take are not counted.
 */

const { existsSync } = require('node:fs');
const { mkdir, readdir, rm } = require('node:fs/promises');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { cacheFolder } = require('../../lib/runtime/locate');
const { runCommand } = require('../../lib/runtime/fetch');
const { makeVenv, must, pythonOf } = require('../commands');
const { buildInstrumented, countChecks, programs } = require('../instrumented');
const { step } = require('../report');
const { root } = require('../setup');

/** From PyPI, kept in the user's cache. */
const gcovr = 'gcovr==8.3';

const addonTests = [
  'unit',
  'parity',
  'training',
  'lifecycle',
  'streaming',
  'weights',
  'transfer',
  'augmentation',
  'metrics',
  'hostile',
];

/** The Python that has gcovr. @returns {Promise<string>} */
async function makePython() {
  const folder = path.join(cacheFolder(), 'tools', gcovr.replace('==', '-'));
  if (existsSync(path.join(folder, 'bin', 'gcovr'))) return pythonOf(folder);
  return step(gcovr, () => makeVenv(folder, [gcovr]));
}

/** Forgets what earlier runs counted. @param {string} folder */
async function forget(folder) {
  for (const name of await readdir(folder, { recursive: true }))
    if (name.endsWith('.gcda')) await rm(path.join(folder, name));
}

/** @param {string[]} args */
async function coverage(args) {
  const { values } = parseArgs({ args, options: { html: { type: 'string' } } });
  const python = await makePython();
  const { folder, program } = await buildInstrumented('coverage', { COVERAGE: 'ON' }, ['all', 'native_tests']);
  await forget(folder);
  let [passed, failed] = [0, 0];
  for (const name of programs)
    await step(name, async () => {
      const { output, code } = await runCommand(program(name), [], process.env, root);
      const count = countChecks(output, code);
      passed += count.passed;
      failed += count.failed;
    });
  await step('the tests in Node', async () => {
    const places = addonTests.map((name) => path.join('test', name));
    const jest = [path.join(root, 'node_modules', 'jest', 'bin', 'jest.js'), '--runInBand', '--testTimeout=300000'];
    const alone = `--require ${JSON.stringify(require.resolve('./alone'))}`;
    const uncounted = path.join(root, 'build', 'uncounted');
    const env = {
      ...process.env,
      LIBTORCH_DENSENET_PREBUILD: folder,
      NODE_OPTIONS: alone,
      DENSENET_UNCOUNTED: uncounted,
    };
    const { output } = await runCommand(process.execPath, [...jest, ...places], env, root);
    await rm(uncounted, { recursive: true, force: true });
    const counts = /^Tests:\s+(?:(\d+) failed, )?(?:\d+ skipped, )?(?:(\d+) passed)?/m.exec(output);
    passed += Number(counts?.[2] ?? 0);
    failed += counts === null ? 1 : Number(counts[1] ?? 0);
    if (failed > 0) console.log(output.slice(-6000));
  });
  const output = ['--txt', '-', '--txt-metric', 'branch'];
  if (values.html !== undefined) {
    await mkdir(values.html, { recursive: true });
    output.push('--html-details', path.resolve(values.html, 'index.html'));
  }
  const chosen = ['--root', root, '--filter', 'native/', '--exclude-throw-branches', '--exclude-unreachable-branches'];
  const lines = await step('reading what was counted', () =>
    must(
      python,
      [
        '-m',
        'gcovr',
        ...chosen,
        '--gcov-ignore-parse-errors=all',
        '--json-summary',
        path.join(folder, 'summary.json'),
        ...output,
        folder,
      ],
      { cwd: root },
    ),
  );
  console.log(lines);
  const summary = require(path.join(folder, 'summary.json'));
  const share = (/** @type {string} */ kind) =>
    `${summary[`${kind}_percent`]} % (${summary[`${kind}_covered`]} of ${summary[`${kind}_total`]})`;
  console.log(`C++: lines ${share('line')}, branches ${share('branch')}`);
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

module.exports = { coverage };
