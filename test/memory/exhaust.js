'use strict';

/**
 * Runs out of memory on purpose: `node exhaust.js '{"options": …, "size": …, "spare": …, "excess": …, "rounds": …}'`. The
 * process is limited, by the `prlimit` of Linux, to the memory that it has and `spare` bytes more. Then, in each round, it
 * takes a step of a batch that needs `excess` times as much, a step of the batch that the error says would fit, and a
 * small one. Prints what happened as JSON.
 */

const { createHash } = require('node:crypto');
const { DenseNet, Trainer } = require('../../dist');
const { limit, writable } = require('./limit');

/** @param {import('../../dist').DenseNet} model */
async function fingerprint(model) {
  const hash = createHash('sha256');
  for (const [name, { data }] of await model.stateDict())
    hash.update(name).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return hash.digest('hex');
}

/** What a call is refused with. @param {() => Promise<unknown>} call */
async function failure(call) {
  try {
    await call();
    return undefined;
  } catch (error) {
    const { code, message } = /** @type {{ code: string, message: string }} */ (error);
    return { code, message };
  }
}

async function main() {
  /** @type {{ options: import('../../lib').CreateOptions, size: number, spare: number, excess: number, rounds: number }} */
  const { options, size, spare, excess, rounds } = JSON.parse(process.argv[2] ?? '{}');
  const make = async () => {
    const model = await DenseNet.create({ ...options, device: 'cpu', seed: 1 });
    return { model, trainer: new Trainer(model, { optimizer: { type: 'sgd', lr: 0.01, momentum: 0.9 }, seed: 1 }) };
  };
  const { model, trainer } = await make();
  const each = model.config.inChannels * size * size;
  let tooLarge = 8;
  while ((await model.estimateMemory({ batch: tooLarge, size })) < excess * spare)
    tooLarge = Math.ceil(tooLarge * 1.05);

  // Made before there is a limit, which is to fall upon native memory.
  const pixels = new Float32Array(tooLarge * each);
  for (let place = 0; place < pixels.length; place += 1) pixels[place] = Math.sin(place);
  /** @param {number} count @param {number} start */
  const batch = (count, start = 0) => ({
    images: {
      data: pixels.subarray(start * each, (start + count) * each),
      shape: [count, model.config.inChannels, size, size],
    },
    labels: Array.from({ length: count }, (_, index) => index % 3),
  });
  const wide = new Float32Array(Math.ceil((1.2 * spare) / 4 / each) * each);

  /** Batches that were trained on, and the loss of each. @type {{ count: number, start: number, loss: number }[]} */
  const taken = [];
  const train = async (/** @type {number} */ count, start = 0) => {
    const { loss } = await trainer.step(batch(count, start));
    taken.push({ count, start, loss });
  };
  await train(2);
  const found = [];
  limit(writable() + spare);
  for (let round = 1; round <= rounds; round += 1) {
    const before = await fingerprint(model);
    const refused = await failure(() => trainer.step(batch(tooLarge)));
    const unchanged = (await fingerprint(model)) === before && (await model.gradients()).size === 0;
    const [, fitting = '0'] = /A batch of (\d+) would fit/.exec(refused?.message ?? '') ?? [];
    const again = fitting === '0' ? undefined : await failure(() => train(Number(fitting)));
    // Of a shape that was not seen before.
    const evaluated = await failure(() => model.forward(batch(tooLarge - round).images));
    const copied = await failure(() =>
      model.forward({ data: wide, shape: [wide.length / each, model.config.inChannels, size, size] }),
    );
    await train(2, round);
    found.push({ refused, unchanged, fitting: Number(fitting), again, evaluated, copied });
  }
  limit('unlimited');
  const fresh = await make();
  const expected = [];
  for (const { count, start } of taken) expected.push((await fresh.trainer.step(batch(count, start))).loss);
  console.log(JSON.stringify({ tooLarge, found, losses: taken.map(({ loss }) => loss), expected }));
}

void main();
