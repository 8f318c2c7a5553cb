'use strict';

/**
 * What must hold on a GPU, against the CPU, which is held against PyTorch elsewhere. A program on Node and the compiled
 * package alone, so that it also runs from the offline archive: it prints one line of JSON a check, and its exit code says
 * whether all held. Run it with NVIDIA_TF32_OVERRIDE=0, or float32 is compared with something less exact.
 */

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { Worker, isMainThread } = require('node:worker_threads');
const { DenseNet, DenseNetError, Trainer, datasets, runtimeInfo } = require('../../dist');

/** @typedef {import('../../lib').TensorData} TensorData */

/** A check that cannot be made here, with the reason. */
class Skipped extends Error {}

/** The device under test; `cpu` tries the checks themselves. */
const device = /** @type {import('../../lib').Device} */ (process.env['GPU_CHECKS_DEVICE'] ?? 'cuda');

const small = /** @type {const} */ ({ variant: 'cifar-bc-100-12', seed: 3 });

/**
 * Images that differ from one another, always the same.
 *
 * @param {number} count
 * @param {number} size
 */
function makeImages(count, size) {
  const data = Float32Array.from({ length: count * 3 * size * size }, (_, place) => Math.sin(place * 12.9898) * 1.5);
  return { data, shape: [count, 3, size, size] };
}

/** @param {number} count */
const makeLabels = (count) => Array.from({ length: count }, (_, index) => index % 10);

/**
 * The difference of some tensors beside their size, over all values together: a step's small tensors, such as the
 * gradient of one bias, are off by far more wherever a sum has another order.
 *
 * @param {Map<string, TensorData>} actual
 * @param {Map<string, TensorData>} expected
 */
function difference(actual, expected) {
  if (actual.size !== expected.size) return Infinity;
  let [off, size] = [0, 1e-12];
  for (const [name, { data }] of expected) {
    const found = /** @type {TensorData} */ (actual.get(name)).data;
    for (let place = 0; place < data.length; place += 1) {
      off += (Number(found[place]) - Number(data[place])) ** 2;
      size += Number(data[place]) ** 2;
    }
  }
  return Math.sqrt(off / size);
}

/**
 * What a few steps leave.
 *
 * @param {import('../../lib').Device} place
 * @param {number} steps
 * @param {{ implementation?: 'auto' | 'reference', precision?: 'fp32' | 'bf16' | 'fp16', deterministic?: boolean }} [options]
 */
async function trainOn(place, steps, { implementation = 'auto', ...options } = {}) {
  const model = await DenseNet.create({ ...small, device: place, implementation });
  const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.002, momentum: 0.9 }, seed: 1, ...options });
  const losses = [];
  for (let step = 0; step < steps; step += 1) {
    const { loss } = await trainer.step({ images: makeImages(16, 32), labels: makeLabels(16) });
    losses.push(loss);
  }
  const result = { losses, gradients: await model.gradients(), state: await model.stateDict() };
  await model.dispose();
  return result;
}

/**
 * @param {{ precision?: 'bf16' | 'fp16', deterministic?: boolean }} options Which an older build may not know.
 * @param {number} steps
 */
async function tryTrain(options, steps) {
  try {
    return await trainOn(device, steps, options);
  } catch (error) {
    if (error instanceof DenseNetError && error.code === 'ERR_INVALID_ARGUMENT') throw new Skipped(error.message);
    throw error;
  }
}

/** @param {() => Promise<unknown>} work @param {string} code */
async function fails(work, code) {
  try {
    await work();
  } catch (error) {
    if (error instanceof DenseNetError && error.code === code) return true;
    throw error;
  }
  return false;
}

/** The GPU memory of this process in MB. */
function usedMemory() {
  const { stdout, status } = spawnSync('nvidia-smi', [
    '--query-compute-apps=pid,used_memory',
    '--format=csv,noheader,nounits',
  ]);
  const line =
    status === 0 ? `${stdout}`.split('\n').find((text) => Number(text.split(',')[0]) === process.pid) : undefined;
  if (line === undefined) throw new Skipped("nvidia-smi does not tell this process's memory");
  return Number(line.split(',')[1]);
}

/**
 * Whether the device's numbers after some steps are the CPU's. Not nearer than the CPU's two ways of computing are to
 * one another: how much a step magnifies roundings is the network's doing.
 *
 * @param {number} steps
 * @param {'gradients' | 'state'} what
 * @returns {Promise<[boolean, number]>}
 */
async function agrees(steps, what) {
  const modules = await trainOn('cpu', steps, { implementation: 'reference' });
  const off = difference((await trainOn(device, steps))[what], modules[what]);
  return [off <= 4 * difference((await trainOn('cpu', steps))[what], modules[what]) + 1e-5, off];
}

