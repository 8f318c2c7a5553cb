'use strict';

/**
 * Puts the libtorch of this machine into `libtorch/`, from where electron-builder takes it into the app's resources. Only its
 * shared libraries: an app needs neither headers nor Python's part. `node libtorch.js [folder]`
 */

const { cp, mkdir, readdir, rm, writeFile } = require('node:fs/promises');
const path = require('node:path');
const { runtimeInfo } = require('libtorch-densenet');

async function copy(target) {
  const { libtorch } = await runtimeInfo();
  const source = path.join(libtorch.path, 'lib');
  await rm(target, { recursive: true, force: true });
  await mkdir(path.join(target, 'lib'), { recursive: true });
  const names = (await readdir(source)).filter(
    (name) => /\.(so|dylib|dll)(\.|$)/.test(name) && !name.includes('python'),
  );
  for (const name of names) await cp(path.join(source, name), path.join(target, 'lib', name), { dereference: true });
  // By this file the package knows the version of a libtorch that has no headers.
  await writeFile(path.join(target, 'build-version'), `${libtorch.version}+${libtorch.build}\n`);
  console.log(`libtorch ${libtorch.version} (${libtorch.build}): ${names.length} libraries in ${target}`);
}

copy(path.resolve(process.argv[2] ?? path.join(__dirname, 'libtorch'))).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
