'use strict';

/** Makes models, trains and disposes of them, and keeps their trainers: `node held-trainers.js` prints the process's size after each. */

const { setTimeout: sleep } = require('node:timers/promises');
const { DenseNet, Trainer } = require('../../dist');

async function main() {
  const images = { data: new Float32Array(2 * 3 * 32 * 32).map((_, place) => Math.sin(place)), shape: [2, 3, 32, 32] };
  const held = [];
  const sizes = [];
  for (let round = 0; round < 6; round += 1) {
    const model = await DenseNet.create({ variant: 'densenet121', seed: 1, device: 'cpu' });
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.01, momentum: 0.9 } });
    await trainer.step({ images, labels: [0, 1] });
    await model.dispose();
    held.push(trainer);
    await sleep(700); // the engine's buffers go back after half a second without work
    sizes.push(process.memoryUsage().rss);
  }
  if (held.length !== sizes.length) throw new Error('the trainers are held');
  console.log(JSON.stringify(sizes));
}

void main();
