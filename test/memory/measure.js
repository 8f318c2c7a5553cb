'use strict';

/** Measures the peak of training steps above the process at rest: `node measure.js '{"options": …, "shape": […]}'`. */

const { DenseNet, Trainer } = require('../../dist');

async function main() {
  /** @type {{ options: import('../../lib').CreateOptions, shape: number[] }} */
  const { options, shape } = JSON.parse(process.argv[2] ?? '{}');
  const model = await DenseNet.create({ ...options, device: 'cpu' });
  const [batch = 0, , height = 0, width = 0] = shape;
  const predicted = await model.estimateMemory({ batch, size: [height, width] });
  const data = new Float32Array(shape.reduce((product, length) => product * length)).fill(0.5);
  for (let place = 0; place < data.length; place += 3) data[place] = (place % 97) / 97;
  const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.001, momentum: 0.9 } });
  const labels = Array.from({ length: batch }, (_, index) => index % 10);
  const resting = process.memoryUsage.rss();
  for (let step = 0; step < 3; step += 1) await trainer.step({ images: { data, shape }, labels });
  const measured = process.resourceUsage().maxRSS * 1024 - resting;
  console.log(JSON.stringify({ predicted, measured }));
}

void main();
