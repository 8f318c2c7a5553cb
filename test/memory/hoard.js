'use strict';

/**
 * Keeps results until there is no memory for another: `node --expose-gc hoard.js`. The process is limited to the memory that
 * it has and some more; then it asks for a model's whole state, and keeps it, again and again. Prints what the last call was
 * refused with, how many there were before, and whether all works once they are let go.
 */

const { DenseNet } = require('../../dist');
const { limit, writable } = require('./limit');

async function main() {
  const model = await DenseNet.create({ variant: 'densenet121', seed: 1, device: 'cpu' });
  let kept = [await model.stateDict()];
  limit(writable() + 200e6);
  /** @type {unknown} */
  let code;
  while (code === undefined && kept.length < 20)
    await model.stateDict().then(
      (state) => kept.push(state),
      (error) => (code = error.code),
    );
  const before = kept.length - 1;
  kept = [];
  /** @type {() => void} */ (globalThis.gc)();
  await new Promise((resolve) => setTimeout(resolve, 100)); // buffers are freed behind the collection
  const works = (await model.stateDict()).size > 700;
  console.log(JSON.stringify({ code, before, works }));
}

void main();
