'use strict';

/**
 * `npm run soak -- kill [--times 1000] [--seed 1]`: kills training processes while they save, see test/soak/kill.ts.
 * `npm run soak -- flips [--times 10000]`: flips single bits of a checkpoint. The tests do ten and 500. The exit status is
 * 1 when anything was lost, or not noticed.
 */

const { parseArgs } = require('node:util');
const { runScript, step } = require('./report');
const { setup } = require('./setup');

/** @typedef {{ times: number, seed: number }} Dose */

/**
 * Each returns its faults.
 *
 * @type {Record<string, (dose: Dose) => Promise<string[]>>}
 */
const checks = {
  async kill({ times, seed }) {
    const { killWhileSaving } = require('../test/soak/kill');
    const { faults } = await step(
      'killing training while it saves',
      (update) =>
        killWhileSaving(/** @type {any} */ (require('..')), times, seed, (/** @type {number} */ done) =>
          update(`${done} of ${times}`),
        ),
      ({ kills, unfinished, ended }) =>
        `${kills} kills, ${unfinished} of them in the middle of a file, ${ended} runs ended`,
    );
    return faults;
  },
  async flips({ times, seed }) {
    const { flipBits } = require('../test/soak/flips');
    return step('flipping single bits', () => flipBits(/** @type {any} */ (require('..')), times, seed));
  },
};

async function soak() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { times: { type: 'string' }, seed: { type: 'string', default: '1' } },
  });
  const check = checks[positionals.join()];
  if (check === undefined) throw new Error('Say what to do: npm run soak -- kill, or npm run soak -- flips');
  const times = Number(values.times ?? (positionals[0] === 'kill' ? 1000 : 10_000));
  await setup();
  require('../test/typescript');
  const faults = await check({ times, seed: Number(values.seed) });
  for (const fault of faults.slice(0, 20)) console.log(`  ${fault}`);
  console.log(`\n${times - faults.length} passed, ${faults.length} failed`);
  process.exitCode = faults.length === 0 && times > 0 ? 0 : 1;
}

runScript(soak);
