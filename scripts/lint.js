'use strict';

/**
 * `npm run lint`: every check of form and of types, for TypeScript, JavaScript and C++. `--fix` (`npm run format`)
 * mends what can be mended. All checks run, whatever fails; the last line is a plain count.
 */

const { createHash } = require('node:crypto');
const { existsSync } = require('node:fs');
const { mkdir, readFile, readdir, writeFile } = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');
const { runCommand } = require('../lib/runtime/fetch');
const { cacheFolder } = require('../lib/runtime/locate');
const { configure } = require('./build');
const { runScript, step } = require('./report');
const { root, setup } = require('./setup');

/** The tools for C++, from PyPI, kept in the user's cache. */
const clangTools = { 'clang-format': '19.1.7', 'clang-tidy': '23.1.4' };

const fix = process.argv.includes('--fix');

/**
 * Runs a command, and fails with what it printed.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 */
async function must(command, args, env = process.env) {
  const { code, output } = await runCommand(command, args, env, root);
  if (code !== 0) throw new Error(output.trim() || `${command} failed (${code})`);
}

/**
 * A tool for C++, installed in the cache when it is not there.
 *
 * @param {keyof typeof clangTools} name
 * @returns {Promise<string>} Its path.
 */
async function clangTool(name) {
  const version = clangTools[name];
  const folder = path.join(cacheFolder(), 'tools', `${name}-${version}`);
  // The program itself: the script beside it wants its package on Python's path.
  const binary = path.join(folder, name.replace('-', '_'), 'data', 'bin', name);
  if (!existsSync(binary))
    await must('python3', ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', folder, `${name}==${version}`]);
  return binary;
}

/** @returns {Promise<string[]>} Our C++ files, relative to the root. */
async function nativeFiles() {
  const entries = await readdir(path.join(root, 'native'), { recursive: true });
  return entries
    .filter((name) => /\.(h|cc)$/.test(name))
    .map((name) => path.join('native', name))
    .sort();
}

async function clangFormat() {
  const mode = fix ? ['-i'] : ['--dry-run', '-Werror'];
  await must(await clangTool('clang-format'), [...mode, ...(await nativeFiles())]);
}

/**
 * Checks each file that changed, or that includes a header that changed, since it last passed.
 *
 * @param {import('../lib/runtime/locate').Libtorch} libtorch
 * @param {(detail: string) => void} update
 */
async function clangTidy(libtorch, update) {
  const tidy = await clangTool('clang-tidy');
  const files = await nativeFiles();
  const headers = createHash('sha256').update(await readFile(path.join(root, '.clang-tidy')));
  for (const name of files.filter((file) => file.endsWith('.h'))) headers.update(await readFile(path.join(root, name)));
  const shared = headers.digest('hex');
  const stamps = path.join(root, 'build', 'tidy');
  await mkdir(stamps, { recursive: true });
  const commands = await writeCommands(libtorch);
  const waiting = files.filter((file) => file.endsWith('.cc'));
  const total = waiting.length;
  /** @type {string[]} */
  const faults = [];
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      update(`${total - waiting.length} of ${total}, ${file}`);
      const hash = createHash('sha256')
        .update(shared)
        .update(await readFile(path.join(root, file)))
        .digest('hex');
      const stamp = path.join(stamps, file.replaceAll(path.sep, '_'));
      if ((await readFile(stamp, 'utf8').catch(() => '')) === hash) continue;
      const { code, output } = await runCommand(
        tidy,
        ['-p', commands, '--quiet', ...(fix ? ['--fix'] : []), file],
        process.env,
        root,
      );
      if (code === 0) await writeFile(stamp, hash);
      else faults.push(output.replace(/^\d+ warnings.*$/gm, '').trim());
    }
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, work));
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

/**
 * The build's own commands, a file each, less gcc's precompiled header, which clang cannot read, and OpenMP, whose header it
 * lacks.
 *
 * @param {import('../lib/runtime/locate').Libtorch} libtorch
 * @returns {Promise<string>} The folder that they are in.
 */
async function writeCommands(libtorch) {
  const alone = path.join('build', 'alone');
  const folder = path.join(root, alone);
  await mkdir(folder, { recursive: true });
  await configure(libtorch, root, {
    folder: alone,
    release: path.join(folder, 'Release'),
    settings: ['--CDTOGETHER=0'],
  });
  const file = path.join(folder, 'compile_commands.json');
  /** @type {{ command: string, file: string }[]} */
  const commands = JSON.parse(await readFile(file, 'utf8'));
  for (const entry of commands)
    entry.command = entry.command.replace(/-Winvalid-pch|-fpch-preprocess|-fopenmp|-include \S+cmake_pch\.hxx/g, '');
  await writeFile(file, JSON.stringify(commands));
  return folder;
}

async function lint() {
  const libtorch = await setup();
  const node = process.execPath;
  const tool = (/** @type {string} */ name) => require.resolve(name);
  const bin = (/** @type {string} */ name) => path.join(root, 'node_modules', '.bin', name);
  /** @type {[string, (update: (detail: string) => void) => Promise<void>][]} */
  const checks = [
    ['prettier', () => must(node, [bin('prettier'), fix ? '--write' : '--check', '--log-level', 'warn', '.'])],
    ['eslint', () => must(node, [bin('eslint'), '--max-warnings', '0', ...(fix ? ['--fix'] : []), '.'])],
    ['types', () => must(node, [tool('typescript/bin/tsc'), '--noEmit'])],
    ['clang-format', clangFormat],
    ['clang-tidy', (update) => clangTidy(libtorch, update)],
  ];
  let failed = 0;
  for (const [name, check] of checks) {
    try {
      await step(name, check);
    } catch (error) {
      failed += 1;
      console.log(error instanceof Error ? error.message : error);
    }
  }
  console.log(`\n${checks.length - failed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

runScript(lint);
