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
 * @property {string} precision
 * @property {number} threads
 * @property {string} onnx
 * @property {string} modules Where onnxruntime-node is installed.
 */

/** The most memory that this process has held, in bytes. */
const peak = () => process.resourceUsage().maxRSS * 1024;

/**
 * What a contender does for one block: the seconds of each of `count` steps.
 *
 * @typedef {(count: number) => Promise<number[]>} Block
 */

/**
 * @param {() => Promise<unknown>} step
 * @returns {Block}
 */
function timed(step) {
  return async (count) => {
    const times = [];
    for (; count > 0; count -= 1) {
      const start = performance.now();
      await step();
      times.push((performance.now() - start) / 1000);
    }
    return times;
  };
}

/** @param {Options} options @returns {Promise<{ name: string, block: Block }>} */
async function ours(options) {
  const { DenseNet, Trainer, datasets, runtimeInfo } = require('../../dist');
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
  const precision = options.precision === 'fp32' ? {} : { precision: options.precision };
  const trainer = new Trainer(model, {
    optimizer: { type: 'sgd', lr: 0.01, momentum: 0.9 },
    .../** @type {object} */ (precision),
  });
  const { libtorch } = await runtimeInfo();
  const name = `libtorch ${libtorch.version}`;
  if (options.task === 'infer') return { name, block: timed(() => model.forward(images)) };
  if (options.device === 'cpu') return { name, block: timed(() => trainer.step({ images, labels })) };
  // A run, as people train on a GPU: bytes in ordinary memory, some batches an epoch. Native code times each epoch.
  const steps = 4;
  const [batch = 0, ...sizes] = images.shape;
  const bytes = new Uint8Array(steps * images.data.length);
  for (let place = 0; place < bytes.length; place += 1)
    bytes[place] = Math.floor(Number(images.data[place % images.data.length]) * 256);
  const data = datasets.fromArrays({
    images: { data: bytes, shape: [steps * batch, ...sizes] },
    labels: Array.from({ length: steps }, () => labels).flat(),
  });
  return {
    name,
    block: async (count) => {
      const { epochs } = await trainer.fit(data, { epochs: Math.ceil(count / steps), batchSize: options.batch });
      return epochs.map(({ seconds }) => seconds / steps);
    },
  };
}

/** @param {Options} options @returns {Promise<{ name: string, block: Block }>} */
async function onnxruntime(options) {
  const runtime = require(require.resolve('onnxruntime-node', { paths: [options.modules] }));
  const session = await runtime.InferenceSession.create(options.onnx, {
    intraOpNumThreads: options.threads,
    executionProviders: ['cpu'],
  });
  const { data, shape } = makeImages(options);
  const feeds = { [session.inputNames[0]]: new runtime.Tensor('float32', data, shape) };
  const { version } = require(require.resolve('onnxruntime-node/package.json', { paths: [options.modules] }));
  return { name: `onnxruntime-node ${version}`, block: timed(() => session.run(feeds)) };
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
  const { name, block } = await (options.form === 'onnxruntime' ? onnxruntime(options) : ours(options));
  await sleep(50);
  const resting = peak();
  const started = performance.now();
  await block(1);
  const first = (performance.now() - started) / 1000;
  // On a GPU algorithms are chosen and steps recorded in the first few.
  await block(options.device === 'cpu' ? 1 : 8);
  console.log(JSON.stringify({ ready: name, first }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const times = await block(Number(line));
    console.log(JSON.stringify({ times, peak: peak() - resting }));
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
