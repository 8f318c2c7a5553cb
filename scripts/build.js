'use strict';

/**
 * Builds the addon against a libtorch, and the TypeScript. Nothing is built again whose sources are as they were.
 * `npm run build` builds against the libtorch that `npm run setup` would take; `-- --force` builds all anew.
 */

const { spawn } = require('node:child_process');
const { createHash } = require('node:crypto');
const { createWriteStream, existsSync } = require('node:fs');
const { mkdir, readFile, readdir, rm, writeFile } = require('node:fs/promises');
const { createRequire } = require('node:module');
const os = require('node:os');
const path = require('node:path');
const { coreName } = require('../lib/runtime/cores');
const { findDamage } = require('../lib/runtime/damage');
const { makeWritable } = require('../lib/runtime/writable');
const { runScript, step } = require('./report');

/** @typedef {import('../lib/runtime/locate').Libtorch} Libtorch */

const root = path.join(__dirname, '..');
const release = path.join(root, 'build', 'Release');
const stampFile = path.join(root, 'build', 'stamp.json');

/**
 * A hash of files' names and contents; a folder stands for all files below it.
 *
 * @param {string[]} places Relative to the root.
 * @param {string} [extra] Whatever else the result depends on.
 */
async function hashSources(places, extra = '') {
  const hash = createHash('sha256').update(extra);
  for (const place of places) {
    const names = place.includes('.')
      ? [place]
      : (await readdir(path.join(root, place), { recursive: true, withFileTypes: true }))
          .filter((entry) => entry.isFile())
          .map((entry) => path.relative(root, path.join(entry.parentPath ?? entry.path, entry.name)));
    for (const name of names.sort()) hash.update(name).update(await readFile(path.join(root, name)));
  }
  return hash.digest('hex');
}

/** @returns {Promise<Record<string, string | undefined>>} */
async function readStamps() {
  return readFile(stampFile, 'utf8').then(JSON.parse, () => ({}));
}

/**
 * @param {string} name
 * @param {string} hash
 */
async function writeStamp(name, hash) {
  await mkdir(path.dirname(stampFile), { recursive: true });
  await writeFile(stampFile, JSON.stringify({ ...(await readStamps()), [name]: hash }, undefined, 2));
}

/**
 * Runs a command, its output kept in a log; a failure shows the end of it.
 *
 * @param {string[]} args Of Node.
 * @param {string} log
 * @param {(line: string) => void} onLine
 * @returns {Promise<void>}
 */
function runNode(args, log, onLine) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    const file = createWriteStream(log);
    let tail = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (/** @type {string} */ text) => {
        file.write(text);
        tail = (tail + text).slice(-4000);
        for (const line of text.split('\n')) if (line) onLine(line);
      });
    }
    child.on('error', reject);
    child.on('close', (code) => {
      file.end();
      if (code === 0) resolve();
      else reject(new Error(`${tail}\n\nThe command failed (${code}); the whole of its output is in ${log}.`));
    });
  });
}

/** @param {string} file */
async function isWhole(file) {
  return existsSync(file) && (await findDamage(file)) === undefined;
}

/** How many compilers run side by side: each takes up to 3 GB. CMake's own variable may say otherwise. */
function jobs() {
  const given = Number(process.env['CMAKE_BUILD_PARALLEL_LEVEL']);
  return given || Math.max(1, Math.min(os.availableParallelism(), Math.floor(os.totalmem() / 3e9)));
}

/**
 * @typedef {object} Plan
 * @property {string} folder CMake's, relative to the root.
 * @property {string} release Where the libraries go.
 * @property {string[]} [settings] Further ones, for cmake-js.
 * @property {string[]} [targets] Without any, what is built by default.
 */

/**
 * Configures with cmake-js, and writes compile_commands.json.
 *
 * @param {Libtorch} libtorch
 * @param {string} tools The folder that cmake-js and node-addon-api can be required from.
 * @param {Plan} plan
 * @returns {Promise<string[]>} The arguments with which cmake-js is to go on.
 */
async function configure(libtorch, tools, { folder, release: target, settings = [] }) {
  const requireTool = createRequire(path.join(tools, 'package.json'));
  const cmakeJs = requireTool.resolve('cmake-js/bin/cmake-js');
  // The kernels need clang-cl where the system's own compiler is Microsoft's.
  const toolset = process.platform === 'win32' ? ['-t', 'ClangCL'] : [];
  const args = [
    ...['-O', folder],
    `--CDLIBTORCH_ROOT=${libtorch.path}`,
    `--CDLIBTORCH_VERSION=${libtorch.version}`,
    `--CDRELEASE_FOLDER=${target}`,
    `--CDNODE_ADDON_API_DIR=${path.dirname(requireTool.resolve('node-addon-api'))}`,
    ...settings,
    ...toolset,
  ];
  await runNode([cmakeJs, 'configure', ...args], path.join(root, folder, 'configure.log'), () => undefined);
  return [cmakeJs, 'build', ...args];
}

