'use strict';

/** `npm test`: sets up what is missing, runs the tests, and ends with a plain count. Arguments go to jest. */

const { mkdtemp, readFile, rm } = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');
const { runScript } = require('./report');
const { root, runInherited, setup } = require('./setup');

/**
 * @typedef {object} Count
 * @property {number} numPassedTests
 * @property {number} numFailedTests
 * @property {number} numPendingTests
 * @property {number} numRuntimeErrorTestSuites Files that failed before their tests could run.
 */

async function test() {
  await setup();
  const folder = await mkdtemp(path.join(os.tmpdir(), 'densenet-test-'));
  try {
    const results = path.join(folder, 'results.json');
    const jest = path.join(root, 'node_modules', 'jest', 'bin', 'jest.js');
    // With --json jest prints the results to stdout too, its report goes to stderr.
    const code = await runInherited([jest, '--json', `--outputFile=${results}`, ...process.argv.slice(2)], 'ignore');
    const count = /** @type {Count} */ (JSON.parse(await readFile(results, 'utf8')));
    const failed = count.numFailedTests + count.numRuntimeErrorTestSuites;
    const skipped = count.numPendingTests > 0 ? `, ${count.numPendingTests} skipped` : '';
    console.log(`\n${count.numPassedTests} passed, ${failed} failed${skipped}`);
    process.exitCode = code === 0 && failed === 0 && count.numPassedTests > 0 ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

runScript(test);
