'use strict';

/**
 * Finds libtorch on this machine. Plain JavaScript on Node's own modules, since the set-up runs it before any package
 * is installed; the package itself runs the same code.
 */

const { execFile } = require('node:child_process');
const { access, readdir, readFile } = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');
const { promisify } = require('node:util');
const { foreignArchitecture } = require('./architecture');
const { readInstalled } = require('./installed');

/**
 * A libtorch on this machine.
 *
 * @typedef {object} Libtorch
 * @property {string} path Its root: the folder with `lib`, and `include` where it can be built against.
 * @property {string[]} libraries What to open, in order, by absolute path.
 * @property {string} version Such as `2.13.0`.
 * @property {string} build `cpu`, or the CUDA version that it was built for, such as `cu130`.
 * @property {Source} source Where it was found.
 */

/** @typedef {'option' | 'LIBTORCH' | 'resources' | 'installed' | 'cache' | 'python'} Source */

/**
 * A place that was looked at, and what was there.
 *
 * @typedef {object} Attempt
 * @property {Source} source
 * @property {string} place
 * @property {string} result
 */

/**
 * @typedef {object} LocateOptions
 * @property {string} [libtorch] A folder that the caller insists on.
 * @property {NodeJS.ProcessEnv} [env] Default `process.env`.
 * @property {string} [resourcesPath] An Electron app's resources, which may hold a folder `libtorch`.
 * @property {(version: string) => boolean} [accept] Which versions will do; default all.
 * @property {boolean} [needHeaders] Whether the headers must be there too; default false.
 */

const libraryNames = { linux: 'libtorch.so', darwin: 'libtorch.dylib', win32: 'torch.dll' };

/** What only a CUDA build has. */
const cudaLibraryName = process.platform === 'win32' ? 'torch_cuda.dll' : 'libtorch_cuda.so';

/** What Python may be called; on Windows `python3` may be a stub that opens the shop. */
const pythonNames = process.platform === 'win32' ? ['python', 'py', 'python3'] : ['python3', 'python'];

/** The file that is opened first, and that marks a folder as libtorch's `lib`. */
const libraryName = libraryNames[/** @type {keyof typeof libraryNames} */ (process.platform)] ?? 'libtorch.so';

/**
 * The folder in which this package keeps what it downloads.
 *
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string}
 */
function cacheFolder(env = process.env) {
  if (env['LIBTORCH_DENSENET_CACHE']) return path.resolve(env['LIBTORCH_DENSENET_CACHE']);
  // A relative XDG_CACHE_HOME is to be ignored, says its specification.
  if (env['XDG_CACHE_HOME'] && path.isAbsolute(env['XDG_CACHE_HOME']))
    return path.join(env['XDG_CACHE_HOME'], 'libtorch-densenet');
  const home = env['HOME'] || env['USERPROFILE'] || os.homedir();
  if (process.platform === 'darwin') return path.join(home, 'Library', 'Caches', 'libtorch-densenet');
  if (process.platform === 'win32')
    return path.join(env['LOCALAPPDATA'] ?? path.join(home, 'AppData', 'Local'), 'libtorch-densenet', 'Cache');
  return path.join(home, '.cache', 'libtorch-densenet');
}

/**
 * The cache's folder of libtorchs, each in a folder of its version and build.
 *
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string}
 */
function libtorchFolder(env = process.env) {
  return path.join(cacheFolder(env), 'libtorch');
}

/**
 * Looks for libtorch: an explicit folder, `LIBTORCH`, the app's resources, the one that `densenet install-libtorch`
 * installed last, the others of the user's cache, the newest first, the `torch` of the Python on the PATH. An explicit
 * folder or `LIBTORCH` that will not do ends the search, so that it is never passed over in silence; one that was
 * installed and will not do is in `mismatched` or `tried`.
 *
 * @param {LocateOptions} [options]
 * @returns {Promise<{ libtorch: Libtorch | undefined, tried: Attempt[], mismatched: Libtorch[] }>}
 */
async function locateLibtorch(options = {}) {
  const { env = process.env, accept = () => true, needHeaders = false } = options;
  /** @type {Attempt[]} */
  const tried = [];
  /** @type {Libtorch[]} */
  const mismatched = [];

  /**
   * @param {Source} source
   * @param {string} place
   */
  const look = async (source, place) => {
    const { libtorch, fault } = await readLibtorch(place, source, needHeaders);
    const fits = libtorch !== undefined && accept(libtorch.version);
    if (libtorch !== undefined && !fits) mismatched.push(libtorch);
    const name = libtorch && `libtorch ${libtorch.version} (${libtorch.build})`;
    tried.push({ source, place, result: fault ?? (fits ? `${name}` : `${name}, which does not fit`) });
    return fits ? libtorch : undefined;
  };

  const insisted = options.libtorch ?? env['LIBTORCH'];
  if (insisted) {
    const libtorch = await look(options.libtorch ? 'option' : 'LIBTORCH', path.resolve(insisted));
    return { libtorch, tried, mismatched };
  }
  tried.push({ source: 'LIBTORCH', place: 'the environment variable', result: 'not set' });
  const installed = await readInstalled(libtorchFolder(env));
  for (const [source, places] of /** @type {const} */ ([
    ['resources', async () => (options.resourcesPath ? [path.join(options.resourcesPath, 'libtorch')] : [])],
    ['installed', async () => (installed ? [installed] : [])],
    ['cache', async () => (await cachedFolders(env)).filter((place) => place !== installed)],
    ['python', () => pythonFolders(env, tried)],
  ])) {
    for (const place of await places()) {
      const libtorch = await look(source, place);
      if (libtorch) return { libtorch, tried, mismatched };
    }
    if (source === 'cache' && !tried.some((attempt) => attempt.source === 'cache'))
      tried.push({ source, place: libtorchFolder(env), result: installed ? 'nothing else there' : 'nothing there' });
  }
  return { libtorch: undefined, tried, mismatched };
}

