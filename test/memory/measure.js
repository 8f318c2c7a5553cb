'use strict';

/** Measures the peak of training steps above the process at rest: `node measure.js '{"options": …, "shape": […]}'`. */

const { readFileSync } = require('node:fs');
const { DenseNet, Trainer } = require('../../dist');

/**
 * The most memory that this process has held, bytes. Linux hands `maxRSS` down from the process that started this one,
 * which may be larger; its VmHWM begins anew with each program.
 */
function peak() {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024;
  const [, kilobytes] = /VmHWM:\s*(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

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
  const measured = peak() - resting;
  console.log(JSON.stringify({ predicted, measured }));
}

void main();
