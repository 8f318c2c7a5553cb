'use strict';

/**
 * `npm run check:offline`: makes the offline archive and uses it as its reader would: unpacked in an empty folder, with no
 * Node and no npm on the PATH, no network where the system can take it away, and a libtorch that is there. The last line
 * is a plain count.
 */

const { mkdir, mkdtemp, readFile, readdir, rm, stat, symlink } = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');
const { runCommand } = require('../../lib/runtime/fetch');
const { runScript, step } = require('../report');
const { setup } = require('../setup');
const { pack } = require('./pack');

const hidden = /^(node|nodejs|npm|npx|corepack|yarn|pnpm)$/;

/**
 * A folder of links to every program on the PATH but Node's.
 *
 * @param {string} folder
 */
async function makePath(folder) {
  await mkdir(folder);
  for (const place of (process.env['PATH'] ?? '').split(path.delimiter)) {
    for (const name of await readdir(place).catch(() => /** @type {string[]} */ ([])))
      // The first of a name counts, so a second may fail.
      if (!hidden.test(name)) await symlink(path.join(place, name), path.join(folder, name)).catch(() => undefined);
  }
}

async function check() {
  const libtorch = await setup();
  const archive = await pack();
  const home = await mkdtemp(path.join(os.tmpdir(), 'densenet-offline-check-'));
  try {
    const bin = path.join(home, 'bin');
    await makePath(bin);
    const env = { HOME: home, PATH: bin, LIBTORCH: libtorch.path };
    await step('unpacking', () => runCommand('tar', ['-C', home, '-xJf', archive], env));
    const name = (await readdir(home)).find((entry) => entry.startsWith('libtorch-densenet')) ?? '';
    const folder = path.join(home, name);
    const isolate = (await runCommand('unshare', ['-rn', 'true'], env)).code === 0 ? ['unshare', '-rn'] : [];
    const [command = '', ...args] = [...isolate, path.join(folder, 'report.sh')];
    const { code, output } = await step('./report.sh: builds, tests and measures; some minutes', () =>
      runCommand(command, args, env, folder),
    );
    const report = await readFile(path.join(folder, 'report.md'), 'utf8').catch(() => '');
    const doctor = await runCommand(path.join(folder, 'densenet'), ['doctor'], env, home);
    /** @type {[string, boolean][]} */
    const checks = [
      ['the archive has at most 45 MB', (await stat(archive)).size <= 45e6],
      [
        'there is no Node and no npm on its PATH',
        (await runCommand('sh', ['-c', 'command -v node npm'], env)).code !== 0,
      ],
      [`it builds and its tests pass${isolate.length > 0 ? ', without a network' : ''}`, code === 0],
      ['its report has the kernels’ test', /"check": "kernel norm_relu.*"held": true/.test(report)],
      ['its report has GPU tests, or says why not', /"check":"logits|skipped: no device: ./.test(report)],
      ['its doctor finds no fault', doctor.code === 0],
    ];
    for (const [title, held] of checks) console.log(`${held ? '✔' : '✘'} ${title}`);
    if (code !== 0) console.log(output.slice(-3000));
    const failed = checks.filter(([, held]) => !held).length;
    console.log(`\n${checks.length - failed} passed, ${failed} failed`);
    process.exitCode = failed === 0 ? 0 : 1;
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

runScript(check);