/**
 * Every libtorch of the cache, the newest version first.
 *
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string[]>}
 */
async function cachedFolders(env) {
  const folder = libtorchFolder(env);
  const names = await readdir(folder).catch(() => /** @type {string[]} */ ([]));
  return names
    .filter((name) => /^\d+\.\d+\.\d+\+\w+$/.test(name))
    .sort((a, b) => compareVersions(b, a))
    .map((name) => path.join(folder, name));
}

/**
 * The folder of the `torch` package of the Python on the PATH. Python is asked where the package is, not to import it,
 * which would take seconds.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {Attempt[]} tried
 * @returns {Promise<string[]>}
 */
async function pythonFolders(env, tried) {
  // The working folder, which Python looks in first, is left out: what lies there is not installed.
  const program =
    'import sys; sys.path = [p for p in sys.path if p]; import importlib.util as u; s = u.find_spec("torch"); print(list(s.submodule_search_locations)[0] if s and s.submodule_search_locations else "")';
  for (const python of pythonNames) {
    try {
      const { stdout } = await promisify(execFile)(python, ['-c', program], { env, timeout: 20_000 });
      const place = stdout.trim();
      if (place) return [place];
      tried.push({ source: 'python', place: `${python} on the PATH`, result: 'it has no package torch' });
      return [];
    } catch {
      // Not there, or broken: the next name may serve.
    }
  }
  tried.push({ source: 'python', place: `${pythonNames.join(' and ')} on the PATH`, result: 'no Python that runs' });
  return [];
}

/**
 * Reads what a folder holds.
 *
 * @param {string} place A root of libtorch, its `lib`, an installed `torch` package, or a folder with `torch` or
 *   `libtorch` in it.
 * @param {Source} source
 * @param {boolean} [needHeaders]
 * @returns {Promise<{ libtorch?: Libtorch, fault?: string }>}
 */
async function readLibtorch(place, source, needHeaders = false) {
  if (!(await exists(place))) return { fault: 'there is no such folder' };
  const root = await rootOf(place);
  const library = path.join(root, 'lib', libraryName);
  if (!(await exists(library))) return { fault: `it has no lib/${libraryName}, so it is not libtorch` };
  const foreign = await foreignArchitecture(library);
  if (foreign)
    return {
      fault: `its lib/${libraryName} is built for ${foreign} and this Node for ${process.arch}; \`npx densenet install-libtorch\` installs one that fits`,
    };
  if (needHeaders && !(await exists(path.join(root, 'include', 'ATen', 'ATen.h'))))
    return { fault: 'it has no headers (include/ATen), so nothing can be built against it' };
  const full = await readVersion(root);
  const match = /^(\d+\.\d+\.\d+)[^+]*(?:\+(\w+))?$/.exec(full ?? '');
  if (!match?.[1])
    return { fault: 'its version cannot be read (build-version, version.py and version.h are missing or odd)' };
  const build = match[2] ?? ((await exists(path.join(root, 'lib', cudaLibraryName))) ? 'cuda' : 'cpu');
  return { libtorch: { path: root, libraries: [library], version: match[1], build, source } };
}

/**
 * @param {string} place See readLibtorch.
 * @returns {Promise<string>} The folder that has, or should have, `lib`.
 */
async function rootOf(place) {
  if (path.basename(place) === 'lib') return path.dirname(place);
  // Wheels unpacked side by side, and an archive, have one folder more.
  for (const root of [place, path.join(place, 'torch'), path.join(place, 'libtorch')])
    if (await exists(path.join(root, 'lib', libraryName))) return root;
  return place;
}

/**
 * The version as the official archive, a wheel or the headers give it.
 *
 * @param {string} root
 * @returns {Promise<string | undefined>}
 */
async function readVersion(root) {
  const archive = await readText(path.join(root, 'build-version'));
  if (archive !== undefined) return archive.trim();
  const wheel = await readText(path.join(root, 'version.py'));
  const written = wheel && /^__version__\s*=\s*['"]([^'"]+)['"]/m.exec(wheel);
  if (written) return written[1];
  for (const header of ['include/torch/headeronly/version.h', 'include/torch/csrc/api/include/torch/version.h']) {
    const text = await readText(path.join(root, header));
    const numbers = ['MAJOR', 'MINOR', 'PATCH'].map(
      (part) => new RegExp(`#define TORCH_VERSION_${part} (\\d+)`).exec(text ?? '')?.[1],
    );
    if (!numbers.includes(undefined)) return numbers.join('.');
  }
  return undefined;
}

/**
 * @param {string} file
 * @returns {Promise<string | undefined>}
 */
function readText(file) {
  return readFile(file, 'utf8').catch(() => undefined);
}

/**
 * @param {string} file
 * @returns {Promise<boolean>}
 */
function exists(file) {
  return access(file).then(
    () => true,
    () => false,
  );
}

/**
 * Orders versions such as `2.9.1` and `2.13.0+cpu` by their numbers.
 *
 * @param {string} a
 * @param {string} b
 * @returns {number} Below 0 when `a` is the older.
 */
function compareVersions(a, b) {
  const [left, right] = [a, b].map((version) => version.split(/[.+]/).map(Number));
  for (let part = 0; part < 3; part += 1) {
    const difference = (left?.[part] ?? 0) - (right?.[part] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

module.exports = {
  cachedFolders,
  cacheFolder,
  compareVersions,
  libraryName,
  libtorchFolder,
  locateLibtorch,
  pythonNames,
  readLibtorch,
};
