'use strict';

/**
 * Brings libtorch onto this machine: from PyTorch's wheel through pip, or from the official archive where there is no
 * Python. Plain JavaScript on Node's own modules, like locate.js.
 */

const { spawn } = require('node:child_process');
const { mkdtemp, readdir, rename, rm } = require('node:fs/promises');
const path = require('node:path');
const { cacheFolder, pythonNames, readLibtorch } = require('./locate');
const { download, downloadError } = require('./download');
const { isAlive } = require('./part');
const { makeCacheFolder } = require('./writable');

/** @typedef {import('./locate').Libtorch} Libtorch */

/** The version that is fetched where none is there. */
const pinnedVersion = '2.13.0';

/** PyTorch's own server: `whl/BUILD` is an index of wheels, `libtorch/BUILD` has archives. */
const host = 'https://download.pytorch.org';
const wheelIndex = `${host}/whl/cpu`;

/**
 * The official archives, by platform, architecture and version.
 *
 * @type {Record<string, { name: string, sha256: string, bytes: number } | undefined>}
 */
const archives = {
  'linux-x64-2.13.0': {
    name: 'libtorch-shared-with-deps-2.13.0%2Bcpu.zip',
    sha256: 'edbf4cbed78433d803e90a65f1752e57783d164bce66c95c0872b2ab8f5c159e',
    bytes: 126_385_248,
  },
};

/**
 * The official archive of a build.
 *
 * @param {string} version
 * @param {string} build `cpu`, `cu130`, …
 * @returns {{ url: string, sha256?: string, bytes?: number } | undefined} Without a SHA-256 where nobody has noted it;
 *   nothing where there is no such archive.
 */
function archiveFor(version, build) {
  const known = build === 'cpu' ? archives[`${process.platform}-${process.arch}-${version}`] : undefined;
  if (known) return { url: `${host}/libtorch/cpu/${known.name}`, sha256: known.sha256, bytes: known.bytes };
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined;
  return { url: `${host}/libtorch/${build}/libtorch-shared-with-deps-${version}%2B${build}.zip` };
}

/**
 * What the addon needs of a wheel: libraries, headers, and the files that say what it is. The program runs under
 * Python, whose own ZIP reader unpacks its own kind of archive.
 */
const unpackProgram = `
import sys, zipfile
wheel, target = sys.argv[1:3]
with zipfile.ZipFile(wheel) as archive:
    names = [n for n in archive.namelist()
             if n.startswith(('torch/lib/', 'torch/include/', 'torch/share/cmake/'))
             and not n.startswith('torch/lib/libtorch_python')
             or n == 'torch/version.py' or n.upper().rsplit('/', 1)[-1].startswith(('LICENSE', 'NOTICE'))]
    for index, name in enumerate(names):
        archive.extract(name, target)
        if index % 500 == 0: print(f'{index}/{len(names)}', flush=True)
`;

/**
 * @typedef {object} FetchOptions
 * @property {string} [version] Default {@link pinnedVersion}.
 * @property {NodeJS.ProcessEnv} [env] Default `process.env`.
 * @property {(line: string) => void} [report] Gets a line for each thing that is done.
 * @property {(done: number, total: number | undefined) => void} [progress] Bytes of the archive.
 * @property {string} [archiveUrl] Where the archive is, in place of PyTorch's own server.
 * @property {{ sha256: string }} [pin] In place of the archive's own.
 * @property {number} [stallMs] See download.js.
 * @property {number} [backoffMs] See download.js.
 */

/**
 * Fetches libtorch into the cache. Whatever is interrupted leaves nothing behind that looks like libtorch: folders
 * take their names only when they are whole.
 *
 * @param {FetchOptions} [options]
 * @returns {Promise<Libtorch>}
 */
