'use strict';

/**
 * How long JavaScript waits for its turn while a model trains and while one loads: `node scripts/bench/event-loop.js`.
 * Prints the delay of a timer (percentiles, milliseconds); the target is a 99th percentile below 20 ms.
 * `npm run soak -- event-loop` does the same and keeps the figures.
 */

const { mkdtemp, rm } = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');
const { monitorEventLoopDelay } = require('node:perf_hooks');
const { setTimeout: sleep } = require('node:timers/promises');
const { runScript } = require('../report');
const { setup } = require('../setup');

/** How often the delay is looked at, milliseconds. It is part of every delay that is measured. */
const resolution = 1;

/**
 * @typedef {object} Delays
 * @property {string} what
 * @property {number} seconds
 * @property {number} p50 Milliseconds, as the others.
 * @property {number} p99
 * @property {number} p999
 * @property {number} longest
 */

/**
 * @param {string} what
 * @param {() => Promise<unknown>} work
 * @returns {Promise<Delays>}
 */
async function measure(what, work) {
  const delays = monitorEventLoopDelay({ resolution });
  delays.enable();
  const started = performance.now();
  await work();
  const seconds = (performance.now() - started) / 1000;
  delays.disable();
  const [p50, p99, p999] = [50, 99, 99.9].map((part) => delays.percentile(part) / 1e6);
  return { what, seconds, p50: Number(p50), p99: Number(p99), p999: Number(p999), longest: delays.max / 1e6 };
}

/**
 * @param {Pick<typeof import('../../lib'), 'DenseNet' | 'Trainer' | 'datasets'>} library
 * @param {number} seconds How long to train.
 * @param {(delays: Delays) => void} [tell]
 * @returns {Promise<Delays[]>}
 */
async function measureAll({ DenseNet, Trainer, datasets }, seconds, tell = () => undefined) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'densenet-loop-'));
  /** @type {Delays[]} */
  const found = [];
  const note = async (/** @type {string} */ what, /** @type {() => Promise<unknown>} */ work) => {
    found.push(await measure(what, work));
    tell(/** @type {Delays} */ (found.at(-1)));
  };
  try {
    await note('nothing at all', () => sleep(Math.min(3000, 1000 * seconds)));
    await note('loading libtorch', async () => (await DenseNet.create({ variant: 'cifar-bc-100-12' })).dispose());
    const model = await DenseNet.create({ variant: 'densenet121', numClasses: 10 });
    const file = path.join(folder, 'densenet121.safetensors');
    await note('saving DenseNet-121', () => model.saveWeights(file));
    await note('loading DenseNet-121', async () => (await DenseNet.load(file)).dispose());
    const shape = [2000, 3, 64, 64];
    const images = { data: new Uint8Array(shape.reduce((product, length) => product * length)).fill(90), shape };
    const labels = Int32Array.from({ length: 2000 }, (_, index) => index % 10);
    const data = datasets.fromArrays({ images, labels });
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.01 } });
    await note('training DenseNet-121', async () => {
      const stop = AbortSignal.timeout(1000 * seconds);
      const run = trainer.fit(data, { epochs: 1e6, batchSize: 8, signal: stop });
      await run.catch((/** @type {unknown} */ error) => {
        if (!stop.aborted) throw error;
      });
    });
    await note('reading its state', () => model.stateDict());
    await model.dispose();
    return found;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function main() {
  await setup();
  await measureAll(/** @type {any} */ (require('../../dist')), 15, ({ what, seconds, p50, p99, p999, longest }) =>
    console.log(
      `${what} (${seconds.toFixed(1)} s): p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, p99.9 ${p999.toFixed(1)}, ` +
        `longest ${longest.toFixed(1)} ms`,
    ),
  );
}

module.exports = { measureAll };

if (require.main === module) runScript(main);
