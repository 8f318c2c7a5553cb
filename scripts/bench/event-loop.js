'use strict';

/**
 * How long JavaScript waits for its turn while a model trains and while one loads: `node scripts/bench/event-loop.js`.
 * Prints the delay of a timer (percentiles, milliseconds); the target is a 99th percentile below 20 ms.
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
 * @param {string} what
 * @param {() => Promise<unknown>} work
 */
async function measure(what, work) {
  const delays = monitorEventLoopDelay({ resolution });
  delays.enable();
  const started = performance.now();
  await work();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  delays.disable();
  const shown = [50, 99, 99.9].map((part) => `p${part} ${(delays.percentile(part) / 1e6).toFixed(1)}`).join(', ');
  console.log(`${what} (${seconds} s): ${shown}, longest ${(delays.max / 1e6).toFixed(1)} ms`);
}

runScript(async () => {
  await setup();
  const { DenseNet, Trainer, datasets } = require('../../dist');
  const folder = await mkdtemp(path.join(os.tmpdir(), 'densenet-loop-'));
  try {
    await measure('nothing at all', () => sleep(3000));
    await measure('loading libtorch', () => DenseNet.create({ variant: 'cifar-bc-100-12' }));
    const model = await DenseNet.create({ variant: 'densenet121', numClasses: 10 });
    const file = path.join(folder, 'densenet121.safetensors');
    await measure('saving DenseNet-121', () => model.saveWeights(file));
    await measure('loading DenseNet-121', () => DenseNet.load(file));
    const shape = [2000, 3, 64, 64];
    const images = { data: new Uint8Array(shape.reduce((product, length) => product * length)).fill(90), shape };
    const labels = Int32Array.from({ length: 2000 }, (_, index) => index % 10);
    const data = datasets.fromArrays({ images, labels });
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.01 } });
    await measure('training DenseNet-121', async () => {
      const stop = AbortSignal.timeout(15_000);
      const run = trainer.fit(data, { epochs: 1, batchSize: 8, signal: stop });
      await run.catch((/** @type {unknown} */ error) => {
        if (!stop.aborted) throw error;
      });
    });
    await measure('reading its state', () => model.stateDict());
    await model.dispose();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
