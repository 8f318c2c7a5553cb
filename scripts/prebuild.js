'use strict';

/**
 * `npm run prebuilds`: puts the addon for this platform, stripped, into prebuilds/, from where it is packed: the loader, and
 * beside it one core for each libtorch. That is the set-up's libtorch, or those that `-- --libtorch FOLDER` names, once or
 * more. What was there for this platform goes; other platforms' folders, made on their machines, stay.
 *
 * Name CPU builds: a core that was built against one serves the CUDA builds of that version too.
 */

const { copyFile, mkdir, mkdtemp, readFile, readdir, rm, stat } = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');
const { parseArgs, promisify } = require('node:util');
const { addonFolders, coreName, kernelsName } = require('../lib/runtime/cores');
const { readLibtorch } = require('../lib/runtime/locate');
const { buildNative, hashSources, readStamps, release, writeStamp } = require('./build');
const { runScript, step } = require('./report');
const { root, setup } = require('./setup');

/**
 * Strips a loader and cores and puts them into a folder of their own.
 *
 * prebuildify builds with node-gyp alone, and takes the addon away from where it was built. So it gets a folder with
 * copies of what is built already, and in node-gyp's place a command that does nothing.
 *
 * @param {object} options
 * @param {string} options.from The folder of the loader and the cores.
 * @param {string[]} options.versions Of libtorch, whose cores to take; others may be there of older sources.
 * @param {string} options.out The folder that prebuilds/ is made in.
 */
async function collect({ from, versions, out }) {
  // Installed with the other development packages, so only known after the set-up.
  const prebuildify = promisify(require('prebuildify'));
  const { name } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
  const wanted = new Set(versions.map(coreName));
  const cwd = await mkdtemp(path.join(os.tmpdir(), 'densenet-prebuild-'));
  try {
    const built = path.join(cwd, 'build', 'Release');
    await mkdir(built, { recursive: true });
    for (const file of await readdir(from))
      if (wanted.has(file) || file === kernelsName || file.endsWith('.node'))
        await copyFile(path.join(from, file), path.join(built, file));
    await rm(prebuildFolder(out), { recursive: true, force: true });
    await prebuildify({
      cwd,
      out,
      name,
      napi: true,
      targets: [process.versions.node],
      strip: true,
      quiet: true,
      nodeGyp: process.platform === 'win32' ? 'rem' : 'true',
    });
  } finally {
    await rm(cwd, { recursive: true, force: true });
  }
}

/**
 * @param {string} packageRoot
 * @returns {string}
 */
function prebuildFolder(packageRoot) {
  return /** @type {string} */ (addonFolders(packageRoot)[1]);
}

/**
 * What is in prebuilds/ for this platform, and the sources that it is of.
 *
 * @returns {Promise<string>} A hash.
 */
async function hashPrebuilds() {
  const folder = prebuildFolder(root);
  const names = await readdir(folder).catch(() => /** @type {string[]} */ ([]));
  const files = await Promise.all(
    names.sort().map(async (name) => [name, (await stat(path.join(folder, name))).mtimeMs]),
  );
  return hashSources(['native', 'CMakeLists.txt'], JSON.stringify(files));
}

/** @param {string[]} folders Of libtorchs; none for the set-up's. */
async function prebuild(folders = []) {
  const [first, ...others] = folders.map((folder) => path.resolve(folder));
  if (first !== undefined) process.env['LIBTORCH'] = first;
  const versions = [(await setup()).version];
  for (const folder of others) {
    const { libtorch, fault } = await readLibtorch(folder, 'option', true);
    if (libtorch === undefined) throw new Error(`--libtorch ${folder}: ${fault}.`);
    await buildNative(libtorch, root, false, path.join('build', `torch-${libtorch.version}`));
    versions.push(libtorch.version);
  }
  await step(
    'prebuildify',
    () => collect({ from: release, versions, out: root }),
    () => `libtorch ${versions.join(', ')}`,
  );
  await writeStamp('prebuilds', await hashPrebuilds());
}

/** {@link prebuild}, unless `npm run prebuilds` was run on these sources: what it made is what is packed. */
async function prebuildIfNeeded() {
  await setup();
  if ((await readStamps())['prebuilds'] !== (await hashPrebuilds())) await prebuild();
}

module.exports = { collect, prebuildIfNeeded };

if (require.main === module) {
  const { values } = parseArgs({ options: { libtorch: { type: 'string', multiple: true } } });
  runScript(() => prebuild(values.libtorch));
}
