'use strict';

/**
 * `npm run fuzz:guided [-- --seconds 300] [--parser NAME]`: random files for the parsers, as `npm run fuzz`, but the fuzzer
 * (libFuzzer, by Jazzer.js) sees which lines a file reached and what it was compared with, and goes on from those that
 * reached something new. What it found worth keeping stays in build/fuzz, from where the next run goes on; a file that made a
 * fault too. Jazzer.js is fetched from npm into the user's cache when it is first needed, since it is large.
 */

const { mkdir, writeFile } = require('node:fs/promises');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { runCommand } = require('../lib/runtime/fetch');
const { runScript, step } = require('./report');
const { installTool, root, setup } = require('./setup');

const jazzer = '@jazzer.js/core@4.0.0';

/** Seconds that a parser may take for a file. */
const SLOW = 1;

/** Bytes; larger files only make the run slow. */
const LARGEST = 16_384;

/** Jazzer's command line. @returns {Promise<string>} */
async function findJazzer() {
  const cli = path.join(await installTool([jazzer]), 'node_modules', '@jazzer.js', 'core', 'dist', 'cli.js');
  const { code, output } = await runCommand(process.execPath, [cli, '--help'], process.env);
  if (code === 0) return cli;
  throw new Error(`${jazzer} does not run here; its Linux build needs glibc 2.38.\n${output.slice(-1500)}`);
}

/**
 * The parsers and what they need in one file, in which the fuzzer counts.
 *
 * @param {string} folder
 */
async function bundle(folder) {
  const outfile = path.join(folder, 'guided.cjs');
  await require('esbuild').build({
    entryPoints: [path.join(root, 'test', 'fuzz', 'guided.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    packages: 'external',
    sourcemap: 'inline',
    define: { __dirname: JSON.stringify(path.join(root, 'test', 'fuzz')) },
    logLevel: 'warning',
  });
  return outfile;
}

/**
 * @param {string} cli
 * @param {string} file
 * @param {import('../test/fuzz/parsers').Target} target
 * @param {number} seconds
 * @returns {Promise<boolean>} Whether nothing was wrong.
 */
async function fuzz(cli, file, target, seconds) {
  const folder = path.join(path.dirname(file), target.name.replaceAll(' ', '-'));
  const corpus = path.join(folder, 'corpus');
  await mkdir(corpus, { recursive: true });
  const seeds = [...target.seeds.right, ...target.seeds.wrong];
  await Promise.all(seeds.map((bytes, index) => writeFile(path.join(corpus, `seed-${index}`), bytes)));
  const options = [`-max_total_time=${seconds}`, `-max_len=${LARGEST}`, `-timeout=${SLOW}`];
  const { code, output } = await step(
    `the parser of ${target.name}, ${seconds} s`,
    () =>
      runCommand(
        process.execPath,
        [cli, file, corpus, '--sync=false', '-i', 'guided', '--', ...options, `-artifact_prefix=${folder}${path.sep}`],
        { ...process.env, PARSER: target.name },
        root,
      ),
    ({ code: status, output: said }) => {
      const files = Number(/Done (\d+) runs/.exec(said)?.[1] ?? 0).toLocaleString('en-US');
      const [, places, ways] = /DONE\s+cov: (\d+) ft: (\d+)/.exec(said) ?? [];
      return status === 0 ? `${files} files, ${places} places and ${ways} ways reached` : 'a fault';
    },
  );
  if (code !== 0) console.log(output.slice(-4000));
  return code === 0;
}

async function main() {
  const { values } = parseArgs({
    options: { seconds: { type: 'string', default: '300' }, parser: { type: 'string' } },
  });
  const seconds = Number(values.seconds);
  if (!(seconds >= 1)) throw new Error('--seconds must be a number from 1 on.');
  await setup();
  const cli = await findJazzer();
  require('../test/typescript');
  /** @type {typeof import('../test/fuzz/parsers')} */
  const { fuzzTargets } = require('../test/fuzz/parsers');
  const targets = fuzzTargets().filter(({ name }) => values.parser === undefined || values.parser === name);
  if (targets.length === 0) throw new Error(`There is no parser ${values.parser}: see test/fuzz/parsers.ts.`);
  const folder = path.join(root, 'build', 'fuzz');
  await mkdir(folder, { recursive: true });
  const file = await bundle(folder);
  let [passed, failed] = [0, 0];
  for (const target of targets) {
    if (await fuzz(cli, file, target, seconds)) passed += 1;
    else failed += 1;
  }
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

runScript(main);
