'use strict';

/**
 * `npm run coverage [-- TESTS] [--full] [--html FOLDER]`, or `npm test -- --coverage`: runs the tests, or some of them, and
 * tells what share of lines and branches of lib/ they went through, the programs that they start included, and which ten
 * files have most left. `--full` lists every file, `--html FOLDER` writes pages that show each line.
 * `npm run coverage -- native` does the same for C++ (native.js). scripts/test.js calls it once all is set up.
 */

const { existsSync } = require('node:fs');
const { mkdtemp, readFile, readdir, rm } = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { createCoverageMap } = require('istanbul-lib-coverage');
const { createContext } = require('istanbul-lib-report');
const { createSourceMapStore } = require('istanbul-lib-source-maps');
const reports = require('istanbul-reports');
const { root } = require('../setup');
const { runTests } = require('../test');

/** How many files are named. */
const WORST = 10;

/**
 * Adds up what jest counted and what the programs did.
 *
 * @param {string} folder
 */
async function readCounts(folder) {
  const counts = createCoverageMap({});
  const jests = path.join(folder, 'jest', 'coverage-final.json');
  if (existsSync(jests)) counts.merge(JSON.parse(await readFile(jests, 'utf8')));
  const store = createSourceMapStore();
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.json')) continue;
    const raw = createCoverageMap(JSON.parse(await readFile(path.join(folder, name), 'utf8')));
    counts.merge(await store.transformCoverage(raw));
  }
  return counts;
}

/** @param {{ covered: number, total: number }} counts */
const share = ({ covered, total }) => `${((100 * covered) / Math.max(total, 1)).toFixed(1)} % (${covered} of ${total})`;

/** @param {import('istanbul-lib-coverage').CoverageMap} counts */
function report(counts) {
  const summary = counts.getCoverageSummary();
  console.log(`\nTypeScript: lines ${share(summary.lines)}, branches ${share(summary.branches)}`);
  const files = counts.files().map((file) => {
    const { lines, branches } = counts.fileCoverageFor(file).toSummary();
    const left = lines.total - lines.covered + branches.total - branches.covered;
    return {
      name: path.relative(root, file),
      lines,
      branches,
      left,
      uncovered: counts.fileCoverageFor(file).getUncoveredLines(),
    };
  });
  for (const { name, lines, branches, uncovered } of files.sort((a, b) => b.left - a.left).slice(0, WORST)) {
    const where =
      uncovered.length > 0 ? `; lines ${uncovered.slice(0, 12).join(' ')}${uncovered.length > 12 ? ' …' : ''}` : '';
    console.log(`  ${name}: lines ${share(lines)}, branches ${share(branches)}${where}`);
  }
}

/** @param {string[]} args */
async function coverage(args) {
  if (args[0] === 'native') return require('./native').coverage(args.slice(1));
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { full: { type: 'boolean', default: false }, html: { type: 'string' } },
  });
  const folder = await mkdtemp(path.join(os.tmpdir(), 'densenet-coverage-'));
  try {
    process.env['DENSENET_COVERAGE'] = folder;
    process.env['NODE_OPTIONS'] =
      `${process.env['NODE_OPTIONS'] ?? ''} --require ${JSON.stringify(path.join(__dirname, 'hook.js'))}`.trim();
    const jest = [
      '--coverage',
      '--coverageProvider=babel',
      '--coverageReporters=json',
      `--coverageDirectory=${path.join(folder, 'jest')}`,
    ];
    const { passed, failed, skipped } = await runTests([...jest, ...positionals]);
    const counts = await readCounts(folder);
    report(counts);
    const context = createContext({ coverageMap: counts, ...(values.html && { dir: values.html }) });
    if (values.full) reports.create('text').execute(context);
    if (values.html !== undefined) reports.create('html').execute(context);
    console.log(`\n${passed} passed, ${failed} failed${skipped}`);
    process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

module.exports = { coverage };
