'use strict';

/**
 * One contender of the benchmark, in Node: ours, or onnxruntime-node. Like contender.py it makes its model, says so, and
 * does one timed block of steps for each line on its input.
 */

const readline = require('node:readline');
const { setTimeout: sleep } = require('node:timers/promises');

/**
 * @typedef {object} Options
 * @property {string} form
 * @property {'train' | 'infer'} task
 * @property {Record<string, any>} config
 * @property {number} batch
 * @property {number} size
 * @property {string} device
 * @property {number} threads
 * @property {string} onnx
 * @property {string} modules Where onnxruntime-node is installed.
 */

/** The most memory that this process has held, in bytes. */
const peak = () => process.resourceUsage().maxRSS * 1024;

/** @param {Options} options */
async function ours(options) {
  const { DenseNet, Trainer, runtimeInfo } = require('../../dist');
  const [implementation, memory] = options.form.split(' ');
  const model = await DenseNet.create({
    ...options.config,
    device: /** @type {any} */ (options.device),
    implementation: implementation === 'reference' ? 'reference' : 'auto',
    memory: /** @type {any} */ (memory ?? 'auto'),
    seed: 0,
  });
  const images = makeImages(options);
  const labels = Array.from({ length: options.batch }, (_, index) => index % options.config['numClasses']);
  const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.01, momentum: 0.9 } });
  const { libtorch } = await runtimeInfo();
  return {
    name: `libtorch ${libtorch.version}`,
    step: async () => {
      if (options.task === 'train') await trainer.step({ images, labels });
      else await model.forward(images);
    },
  };
}

/** @param {Options} options */
async function onnxruntime(options) {
  const runtime = require(require.resolve('onnxruntime-node', { paths: [options.modules] }));
  const session = await runtime.InferenceSession.create(options.onnx, {
    intraOpNumThreads: options.threads,
    executionProviders: ['cpu'],
  });
  const { data, shape } = makeImages(options);
  const feeds = { [session.inputNames[0]]: new runtime.Tensor('float32', data, shape) };
  const { version } = require(require.resolve('onnxruntime-node/package.json', { paths: [options.modules] }));
  return { name: `onnxruntime-node ${version}`, step: () => session.run(feeds) };
}

/** @param {Options} options */
function makeImages({ batch, config, size }) {
  const shape = [batch, config['inChannels'], size, size];
  const data = new Float32Array(shape.reduce((product, length) => product * length));
  for (let place = 0; place < data.length; place += 1) data[place] = Math.random();
  return { data, shape };
}

async function main() {
  const options = /** @type {Options} */ (JSON.parse(process.argv[2] ?? '{}'));
  const { name, step } = await (options.form === 'onnxruntime' ? onnxruntime(options) : ours(options));
  await sleep(50);
  const resting = peak();
  const started = performance.now();
  await step();
  const first = (performance.now() - started) / 1000;
  await step();
  console.log(JSON.stringify({ ready: name, first }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const times = [];
    for (let count = Number(line); count > 0; count -= 1) {
      const start = performance.now();
      await step();
      times.push((performance.now() - start) / 1000);
    }
    console.log(JSON.stringify({ times, peak: peak() - resting }));
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
