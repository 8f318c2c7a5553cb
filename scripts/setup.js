'use strict';

/**
 * Finds or fetches whatever the package needs to be built and run: npm packages, libtorch, the built addon. It runs on
 * Node's own modules, so it works before anything is installed, and it does nothing twice. `npm run setup` and
 * `npx densenet setup` call it; `npm start`, `npm test` and `npm run lint` call it first.
 *
 * A checkout is always built from its sources. An installed package is built only where no addon that came with it
 * fits the libtorch of the machine.
 */

const { spawn } = require('node:child_process');
const { existsSync } = require('node:fs');
const { readFile, writeFile } = require('node:fs/promises');
const { createHash } = require('node:crypto');
const path = require('node:path');
const { fetchLibtorch, pinnedVersion, runCommand } = require('../lib/runtime/fetch');
const { findCores } = require('../lib/runtime/cores');
const { findDamage } = require('../lib/runtime/damage');
const { cacheFolder, compareVersions, locateLibtorch } = require('../lib/runtime/locate');
const { makeCacheFolder } = require('../lib/runtime/writable');
const { runScript, step } = require('./report');

/** @typedef {import('../lib/runtime/locate').Libtorch} Libtorch */

const root = path.join(__dirname, '..');

/** npm never packs the lock file, so it tells a checkout from an installed package. */
const lockFile = path.join(root, 'package-lock.json');
const isCheckout = existsSync(lockFile);

/** The oldest libtorch that the sources build against. */
const oldestLibtorch = '2.11.0';

const mends = {
  linux: "sudo apt-get install g++ cmake   (or your system's own packages; CMake also comes with `pip install cmake`)",
  darwin: 'xcode-select --install && brew install cmake',
  win32: 'install Visual Studio Build Tools with C++ and its clang tools (clang-cl), and CMake',
};

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 17)) return;
  throw new Error(`Node ${process.versions.node} is too old; Node 20.17 or newer is needed.`);
}

async function checkTools() {
  // Visual Studio's compiler is on no PATH; CMake finds it, or says what is missing.
  const names = process.platform === 'win32' ? ['cmake'] : [process.env['CXX'], 'c++', 'g++', 'clang++'];
  const compilers = names.filter((name) => name !== undefined);
  const works = async (/** @type {string} */ tool, /** @type {string[]} */ args) =>
    (await runCommand(tool, args, process.env)).code !== null;
  const found = await Promise.all([
    works('cmake', ['--version']),
    ...compilers.map((name) => works(name, ['--version'])),
  ]);
  const missing = [...(found[0] ? [] : ['CMake']), ...(found.slice(1).includes(true) ? [] : ['a C++ compiler'])];
  if (missing.length === 0) return;
  const mend = mends[/** @type {keyof typeof mends} */ (process.platform)] ?? mends.linux;
  throw new Error(
    `${missing.join(' and ')} cannot be found, and the addon is built from its sources. Mend it with:\n  ${mend}`,
  );
}

/**
 * @param {string[]} args
 * @param {string} cwd
 */
function runNpm(args, cwd) {
  // On Windows it is a batch file, which only the shell runs.
  const [command = '', ...first] = process.platform === 'win32' ? ['cmd', '/d', '/s', '/c', 'npm'] : ['npm'];
  return runCommand(command, [...first, ...args], process.env, cwd);
}

/** Installs the npm packages when they are missing, or were installed from another lock file. */
async function installPackages() {
  const hash = createHash('sha256')
    .update(await readFile(lockFile))
    .digest('hex');
  const stamp = path.join(root, 'node_modules', '.libtorch-densenet-lock');
  if ((await readFile(stamp, 'utf8').catch(() => '')) === hash) return;
  await step('npm ci', async () => {
    const { code, output } = await runNpm(['ci', '--no-audit', '--no-fund'], root);
    if (code !== 0) throw new Error(`npm ci failed:\n${output.slice(-3000)}`);
    await writeFile(stamp, hash);
  });
}

/**
 * The packages that an addon is built with, for an installed package, which comes without them.
 *
 * @returns {Promise<string>} A folder that they can be required from.
 */
async function installBuildPackages() {
  // An offline archive (scripts/offline/pack.js) has them beside the others.
  if (existsSync(path.join(root, 'node_modules', 'cmake-js'))) return root;
  const { devDependencies } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
  const wanted = ['cmake-js', 'node-addon-api'].map((name) => `${name}@${devDependencies[name]}`);
  return installTool(wanted);
}

