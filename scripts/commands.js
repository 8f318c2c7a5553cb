'use strict';

/** Commands that the scripts need the outcome of. */

const path = require('node:path');
const { runCommand } = require('../lib/runtime/fetch');

/**
 * Runs a command that has to succeed; otherwise what it said is the error.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, cwd?: string }} [options]
 * @returns {Promise<string>} What it said.
 */
async function must(command, args, { env = process.env, cwd } = {}) {
  const { code, output } = await runCommand(command, args, env, cwd);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${output.slice(-3000)}`);
  return output;
}

/**
 * The Python of a virtual environment, which may not be there yet.
 *
 * @param {string} folder
 */
function pythonOf(folder) {
  return path.join(folder, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
}

/**
 * Makes a virtual environment with packages in it; the pip of the machine decides where they come from.
 *
 * @param {string} folder
 * @param {string[]} packages
 * @returns {Promise<string>} Its Python.
 */
async function makeVenv(folder, packages) {
  await must('python3', ['-m', 'venv', folder]);
  await must(pythonOf(folder), ['-m', 'pip', 'install', '--quiet', ...packages]);
  return pythonOf(folder);
}

module.exports = { makeVenv, must, pythonOf };
