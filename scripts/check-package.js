'use strict';

/**
 * `npm run check:package`: packs the package and looks at the tarball as its users get it: publint for entries and files,
 * attw for the types under every way of resolving them, and its size. `-- FILE.tgz` takes a tarball that is there. The last
 * line is a plain count.
 */

const { mkdtemp, readFile, readdir, rm, stat } = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');
const { runCommand } = require('../lib/runtime/fetch');
const { runScript, step } = require('./report');
const { root, runNpm } = require('./setup');

const mostBytes = 15e6;

/**
 * @param {string} folder Where the tarball goes.
 * @returns {Promise<string>}
 */
async function pack(folder) {
  const { code, output } = await runNpm(['pack', '--pack-destination', folder], root);
  if (code !== 0) throw new Error(`npm pack failed:\n${output}`);
  return path.join(folder, (await readdir(folder)).find((name) => name.endsWith('.tgz')) ?? '');
}

/** @param {string} tarball */
async function lintPackage(tarball) {
  const { publint } = await import('publint');
  const { formatMessage } = await import('publint/utils');
  const bytes = await readFile(tarball);
  const data = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const { messages, pkg = {} } = await publint({ pack: { tarball: /** @type {ArrayBuffer} */ (data) }, strict: true });
  const faults = messages.map((message) => `${message.type}: ${formatMessage(message, pkg)}`);
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

/** @param {string} tarball */
async function lintTypes(tarball) {
  // The oldest way of resolving, node10, knows no subpaths; no Node that this package runs on does it so.
  const attw = path.join(path.dirname(require.resolve('@arethetypeswrong/cli/package.json')), 'dist', 'index.js');
  const { code, output } = await runCommand(
    process.execPath,
    [attw, '--profile', 'node16', tarball],
    process.env,
    root,
  );
  if (code !== 0) throw new Error(output.trim());
}

/** @param {string} tarball */
async function measure(tarball) {
  const { size } = await stat(tarball);
  if (size > mostBytes) throw new Error(`${size} bytes are more than ${mostBytes}.`);
  return `${(size / 1e6).toFixed(1)} MB`;
}

async function check() {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'densenet-check-'));
  let failed = 0;
  /**
   * @param {string} title
   * @param {() => Promise<string | void>} work
   */
  const attempt = (title, work) =>
    step(title, work, (said) => said ?? '').catch((error) => {
      failed += 1;
      console.log(error.message);
    });
  try {
    const tarball = process.argv[2] ?? (await step('npm pack', () => pack(folder)));
    await attempt('publint', () => lintPackage(tarball));
    await attempt('attw', () => lintTypes(tarball));
    await attempt(`at most ${mostBytes / 1e6} MB`, () => measure(tarball));
    console.log(`\n${3 - failed} passed, ${failed} failed`);
    process.exitCode = failed === 0 ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

runScript(check);