/**
 * npm packages that only some need, kept in the user's cache. Their install scripts do not run.
 *
 * @param {string[]} wanted With their versions.
 * @returns {Promise<string>} A folder that they can be required from.
 */
async function installTool(wanted) {
  const folder = path.join(cacheFolder(), 'tools', wanted.join('+').replaceAll('/', '-'));
  const stamp = path.join(folder, 'complete');
  if (existsSync(stamp)) return folder;
  await step(`npm install ${wanted.join(' ')}`, async () => {
    await makeCacheFolder(folder);
    await writeFile(path.join(folder, 'package.json'), '{ "private": true }\n');
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--save-exact', ...wanted];
    const { code, output } = await runNpm(args, folder);
    if (code !== 0) throw new Error(`npm install failed:\n${output.slice(-3000)}`);
    await writeFile(stamp, '');
  });
  return folder;
}

/**
 * A libtorch that an addon which is already here fits; fetched where there is no libtorch at all.
 *
 * @returns {Promise<Libtorch | undefined>} Nothing where an addon is to be built.
 */
async function findFitting() {
  const cores = await findCores(root);
  for (const [version, core] of cores) if (await findDamage(core)) cores.delete(version);
  if (cores.size === 0) return undefined;
  const { libtorch, mismatched } = await locateLibtorch({ accept: (version) => cores.has(version) });
  // What was installed on purpose is what to build for.
  if (mismatched.some(({ source }) => source === 'installed')) return undefined;
  if (libtorch || mismatched.length > 0 || process.env['LIBTORCH'] || !cores.has(pinnedVersion)) return libtorch;
  return findOrFetchLibtorch();
}

/**
 * The libtorch to build against and to run on.
 *
 * @returns {Promise<Libtorch>}
 */
async function findOrFetchLibtorch() {
  const accept = (/** @type {string} */ version) => compareVersions(version, oldestLibtorch) >= 0;
  const { libtorch, tried } = await locateLibtorch({ accept, needHeaders: true });
  if (libtorch) return libtorch;
  if (process.env['LIBTORCH']) {
    const said = tried.map(({ place, result }) => `${place}: ${result}`).join('; ');
    throw new Error(
      `LIBTORCH is set, but it cannot be used (${said}). It must hold libtorch ${oldestLibtorch} or newer with its headers. ` +
        'Mend it, or unset it to have libtorch found or fetched.',
    );
  }
  return step(`fetching libtorch ${pinnedVersion} (CPU, about 190 MB)`, (update) =>
    fetchLibtorch({ report: update, progress: (done, total) => update(describeBytes(done, total)) }),
  );
}

/**
 * @param {number} done
 * @param {number | undefined} total
 */
function describeBytes(done, total) {
  const megabytes = `${Math.floor(done / 5e6) * 5} MB`;
  return total === undefined ? megabytes : `${megabytes} of ${Math.round(total / 1e6)}`;
}

/** @returns {Promise<Libtorch>} The libtorch that everything was built against. */
async function buildAll() {
  await checkTools();
  if (isCheckout) await installPackages();
  const tools = isCheckout ? root : await installBuildPackages();
  const libtorch = await findOrFetchLibtorch();
  await require('./build').build({ libtorch, tools, typescript: isCheckout });
  return libtorch;
}

/**
 * Makes everything ready.
 *
 * @returns {Promise<Libtorch>} The libtorch that the addon runs on.
 */
async function setup() {
  const started = performance.now();
  checkNode();
  const libtorch = (isCheckout ? undefined : await findFitting()) ?? (await buildAll());
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`✔ ready: libtorch ${libtorch.version} (${libtorch.build}) in ${libtorch.path} (${seconds} s)`);
  return libtorch;
}

/**
 * Runs a Node program with this terminal as its own.
 *
 * @param {string[]} args
 * @param {'inherit' | 'ignore'} [stdout]
 * @returns {Promise<number>} Its exit code.
 */
function runInherited(args, stdout = 'inherit') {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['inherit', stdout, 'inherit'] });
    // The child gets Ctrl-C from the terminal itself; this process must outlive it to pass on its exit code.
    const ignore = () => undefined;
    process.on('SIGINT', ignore);
    const pass = () => child.kill('SIGTERM');
    process.on('SIGTERM', pass);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      process.off('SIGINT', ignore);
      process.off('SIGTERM', pass);
      resolve(code ?? (signal === 'SIGINT' ? 130 : 1));
    });
  });
}

module.exports = { buildAll, findFitting, installTool, root, runInherited, runNpm, setup };

if (require.main === module) runScript(setup);
