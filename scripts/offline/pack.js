'use strict';

/**
 * `npm run pack:offline`: one archive for a machine that has a GPU (or not), PyTorch or libtorch, a compiler and CMake,
 * but no network and no Node: the sources, the compiled TypeScript, Node's own program, and every package that building
 * and running need. Unpacked there, `./report.sh` builds it, tries everything, and writes a report.
 */

const { createHash } = require('node:crypto');
const { createReadStream } = require('node:fs');
const { chmod, copyFile, cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');
const { pipeline } = require('node:stream/promises');
const { runCommand } = require('../../lib/runtime/fetch');
const { runScript, step } = require('../report');
const { root, setup } = require('../setup');

/** What people can still carry and mail. */
const mostBytes = 45e6;

/** Of the checkout; node_modules is chosen package by package. */
const parts = [
  'CMakeLists.txt',
  'LICENSE',
  'README.md',
  'data',
  'dist',
  'docs',
  'lib',
  'native',
  'package.json',
  'scripts',
  'test/gpu',
  'test/native',
  'tsconfig.build.json',
  'tsconfig.json',
];

/** Development packages that a build needs. */
const buildPackages = ['cmake-js', 'node-addon-api'];

const programs = {
  'report.sh': 'scripts/offline/report.js',
  densenet: 'dist/cli/main.js',
};

/** @typedef {{ dependencies?: Record<string, string>, optionalDependencies?: Record<string, string> }} Locked */

/**
 * The packages of the lock file that some packages need, themselves included, as folders; those for other systems, which
 * npm did not install, left out.
 *
 * @param {Record<string, Locked>} locked
 * @param {string[]} names
 * @returns {Promise<string[]>}
 */
async function packagesFor(locked, names) {
  /** @type {Set<string>} */
  const chosen = new Set();
  // As Node resolves: the folder of the one who asks, then those above it.
  const find = (/** @type {string} */ from, /** @type {string} */ name) => {
    for (let place = from; ; place = place.slice(0, Math.max(0, place.lastIndexOf('node_modules/') - 1))) {
      const folder = `${place === '' ? '' : `${place}/`}node_modules/${name}`;
      if (folder in locked) return folder;
      if (place === '') return undefined;
    }
  };
  const add = async (/** @type {string} */ from, /** @type {string} */ name) => {
    const folder = find(from, name);
    if (folder === undefined || chosen.has(folder)) return;
    if (!(await stat(path.join(root, folder)).catch(() => undefined))) return;
    chosen.add(folder);
    const { dependencies, optionalDependencies } = /** @type {Locked} */ (locked[folder]);
    for (const next of Object.keys({ ...dependencies, ...optionalDependencies })) await add(folder, next);
  };
  for (const name of names) await add('', name);
  return [...chosen].sort();
}

/** @param {string} target */
async function gather(target) {
  for (const part of parts) await cp(path.join(root, part), path.join(target, part), { recursive: true });
  const { packages } = JSON.parse(await readFile(path.join(root, 'package-lock.json'), 'utf8'));
  const wanted = [...Object.keys(packages[''].dependencies), ...buildPackages];
  for (const folder of await packagesFor(packages, wanted)) {
    // A package's own packages are in the list where they are needed.
    const filter = (/** @type {string} */ source) =>
      !source.slice(folder.length + root.length).includes('node_modules');
    await cp(path.join(root, folder), path.join(target, folder), { recursive: true, filter });
  }
  const node = path.join(target, 'node', 'bin', 'node');
  await mkdir(path.dirname(node), { recursive: true });
  await copyFile(process.execPath, node);
  await chmod(node, 0o755);
  for (const [name, program] of Object.entries(programs)) {
    const text = `#!/bin/sh\ncd "$(dirname "$0")" && exec ./node/bin/node ${program} "$@"\n`;
    await writeFile(path.join(target, name), text, { mode: 0o755 });
  }
}

/** @param {string} file */
async function sha256(file) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/** @returns {Promise<string>} The archive. */
async function pack() {
  await setup();
  const { name, version } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
  const title = `${name}-${version}-offline-${process.platform}-${process.arch}`;
  const stage = await mkdtemp(path.join(os.tmpdir(), 'densenet-offline-'));
  const archive = path.join(root, 'build', `${title}.tar.xz`);
  try {
    await step('gathering sources, packages and Node', () => gather(path.join(stage, title)));
    await step('packing with xz', async () => {
      const { code, output } = await runCommand('tar', ['-C', stage, '-cJf', archive, title], {
        ...process.env,
        XZ_OPT: '-9 -T1',
      });
      if (code !== 0) throw new Error(`tar failed; it needs xz (\`apt-get install xz-utils\`):\n${output}`);
    });
    const { size } = await stat(archive);
    console.log(`${archive}\n${(size / 1e6).toFixed(1)} MB, sha256 ${await sha256(archive)}`);
    if (size > mostBytes) throw new Error(`The archive is larger than ${mostBytes / 1e6} MB.`);
    return archive;
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

module.exports = { pack };

if (require.main === module) runScript(pack);
