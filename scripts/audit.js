'use strict';

/**
 * `npm run audit`: asks the registry for advisories against the packages that a user gets (`npm audit --omit=dev`), and
 * checks the tree for what an advisory would not tell: versions that are not pinned, packages without a hash, and scripts that run at
 * installation. `--required` fails where the registry cannot be asked; otherwise that is said, loudly, and skipped.
 */

const { readFile } = require('node:fs/promises');
const path = require('node:path');
const { runCommand } = require('../lib/runtime/fetch');
const { runScript } = require('./report');

const root = path.join(__dirname, '..');

/**
 * @typedef {object} LockedPackage
 * @property {string} [version]
 * @property {string} [integrity]
 * @property {boolean} [dev]
 * @property {boolean} [link]
 * @property {boolean} [hasInstallScript]
 */

/**
 * What is wrong with the packages as they are written down.
 *
 * @param {{ scripts?: Record<string, string>, dependencies?: Record<string, string>, devDependencies?: Record<string, string> }} manifest
 * @param {{ packages: Record<string, LockedPackage> }} lock
 * @returns {string[]}
 */
function faultsOf(manifest, lock) {
  const faults = [];
  for (const name of ['preinstall', 'install', 'postinstall', 'prepare'])
    if (manifest.scripts?.[name] !== undefined) faults.push(`package.json has a script "${name}"`);
  for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }))
    if (!/^\d+\.\d+\.\d+$/.test(version)) faults.push(`${name} is not pinned to one version: ${version}`);
  for (const [place, { integrity, dev, link, hasInstallScript }] of Object.entries(lock.packages)) {
    if (place === '' || link) continue;
    if (!integrity) faults.push(`${place} has no hash in package-lock.json`);
    if (hasInstallScript && !dev) faults.push(`${place} runs a script at installation`);
  }
  return faults;
}

/**
 * What npm answered.
 *
 * @param {string} output Of `npm audit --json`.
 * @returns {{ advisories: string[] } | { unanswered: string }}
 */
function readAnswer(output) {
  /** @type {any} */
  let answer;
  try {
    answer = JSON.parse(output.slice(output.indexOf('{'), output.lastIndexOf('}') + 1));
  } catch {
    const said = output.split('\n').filter((line) => line.trim() !== '' && !line.includes('A complete log'));
    return { unanswered: said.at(-1) ?? 'npm said nothing' };
  }
  if (typeof answer.vulnerabilities !== 'object' || answer.vulnerabilities === null)
    return { unanswered: answer.error?.summary || answer.message || 'npm gave no list of advisories' };
  const found = /** @type {{ name: string, severity: string, range: string }[]} */ (
    Object.values(answer.vulnerabilities)
  );
  return { advisories: found.map(({ name, severity, range }) => `${name} ${range}: ${severity}`) };
}

async function audit() {
  const [manifest, lock] = await Promise.all(
    ['package.json', 'package-lock.json'].map(async (name) =>
      JSON.parse(await readFile(path.join(root, name), 'utf8')),
    ),
  );
  const faults = faultsOf(manifest, lock);
  console.log(
    faults.length === 0 ? '✔ every package is pinned and has its hash, and none runs a script' : '✘ packages',
  );
  for (const fault of faults) console.log(`  ${fault}`);
  let [passed, failed, skipped] = faults.length === 0 ? [1, 0, 0] : [0, 1, 0];

  const { output } = await runCommand('npm', ['audit', '--omit=dev', '--json'], process.env, root);
  const answer = readAnswer(output);
  if ('unanswered' in answer) {
    console.log(`\nSKIPPED: nobody was asked for advisories. The registry does not answer: ${answer.unanswered}`);
    if (process.argv.includes('--required')) failed += 1;
    else skipped += 1;
  } else if (answer.advisories.length > 0) {
    console.log('✘ the registry knows advisories; `npm audit --omit=dev` tells more');
    for (const advisory of answer.advisories) console.log(`  ${advisory}`);
    failed += 1;
  } else {
    console.log('✔ the registry knows no advisory against what a user gets');
    passed += 1;
  }
  console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  process.exitCode = failed === 0 ? 0 : 1;
}

module.exports = { faultsOf, readAnswer };

if (require.main === module) runScript(audit);
