'use strict';

/**
 * Builds of the native part that watch themselves: with sanitizers (sanitize.js), or counting what runs (cover/native.js).
 * Each has a folder of its own in build/, in which what did not change is not built again.
 */

const { existsSync } = require('node:fs');
const { mkdir } = require('node:fs/promises');
const path = require('node:path');
const { compile } = require('./build');
const { step } = require('./report');
const { root, setup } = require('./setup');

/** @typedef {{ passed: number, failed: number }} Count */

/** The tests of test/native that print a line of JSON a check. */
const programs = ['engine_test', 'concurrency_test', 'allocation_test', 'cuda_test'];

/**
 * @typedef {object} Instrumented
 * @property {string} folder CMake's; with LIBTORCH_DENSENET_PREBUILD set to it the package takes its addon from there.
 * @property {(name: string) => string} program The path of a program.
 */

/**
 * @param {string} name Of the folder.
 * @param {Record<string, string>} settings CMake's.
 * @param {string[]} targets Without any, the addon.
 * @returns {Promise<Instrumented>}
 */
async function buildInstrumented(name, settings, targets) {
  const libtorch = await setup();
  const folder = path.join(root, 'build', name);
  // Enough that the kernels end in time, and not so much that a report names the wrong function.
  const all = { CMAKE_CXX_FLAGS_RELWITHDEBINFO: '-O1 -g1 -DNDEBUG', ...settings };
  const plan = {
    folder: path.relative(root, folder),
    release: path.join(folder, 'build', 'Release'),
    settings: ['-B', 'RelWithDebInfo', ...Object.entries(all).map(([key, value]) => `--CD${key}=${value}`)],
    targets,
  };
  await mkdir(folder, { recursive: true });
  await step(`building ${targets.join(', ') || 'the addon'} in build/${name}`, (update) =>
    compile(libtorch, root, plan, update),
  );
  const program = (/** @type {string} */ target) => {
    const found = [target, path.join('RelWithDebInfo', target)].map((one) => path.join(folder, one)).find(existsSync);
    if (found === undefined) throw new Error(`cmake built no ${target}`);
    return found;
  };
  return { folder, program };
}

/**
 * The checks that a program of test/native printed.
 *
 * @param {string} output
 * @returns {{ check: string, held: boolean, value: number }[]}
 */
function readChecks(output) {
  return output
    .split('\n')
    .filter((line) => line.startsWith('{"check"'))
    .map((line) => JSON.parse(line));
}

/**
 * Counts the checks of a program of test/native; one that ended otherwise than its checks say failed.
 *
 * @param {string} output
 * @param {number | null} code
 * @returns {Count}
 */
function countChecks(output, code) {
  const checks = readChecks(output);
  const broken = checks.filter(({ held }) => !held);
  for (const { check, value } of broken) console.log(`  did not hold: ${check} (${value})`);
  const crashed = (code === 0) !== (broken.length === 0) || checks.length === 0;
  return { passed: checks.length - broken.length, failed: broken.length + (crashed ? 1 : 0) };
}

module.exports = { buildInstrumented, countChecks, programs };
