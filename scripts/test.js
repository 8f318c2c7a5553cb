'use strict';

/**
 * `npm test`: sets up what is missing, runs the tests, and ends with a plain count. Arguments go to jest, but for `--coverage`,
 * which comes first, and tells what share of the TypeScript the tests went through (cover/coverage.js).
 */

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

/**
 * Runs jest, and counts.
 *
 * @param {string[]} args
 */
async function runTests(args) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'densenet-test-'));
  try {
    const results = path.join(folder, 'results.json');
    const jest = path.join(root, 'node_modules', 'jest', 'bin', 'jest.js');
    // With --json jest prints the results to stdout too, its report goes to stderr.
    const code = await runInherited([jest, '--json', `--outputFile=${results}`, ...args], 'ignore');
    const count = /** @type {Count} */ (JSON.parse(await readFile(results, 'utf8')));
    const failed = count.numFailedTests + count.numRuntimeErrorTestSuites;
    const skipped = count.numPendingTests > 0 ? `, ${count.numPendingTests} skipped` : '';
    // Jest may fail for another reason than a test.
    return { passed: count.numPassedTests, failed: failed > 0 || code === 0 ? failed : 1, skipped };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function test() {
  const args = process.argv.slice(2);
  await setup();
  // It needs packages that the set-up installs.
  if (args[0] === '--coverage') return require('./cover/coverage').coverage(args.slice(1));
  const { passed, failed, skipped } = await runTests(args);
  console.log(`\n${passed} passed, ${failed} failed${skipped}`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

module.exports = { runTests };

if (require.main === module) runScript(test);