/**
 * Configures and builds with cmake-js.
 *
 * @param {Libtorch} libtorch
 * @param {string} tools The folder that cmake-js and node-addon-api can be required from.
 * @param {Plan} plan
 * @param {(detail: string) => void} update
 */
async function compile(libtorch, tools, plan, update) {
  const { folder, targets = [] } = plan;
  // Always: cmake-js configures a new folder only, and what lies there may be for another libtorch.
  const command = await configure(libtorch, tools, plan);
  for (const one of targets.length === 0 ? [[]] : targets.map((name) => ['-T', name]))
    await runNode([...command, ...one, '-p', String(jobs())], path.join(root, folder, 'build.log'), (line) => {
      const progress = /^\s*\[\s*(\d+)(?:\/(\d+)\]|%\])/.exec(line);
      if (progress) update(progress[2] ? `${progress[1]} of ${progress[2]}` : `${progress[1]} %`);
    });
}

/**
 * @param {Libtorch} libtorch
 * @param {string} tools The folder that cmake-js and node-addon-api can be required from.
 * @param {boolean} force
 * @param {string} [folder] CMake's, relative to the root: builds against two libtorchs need one each. The libraries go
 *   into build/Release all the same.
 */
async function buildNative(libtorch, tools, force, folder = 'build') {
  const core = path.join(release, coreName(libtorch.version));
  const loader = path.join(release, 'libtorch_densenet.node');
  const hash = await hashSources(
    ['native', 'CMakeLists.txt'],
    `${libtorch.path} ${libtorch.version} ${libtorch.build}`,
  );
  const stamps = await readStamps();
  const stamp = folder === 'build' ? 'native' : folder;
  if (!force && stamps[stamp] === hash && (await isWhole(core)) && (await isWhole(loader))) return 'as it was';
  const mend = `The addon is built there: run this as the owner of ${root}, or install the package where you can write.`;
  await makeWritable(release, mend);
  await makeWritable(path.join(root, folder), mend);
  await step(`building the addon against libtorch ${libtorch.version} (${libtorch.build}); some minutes`, (update) =>
    compile(libtorch, tools, { folder, release }, update),
  );
  await writeStamp(stamp, hash);
  return 'built';
}

/** @param {boolean} force */
async function buildTypeScript(force) {
  const hash = await hashSources(['lib', 'tsconfig.json', 'tsconfig.build.json', 'package.json', 'scripts/build.js']);
  const dist = path.join(root, 'dist');
  if (!force && (await readStamps())['typescript'] === hash && existsSync(path.join(dist, 'index.mjs')))
    return 'as it was';
  await step('compiling the TypeScript', async () => {
    await rm(dist, { recursive: true, force: true });
    await mkdir(path.join(root, 'build'), { recursive: true });
    const compiler = require.resolve('typescript/bin/tsc');
    await runNode([compiler, '-p', 'tsconfig.build.json'], path.join(root, 'build', 'tsc.log'), () => undefined);
    for (const entry of entries) await writeModuleEntry(dist, entry);
    await bundleClient(dist);
  });
  await writeStamp('typescript', hash);
  return 'built';
}

/** What can be imported by name; the entry for pages is bundled instead. */
const entries = ['index', 'electron/index', 'electron/host'];

/**
 * The entry for `import`: it gives out what `require` gives, so that there is one copy of every class and one addon.
 *
 * @param {string} dist
 * @param {string} entry
 */
async function writeModuleEntry(dist, entry) {
  const names = Object.keys(require(path.join(dist, `${entry}.js`))).sort();
  const file = `./${path.basename(entry)}.js`;
  await writeFile(
    path.join(dist, `${entry}.mjs`),
    `import library from '${file}';\n\nexport const {\n${names.map((name) => `  ${name},\n`).join('')}} = library;\n`,
  );
  await writeFile(path.join(dist, `${entry}.d.mts`), `export * from '${file}';\n`);
}

/**
 * The bridge's client as one module that a page can load as it is. It fails if the client came to import anything of Node's.
 *
 * @param {string} dist
 */
async function bundleClient(dist) {
  await require('esbuild').build({
    entryPoints: [path.join(root, 'lib', 'electron', 'client.ts')],
    outfile: path.join(dist, 'electron', 'client.mjs'),
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
  });
  await writeFile(path.join(dist, 'electron', 'client.d.mts'), "export * from './client.js';\n");
}

/**
 * @param {object} options
 * @param {Libtorch} options.libtorch
 * @param {string} options.tools The folder that cmake-js and node-addon-api can be required from.
 * @param {boolean} options.typescript Whether to compile the TypeScript too.
 * @returns {Promise<void>}
 */
async function build({ libtorch, tools, typescript }) {
  const force = process.argv.includes('--force');
  await buildNative(libtorch, tools, force);
  if (typescript) await buildTypeScript(force);
}

module.exports = { build, buildNative, compile, configure, hashSources, readStamps, release, writeStamp };

if (require.main === module) runScript(() => require('./setup').buildAll());
