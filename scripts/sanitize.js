'use strict';

/**
 * `npm run check:sanitizers [-- asan | addon | tsan]`: builds the native part with sanitizers, each in a folder of its own, and
 * runs on it
 *
 * - asan: the tests of the core without Node, under AddressSanitizer, UndefinedBehaviorSanitizer and LeakSanitizer;
 * - addon: the tests that use the addon most, in Node, under the same but for leaks, which V8 is full of;
 * - tsan: the core with several threads, without Node, under ThreadSanitizer.
 *
 * Without a name, all three. What a sanitizer reports is printed, and each report counts as a failure. libtorch itself is not
 * instrumented; what is suppressed of it is named in test/native/*.supp, one by one.
 */

const { mkdir, readFile, readdir, rm } = require('node:fs/promises');
const path = require('node:path');
const { runCommand } = require('../lib/runtime/fetch');
const { buildInstrumented, countChecks, programs } = require('./instrumented');
const { runScript, step } = require('./report');
const { root } = require('./setup');

/** The tests of the addon: everything that goes through native code, but for what measures time or memory. */
const addonTests = [
  'lifecycle',
  'streaming',
  'weights',
  'hostile',
  'transfer',
  'augmentation',
  'metrics',
  'unit',
  'training',
];
/** What takes long and says little here, and what measures memory: a sanitizer takes much of its own. */
const leftOut = ['kill.test', 'disk-full.test', 'arguments.test', 'memory.test'];

const native = path.join('test', 'native');

/** @typedef {import('./instrumented').Count} Count */

/**
 * Runs a command under sanitizers and counts its checks, and what the sanitizers reported in it or in any process that it
 * started.
 *
 * @param {string} title
 * @param {string} folder Where reports go.
 * @param {string[]} command
 * @param {NodeJS.ProcessEnv} env
 * @param {(output: string, code: number | null) => Count | Promise<Count>} count
 * @returns {Promise<Count>}
 */
async function watch(title, folder, command, env, count) {
  const reports = path.join(folder, 'reports');
  await rm(reports, { recursive: true, force: true });
  await mkdir(reports, { recursive: true });
  const common = `log_path=${path.join(reports, 'report')}`;
  const symbols = `print_stacktrace=1:${common}`;
  const [program = '', ...args] = command;
  const found = await step(
    title,
    async () => {
      const { code, output } = await runCommand(
        program,
        args,
        {
          ...process.env,
          // The large caches of libtorch's own are reachable to the end; they are no leaks.
          LSAN_OPTIONS: `suppressions=${path.join(root, native, 'lsan.supp')}:print_suppressions=0`,
          UBSAN_OPTIONS: symbols,
          TSAN_OPTIONS: `suppressions=${path.join(root, native, 'tsan.supp')}:second_deadlock_stack=1:history_size=7:${common}`,
          ...env,
          ASAN_OPTIONS: `${env['ASAN_OPTIONS'] ?? ''}:strict_string_checks=1:check_initialization_order=1:${common}`,
        },
        root,
      );
      const { passed, failed } = await count(output, code);
      const texts = await Promise.all(
        (await readdir(reports)).map((name) => readFile(path.join(reports, name), 'utf8')),
      );
      const told = [
        ...texts.filter((text) => !onlyWarns(text)),
        ...output.split('\n').filter((line) => line.includes('runtime error:')),
      ];
      if (failed > 0 || told.length > 0) console.log(`\n${output.slice(-6000)}`);
      for (const text of told) console.log(`\n${text.slice(0, 8000)}`);
      return { passed, failed: failed + told.length, reports: told.length };
    },
    ({ passed, failed, reports: told }) => `${passed} passed, ${failed} failed, ${told} reports`,
  );
  return found;
}

/**
 * Whether a report says no more than that fibers, which cuda_test runs kernels on, may be misjudged.
 *
 * @param {string} text
 */
function onlyWarns(text) {
  return /^==\d+==WARNING: ASan doesn't fully support makecontext\/swapcontext functions.*\n?$/.test(text);
}

/** @returns {Promise<Count[]>} */
async function asan() {
  const { folder, program } = await buildInstrumented('asan', { SANITIZE: 'address,undefined' }, ['native_tests']);
  const counts = [];
  for (const name of programs) {
    // A fiber's stack is no stack of a thread, and a function's locals must stay on it.
    const stacks = name === 'cuda_test' ? 0 : 1;
    const env = { ASAN_OPTIONS: `detect_leaks=1:detect_stack_use_after_return=${stacks}` };
    counts.push(await watch(`${name} under asan and ubsan`, folder, [program(name)], env, countChecks));
  }
  return counts;
}

/** Where the compiler keeps one of its libraries. @param {string} name */
async function libraryOf(name) {
  const { output } = await runCommand(process.env['CXX'] ?? 'c++', [`-print-file-name=${name}`], process.env);
  return output.trim();
}

/** @returns {Promise<Count[]>} */
async function addon() {
  const { folder } = await buildInstrumented('asan', { SANITIZE: 'address,undefined' }, []);
  const jest = path.join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  const places = addonTests.map((name) => path.join('test', name));
  const results = path.join(folder, 'results.json');
  await rm(results, { force: true });
  const args = [
    '--runInBand',
    '--json',
    `--outputFile=${results}`,
    '--testTimeout=300000',
    '--testPathIgnorePatterns',
    ...leftOut,
    '--',
    ...places,
  ];
  const env = {
    LIBTORCH_DENSENET_PREBUILD: folder,
    // Node is not instrumented, so the sanitizer has to be there before it; the C++ library too, whose `throw` it watches.
    LD_PRELOAD: `${await libraryOf('libasan.so')} ${await libraryOf('libstdc++.so.6')}`,
    ASAN_OPTIONS: 'detect_leaks=0',
  };
  const count = async () => {
    const text = await readFile(results, 'utf8').catch(() => undefined);
    if (text === undefined) return { passed: 0, failed: 1 }; // it was killed
    const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites } = JSON.parse(text);
    return { passed: numPassedTests, failed: numFailedTests + numRuntimeErrorTestSuites };
  };
  return [await watch('the addon in Node under asan and ubsan', folder, [process.execPath, jest, ...args], env, count)];
}

/** @returns {Promise<Count[]>} */
async function tsan() {
  const { folder, program } = await buildInstrumented('tsan', { SANITIZE: 'thread' }, [
    'concurrency_test',
    'engine_test',
  ]);
  // Where memory is laid out at random over too wide a range, the sanitizer does not find its own.
  const fixed = (await runCommand('setarch', ['-R', 'true'], process.env)).code === 0 ? ['setarch', '-R'] : [];
  const counts = [];
  for (const name of ['concurrency_test', 'engine_test'])
    counts.push(
      await watch(`${name} under tsan`, folder, [...fixed, program(name)], { OMP_NUM_THREADS: '1' }, countChecks),
    );
  return counts;
}

/** @type {Record<string, () => Promise<Count[]>>} */
const parts = { asan, addon, tsan };

async function sanitize() {
  const names = process.argv.slice(2);
  const unknown = names.find((name) => parts[name] === undefined);
  if (unknown !== undefined)
    throw new Error(`There is no ${unknown}: give ${Object.keys(parts).join(', ')}, or none for all.`);
  const counts = [];
  for (const [name, part] of Object.entries(parts))
    if (names.length === 0 || names.includes(name)) counts.push(...(await part()));
  const [passed, failed] = [
    counts.reduce((sum, one) => sum + one.passed, 0),
    counts.reduce((sum, one) => sum + one.failed, 0),
  ];
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

runScript(sanitize);
