'use strict';

/**
 * Finds the core libraries that lie beside the loader: one for each version of libtorch that was built against. Plain
 * JavaScript on Node's own modules, like locate.js.
 */

const { readdir } = require('node:fs/promises');
const path = require('node:path');

const pattern = /^densenet_core-torch(\d+\.\d+\.\d+)\.(?:so|dylib|dll)$/;

/** The library of our own CUDA kernels, which lies beside the cores where they were built for CUDA (CMakeLists.txt). */
const kernelsName = 'densenet_cuda_kernels.so';

const extensions = { darwin: '.dylib', win32: '.dll' };

/**
 * The file name of a core library on this system.
 *
 * @param {string} version Of the libtorch that it is built against, such as `2.13.0`.
 * @returns {string}
 */
function coreName(version) {
  const extension = extensions[/** @type {keyof typeof extensions} */ (process.platform)] ?? '.so';
  return `densenet_core-torch${version}${extension}`;
}

/**
 * The folders of a package in which addons lie: the one built here, before the one that was shipped. As for node-gyp-build,
 * which finds the loader, LIBTORCH_DENSENET_PREBUILD names another root, such as that of a build with a sanitizer.
 *
 * @param {string} packageRoot
 * @returns {string[]}
 */
function addonFolders(packageRoot) {
  const root = process.env['LIBTORCH_DENSENET_PREBUILD'] || packageRoot;
  return [path.join(root, 'build', 'Release'), path.join(root, 'prebuilds', `${process.platform}-${process.arch}`)];
}

/**
 * The core libraries of a package.
 *
 * @param {string} packageRoot
 * @returns {Promise<Map<string, string>>} The path of each, by the version of libtorch that it was built against.
 */
async function findCores(packageRoot) {
  /** @type {Map<string, string>} */
  const cores = new Map();
  for (const folder of addonFolders(packageRoot)) {
    for (const name of await readdir(folder).catch(() => /** @type {string[]} */ ([]))) {
      const version = pattern.exec(name)?.[1];
      if (version !== undefined && !cores.has(version)) cores.set(version, path.join(folder, name));
    }
  }
  return cores;
}

module.exports = { addonFolders, coreName, findCores, kernelsName };
