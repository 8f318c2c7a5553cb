'use strict';

/**
 * The figures of docs/reliability.md. `npm run soak -- NAME --json docs/reliability.json` puts a run among `runs`; `rows` says
 * what the page holds, and is written by hand. `node scripts/reliability.js` writes the page's table from both.
 */

const { readFile, writeFile } = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');
const { runScript } = require('./report');

const root = path.join(__dirname, '..');

/**
 * @typedef {object} Run The last one of a check.
 * @property {string} date
 * @property {number} times
 * @property {string} unit
 * @property {number} seed
 * @property {number} seconds
 * @property {number} done
 * @property {string[]} faults
 * @property {Record<string, number | string>} figures
 * @property {Record<string, string>} versions
 */

/**
 * @typedef {object} Row
 * @property {string} name Of the check, where `runs` has it by that name.
 * @property {string} target
 * @property {string} command
 * @property {string} [remark] What falls short and why.
 */

/** @typedef {{ rows: Row[], runs: Record<string, Run> }} Figures */

/**
 * Adds a run to a file of figures, in the place of the one before.
 *
 * @param {string} file
 * @param {{ name: string, unit: string }} check
 * @param {Omit<Run, 'date' | 'unit' | 'versions'>} run
 */
async function addRun(file, { name, unit }, { times, seed, seconds, done, faults, figures }) {
  /** @type {Figures} */
  const all = await readFile(file, 'utf8').then(JSON.parse, () => ({ rows: [], runs: {} }));
  const { version, libtorch } = await require('..').runtimeInfo();
  all.runs[name] = {
    date: new Date().toISOString().slice(0, 10),
    times,
    unit,
    seed,
    seconds: Math.round(seconds),
    done,
    faults: faults.slice(0, 20),
    figures,
    versions: {
      'libtorch-densenet': version,
      libtorch: `${libtorch.version} (${libtorch.build})`,
      node: process.versions.node,
      system: `${os.type()} ${os.arch()}`,
    },
  };
  await writeFile(file, `${JSON.stringify(all, undefined, 2)}\n`);
}

/** @param {Run} run */
function describe({ done, unit, faults, figures, seconds }) {
  const time = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
  const more = Object.entries(figures).map(
    ([name, value]) => `${name} ${typeof value === 'number' ? value.toLocaleString('en-US') : value}`,
  );
  return [`**${done.toLocaleString('en-US')} ${unit}, ${faults.length} faults** (${time})`, ...more].join('; ');
}

/**
 * The table as Markdown.
 *
 * @param {Figures} figures
 */
function toTable({ rows, runs }) {
  const lines = rows.map(({ name, target, command, remark = '' }) => {
    const run = runs[name];
    const last =
      run !== undefined ? describe(run) : command.startsWith('npm test') ? 'every run of the tests' : 'not run yet';
    const versions =
      run === undefined ? '' : `${run.date}, libtorch ${run.versions['libtorch']}, Node ${run.versions['node']}`;
    return [target, `\`${command}\``, last, versions, remark].map((cell) => cell.replaceAll('|', '\\|')).join(' | ');
  });
  return [
    'what is held | command | last long run | when, and with what | what falls short',
    '--- | --- | --- | --- | ---',
    ...lines,
  ]
    .map((line) => `| ${line} |`)
    .join('\n');
}

const [start, end] = ['<!-- table: node scripts/reliability.js -->', '<!-- end of the table -->'];

/**
 * A page with its table written anew, as prettier lays it out.
 *
 * @param {string} page
 * @param {Figures} figures
 */
async function withTable(page, figures) {
  const [from, to] = [page.indexOf(start), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the page has no place for its table: ${start} … ${end}`);
  const text = `${page.slice(0, from)}${start}\n\n${toTable(figures)}\n\n${page.slice(to)}`;
  const prettier = require('prettier');
  return prettier.format(text, {
    ...(await prettier.resolveConfig(path.join(root, 'package.json'))),
    parser: 'markdown',
  });
}

async function main() {
  const page = path.join(root, 'docs', 'reliability.md');
  const figures = JSON.parse(await readFile(path.join(root, 'docs', 'reliability.json'), 'utf8'));
  const text = await readFile(page, 'utf8');
  const wanted = await withTable(text, figures);
  // The tests ask whether the page is up to date.
  if (!process.argv.includes('--check')) await writeFile(page, wanted);
  else if (text !== wanted)
    throw new Error('docs/reliability.md is not what docs/reliability.json says: run node scripts/reliability.js');
}

module.exports = { addRun };

if (require.main === module) runScript(main);
