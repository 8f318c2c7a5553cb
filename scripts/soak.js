'use strict';

/**
 * `npm run soak` lists the checks of docs/reliability.md; `npm run soak -- NAME` does one, and `npm run soak -- all` all, in
 * their long dose. `--times N` and `--seed S` change it (`--share 0.01` that of all), `--json FILE` adds the figures to a
 * file. The tests do a small dose of each. The exit status is 1 when anything is not as it should be.
 */

const { parseArgs } = require('node:util');
const { addRun } = require('./reliability');
const { runScript, step } = require('./report');
const { setup } = require('./setup');

/** @typedef {import('../test/soak/check').Check} Check */

/**
 * @param {Check} check
 * @param {number} times
 * @param {number} seed
 */
async function run(check, times, seed) {
  const started = performance.now();
  const { done, faults, figures } = await step(
    `${check.name}, ${times.toLocaleString('en-US')} ${check.unit}`,
    (update) =>
      check.run(/** @type {any} */ (require('..')), {
        times,
        seed,
        progress: (count) => update(`${count} of ${times}`),
      }),
    (outcome) =>
      Object.entries({ ...outcome.figures, faults: outcome.faults.length })
        .map(([name, value]) => `${name} ${value}`)
        .join('; '),
  );
  for (const fault of faults.slice(0, 20)) console.log(`  ${fault}`);
  return { done, faults, figures, seconds: (performance.now() - started) / 1000 };
}

async function soak() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      times: { type: 'string' },
      seed: { type: 'string', default: '1' },
      share: { type: 'string', default: '1' },
      json: { type: 'string' },
    },
  });
  require('../test/typescript');
  /** @type {{ checks: readonly Check[] }} */
  const { checks } = require('../test/soak/checks');
  const name = positionals.join(' ');
  if (name === '') {
    for (const { name: one, about, times, unit } of checks)
      console.log(`${one.padEnd(13)} ${about} (${times.toLocaleString('en-US')} ${unit})`);
    return;
  }
  const chosen = checks.filter((check) => name === 'all' || check.name === name);
  if (chosen.length === 0)
    throw new Error(
      `There is no check ${JSON.stringify(name)}: give one of ${checks.map((one) => one.name).join(', ')}, or all.`,
    );
  const [seed, share] = [Number(values.seed), Number(values.share)];
  const given = values.times === undefined ? undefined : Number(values.times);
  for (const [option, value] of Object.entries({ times: given ?? 1, seed: seed + 1, share: share * 1e6 }))
    if (!(value >= 1)) throw new Error(`--${option} must be a number above 0.`);
  await setup();
  let [passed, failed] = [0, 0];
  for (const check of chosen) {
    const times = given ?? Math.ceil(check.times * share);
    const outcome = await run(check, times, seed);
    passed += Math.max(0, outcome.done - outcome.faults.length);
    failed += outcome.faults.length;
    if (values.json !== undefined) await addRun(values.json, check, { ...outcome, times, seed });
  }
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

runScript(soak);