/** A check gives the value that was compared, and whether it holds. @type {Record<string, () => Promise<[boolean, number]>>} */
const checks = {
  'logits in evaluation are the CPU’s': async () => {
    let worst = 0;
    for (const [variant, size] of /** @type {const} */ ([
      ['cifar-bc-100-12', 32],
      ['densenet121', 224],
    ])) {
      const cpu = await DenseNet.create({ variant, seed: 3, device: 'cpu' });
      const gpu = await DenseNet.create({ variant, seed: 3, device });
      const images = makeImages(3, size);
      const [found, expected] = [await gpu.forward(images), await cpu.forward(images)];
      worst = Math.max(worst, difference(new Map([['logits', found]]), new Map([['logits', expected]])));
      await Promise.all([cpu.dispose(), gpu.dispose()]);
    }
    return [worst <= 1e-4, worst];
  },
  'gradients of a step are the CPU’s': () => agrees(1, 'gradients'),
  'weights and statistics after ten steps of SGD are the CPU’s': () => agrees(10, 'state'),
  ...Object.fromEntries(
    /** @type {const} */ (['bf16', 'fp16']).map((precision) => [
      `ten steps in ${precision} lose about what they do in float32`,
      async () => {
        const { losses } = await tryTrain({ precision }, 10);
        const truth = (await trainOn('cpu', 10)).losses;
        const off = Math.max(...losses.map((loss, step) => Math.abs(loss - Number(truth[step]))));
        return [off <= 0.1, off];
      },
    ]),
  ),
  'a run repeats bit for bit in deterministic mode': async () => {
    const [one, two] = [await tryTrain({ deterministic: true }, 10), await tryTrain({ deterministic: true }, 10)];
    const off = difference(one.state, two.state);
    return [off === 0, off];
  },
  'a label out of range is refused before it reaches the device': async () => {
    const model = await DenseNet.create({ ...small, device });
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.05 } });
    const images = makeImages(2, 32);
    const refused = await fails(() => trainer.step({ images, labels: [0, 10] }), 'ERR_LABEL_OUT_OF_RANGE');
    const { loss } = await trainer.step({ images, labels: [0, 9] });
    await model.dispose();
    return [refused && Number.isFinite(loss), loss];
  },
  'a frozen backbone and what is unfrozen later both train': async () => {
    const model = await DenseNet.create({ ...small, device });
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.05 } });
    const batch = { images: makeImages(8, 32), labels: makeLabels(8) };
    await model.freeze('features');
    for (let step = 0; step < 6; step += 1) await trainer.step(batch);
    const few = (await model.gradients()).size;
    await model.unfreeze();
    for (let step = 0; step < 6; step += 1) await trainer.step(batch);
    const all = (await model.gradients()).size;
    await model.dispose();
    return [few === 2 && all > 100, all];
  },
  'several models train at once as they do alone': async () => {
    const alone = await tryTrain({ deterministic: true }, 6);
    const together = await Promise.all([0, 1, 2].map(() => tryTrain({ deterministic: true }, 6)));
    const off = Math.max(...together.map(({ state }) => difference(state, alone.state)));
    return [off === 0, off];
  },
  'a worker thread uses the same device': async () => {
    const worker = new Worker(__filename);
    const shape = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    await worker.terminate();
    return [String(shape) === '2,10', 0];
  },
  'a run that is cancelled leaves a model that works': async () => {
    const model = await DenseNet.create({ ...small, device });
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.05 } });
    const data = datasets.fromArrays({ images: makeImages(256, 32), labels: makeLabels(256) });
    const stop = new AbortController();
    const run = trainer.fit(data, { epochs: 1000, batchSize: 32, signal: stop.signal });
    setTimeout(() => stop.abort(), 500);
    const ended = await Promise.resolve(run).then(
      () => false,
      (error) => error === stop.signal.reason,
    );
    const { loss } = await trainer.step({ images: makeImages(4, 32), labels: makeLabels(4) });
    await model.dispose();
    return [ended && Number.isFinite(loss), loss];
  },
  'memory that runs out is an error from which the next call recovers': async () => {
    const model = await DenseNet.create({ variant: 'densenet121', seed: 1, device });
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.01 } });
    const count = Number(process.env['GPU_HUGE_BATCH'] ?? 8192);
    const huge = { data: new Uint8Array(count * 3 * 224 * 224), shape: [count, 3, 224, 224] };
    const times = Number(process.env['GPU_OUT_OF_MEMORY_TIMES'] ?? 10);
    let held = true;
    for (let time = 0; time < times && held; time += 1) {
      held = await fails(() => trainer.step({ images: huge, labels: makeLabels(count) }), 'ERR_CUDA_OOM');
      const { loss } = await trainer.step({ images: makeImages(2, 224), labels: [0, 1] });
      held &&= Number.isFinite(loss);
    }
    await model.dispose();
    return [held, times];
  },
  'making and disposing of models takes no memory away': async () => {
    for (let time = 0; time < 5; time += 1) await trainOn(device, 5);
    const before = usedMemory();
    for (let time = 0; time < 30; time += 1) await trainOn(device, 5);
    const grown = usedMemory() - before;
    return [grown <= 64, grown];
  },
};

async function main() {
  const { cuda } = await runtimeInfo();
  if (device !== 'cpu' && !cuda.available) {
    console.log(`skipped: no device: ${cuda.reason}`);
    return;
  }
  const wanted = process.argv.slice(2);
  for (const [check, run] of Object.entries(checks)) {
    if (wanted.length > 0 && !wanted.some((part) => check.includes(part))) continue;
    const result = await run().then(
      ([held, value]) => ({ held, value }),
      (error) =>
        error instanceof Skipped ? { held: true, skipped: error.message } : { held: false, error: String(error) },
    );
    if (!result.held) process.exitCode = 1;
    console.log(JSON.stringify({ check, ...result }));
  }
}

async function work() {
  const model = await DenseNet.create({ ...small, device });
  const { shape } = await model.forward(makeImages(2, 32));
  await model.dispose();
  require('node:worker_threads').parentPort?.postMessage(shape);
}

module.exports = { checks: Object.keys(checks), program: path.resolve(__filename) };

if (!isMainThread) void work();
else if (require.main === module) void main();