async function fetchLibtorch(options = {}) {
  const { version = pinnedVersion, env = process.env, report = () => undefined } = options;
  const target = path.join(cacheFolder(env), 'libtorch', `${version}+cpu`);
  await makeCacheFolder(path.dirname(target));
  await clearUp(path.dirname(target));
  const work = await mkdtemp(path.join(path.dirname(target), `.fetch-${process.pid}-`));
  try {
    const python = options.archiveUrl ? undefined : await findPip(env);
    const root = python
      ? await fromWheel(python, version, work, env, report)
      : await fromArchive(options, version, work);
    const { libtorch, fault } = await readLibtorch(root, 'cache', true);
    if (!libtorch) throw downloadError(`what arrived cannot be used: ${fault}`);
    if (libtorch.version !== version || libtorch.build !== 'cpu')
      throw downloadError(`libtorch ${version}+cpu was asked for, but ${libtorch.version}+${libtorch.build} arrived`);
    await place(root, target);
    return {
      ...libtorch,
      path: target,
      libraries: [path.join(target, 'lib', path.basename(libtorch.libraries[0] ?? ''))],
    };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * Clears up the work folders that processes left which died in the middle of a fetch.
 *
 * @param {string} folder
 */
async function clearUp(folder) {
  for (const name of await readdir(folder)) {
    const pid = /^\.fetch-(\d+)-/.exec(name)?.[1];
    if (pid && !isAlive(Number(pid))) await rm(path.join(folder, name), { recursive: true, force: true });
  }
}

/**
 * Gives a finished folder its name. Another process may have been first; its folder serves as well.
 *
 * @param {string} from
 * @param {string} to
 */
async function place(from, to) {
  try {
    await rename(from, to);
  } catch (error) {
    if ((await readLibtorch(to, 'cache', true)).libtorch) return;
    // What stands there is no libtorch, so it is the rest of something that was interrupted.
    await rm(to, { recursive: true, force: true });
    await rename(from, to).catch(() => {
      throw error;
    });
  }
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string | undefined>} The name of a Python that has pip.
 */
async function findPip(env) {
  for (const python of pythonNames) {
    if ((await runCommand(python, ['-m', 'pip', '--version'], env)).code === 0) return python;
  }
  return undefined;
}

/**
 * Downloads PyTorch's CPU wheel through pip and unpacks what is needed of it. A wheel for another version of Python
 * serves as well, since libtorch does not depend on it.
 *
 * @param {string} python
 * @param {string} version
 * @param {string} work
 * @param {NodeJS.ProcessEnv} env
 * @param {(line: string) => void} report
 * @returns {Promise<string>} The folder that holds `lib` and `include`.
 */
async function fromWheel(python, version, work, env, report) {
  const base = ['-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '--progress-bar=off', '-d', work];
  const ways = [];
  for (const index of [[], ['--extra-index-url', wheelIndex]]) {
    ways.push([...index], ...['3.12', '3.13', '3.11'].map((minor) => [...index, '--python-version', minor]));
  }
  let last = '';
  for (const way of ways) {
    report(`pip download torch==${version}+cpu ${way.join(' ')}`.trimEnd());
    const { code, output } = await runCommand(python, [...base, ...way, `torch==${version}+cpu`], env);
    if (code === 0) {
      const wheel = (await readdir(work)).find((name) => name.endsWith('.whl'));
      if (!wheel) throw downloadError('pip said that it downloaded torch, but there is no wheel');
      report(`unpacking ${wheel}`);
      const unpacked = await runCommand(python, ['-c', unpackProgram, path.join(work, wheel), work], env);
      if (unpacked.code !== 0) throw downloadError(`the wheel cannot be unpacked:\n${unpacked.output}`);
      // The licences lie beside the package; they stay with what they are of.
      for (const name of await readdir(work))
        if (name.endsWith('.dist-info')) await rename(path.join(work, name), path.join(work, 'torch', name));
      return path.join(work, 'torch');
    }
    last = output;
  }
  throw downloadError(
    `pip cannot download torch==${version}+cpu. It said:\n${last.trim().split('\n').slice(-5).join('\n')}\n` +
      'Check the network and pip (a proxy? HTTPS_PROXY), or set LIBTORCH to a folder that holds libtorch.',
  );
}

/**
 * @param {FetchOptions} options
 * @param {string} version
 * @param {string} work
 * @returns {Promise<string>} The folder that holds `lib` and `include`.
 */
async function fromArchive(options, version, work) {
  const { env = process.env, report = () => undefined, progress, stallMs, backoffMs } = options;
  const key = `${process.platform}-${process.arch}-${version}`;
  const archive = archiveFor(version, 'cpu');
  const sha256 = options.pin?.sha256 ?? archive?.sha256;
  const url = options.archiveUrl ?? archive?.url;
  if (!sha256 || !url)
    throw downloadError(
      `no official archive is known for ${key}, so it could not be checked. Install Python with pip, or set LIBTORCH to a folder that holds libtorch.`,
    );
  const file = path.join(work, `libtorch-${version}.zip`);
  report(`downloading ${url}`);
  await download({
    url,
    file,
    // Beside the work folder, which is gone after a failure.
    kept: path.join(path.dirname(work), `libtorch-${version}.zip.part`),
    sha256,
    env,
    ...(progress && { progress }),
    ...(stallMs && { stallMs }),
    ...(backoffMs && { backoffMs }),
  });
  report(`unpacking ${path.basename(file)}`);
  // CMake, without which nothing could be built, reads ZIP files on every system.
  const { code, output } = await runCommand('cmake', ['-E', 'tar', 'xf', file], env, work);
  if (code !== 0) throw downloadError(`the archive cannot be unpacked (is CMake installed?): ${output}`);
  return path.join(work, 'libtorch');
}

/**
 * Runs a command to its end.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @param {string} [cwd]
 * @param {AbortSignal} [signal] Ends it.
 * @returns {Promise<{ code: number | null, output: string }>} `code` is null when it could not run.
 */
function runCommand(command, args, env, cwd, signal) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { env, cwd, signal, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    child.on('error', (error) => resolve({ code: null, output: error.message }));
    child.on('close', (code) => resolve({ code, output }));
  });
}

module.exports = { archiveFor, clearUp, fetchLibtorch, findPip, host, pinnedVersion, place, runCommand };
