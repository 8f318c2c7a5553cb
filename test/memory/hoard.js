'use strict';

/**
 * Keeps results until there is no memory for another: `node --expose-gc hoard.js`. The process is limited to what it has and
 * two and a half times a result: the first call takes that twice, natively and in JavaScript, of which one is kept; the
 * second has room for its native half, and JavaScript's is refused with half a result to spare for V8. Prints what it was
 * refused with, and whether all works once the first is let go.
 */

const { DenseNet } = require('../../dist');
const { limit, writable } = require('./limit');

/** A model whose state is one large tensor, of 64 MB, and little else. */
const numClasses = 1_000_000;
/** @type {import('../../lib').CreateOptions} */
const options = { growthRate: 4, blockConfig: [2], initChannels: 8, stem: 'cifar', numClasses, seed: 1, device: 'cpu' };
const result = 4 * 17 * numClasses;

async function main() {
  const model = await DenseNet.create(options);
  limit(writable() + 2.5 * result);
  let kept = [await model.stateDict()];
  const refused = await model.stateDict().then(
    () => undefined,
    ({ code }) => code,
  );
  const lengths = kept.map((state) => state.get('classifier.bias')?.data.length);
  kept = [];
  /** @type {() => void} */ (globalThis.gc)();
  await new Promise((resolve) => setTimeout(resolve, 100)); // buffers are freed behind the collection
  const again = (await model.stateDict()).get('classifier.bias')?.data.length;
  console.log(JSON.stringify({ refused, lengths, again }));
}

void main();
