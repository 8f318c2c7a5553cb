'use strict';

/**
 * `npm run soak -- kill [--times 1000] [--seed 1]`: kills training processes while they save, see test/soak/kill.ts. The
 * tests do ten. The exit status is 1 when anything was lost.
 */

const { parseArgs } = require('node:util');
const { runScript, step } = require('./report');
const { setup } = require('./setup');

async function soak() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { times: { type: 'string', default: '1000' }, seed: { type: 'string', default: '1' } },
  });
  if (positionals.join() !== 'kill') throw new Error('Say what to do: npm run soak -- kill [--times 1000] [--seed 1]');
  await setup();
  require('../test/typescript');
  const { killWhileSaving } = require('../test/soak/kill');
  const times = Number(values.times);
  const { kills, faults } = await step(
    'killing training while it saves',
    (update) =>
      killWhileSaving(/** @type {any} */ (require('..')), times, Number(values.seed), (/** @type {number} */ done) =>
        update(`${done} of ${times}`),
      ),
    (result) =>
      `${result.kills} kills, ${result.unfinished} of them in the middle of a file, ${result.ended} runs ended`,
  );
  for (const fault of faults.slice(0, 20)) console.log(`  ${fault}`);
  console.log(`\n${kills - faults.length} passed, ${faults.length} failed`);
  process.exitCode = faults.length === 0 && kills > 0 ? 0 : 1;
}

runScript(soak);
