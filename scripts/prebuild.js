#!/usr/bin/env node
'use strict';

/**
 * `npm run prebuilds`: puts the addon for this platform, stripped, into prebuilds/, from where it is packed. Run with
 * another LIBTORCH, it adds the core for that version of libtorch beside those that are there.
 *
 * prebuildify knows node-gyp only, and takes the addon away from where it was built. So it gets a folder of its own and,
 * in node-gyp's place, this script, which builds as always and copies what came out.
 */

const { copyFile, mkdir, mkdtemp, readFile, readdir, rm } = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');
const { promisify } = require('node:util');
const { runScript, step } = require('./report');
const { root, setup } = require('./setup');

const release = path.join('build', 'Release');

/** Stands in for `node-gyp rebuild`: leaves the addon in build/Release of the working folder. */
async function rebuild() {
  const libtorch = await setup();
  const target = path.join(process.cwd(), release);
  await mkdir(target, { recursive: true });
  const core = `densenet_core-torch${libtorch.version}.so`;
  // Other versions' cores may lie there too; only the newest build is known to be of these sources.
  for (const name of await readdir(path.join(root, release)))
    if (name === core || name === 'densenet_cuda_kernels.so' || name.endsWith('.node'))
      await copyFile(path.join(root, release, name), path.join(target, name));
}

async function prebuild() {
  await setup();
  // Installed with the other development packages, so only known after the set-up.
  const prebuildify = promisify(require('prebuildify'));
  const { name } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
  const cwd = await mkdtemp(path.join(os.tmpdir(), 'densenet-prebuild-'));
  try {
    await step('prebuildify', () =>
      prebuildify({
        cwd,
        out: root,
        name,
        napi: true,
        targets: [process.versions.node],
        strip: true,
        quiet: true,
        nodeGyp: __filename,
      }),
    );
  } finally {
    await rm(cwd, { recursive: true, force: true });
  }
}

module.exports = { prebuild };

if (require.main === module) runScript(process.argv[2] === 'rebuild' ? rebuild : prebuild);
