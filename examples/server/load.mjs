// Measures the service on this machine, with batching and without: each is a server process of its own, and they take
// turns. Prints a table in Markdown. `node examples/server/load.mjs [--seconds 10] [--rounds 3] [--connections 1,4,16]`

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { DenseNet } from 'libtorch-densenet';
import sharp from 'sharp';

const { values } = parseArgs({
  options: {
    weights: { type: 'string' }, // this model alone; default: DenseNet-121 and a CIFAR model, with random weights
    seconds: { type: 'string', default: '10' }, // of each measurement
    rounds: { type: 'string', default: '3' }, // the median counts
    connections: { type: 'string', default: '1,4,16' }, // clients, each of which sends its next picture after an answer
  },
});
const [seconds, rounds] = [Number(values.seconds), Number(values.rounds)];
const connections = values.connections.split(',').map(Number);

const ways = [
  ['one by one', ['--max-batch', '1', '--max-wait', '0']],
  ['batches, no wait', ['--max-wait', '0']],
  ['batches, 5 ms', ['--max-wait', '5']],
];

const folder = await mkdtemp(path.join(os.tmpdir(), 'densenet-load-'));
try {
  console.log(`${os.cpus()[0]?.model}, ${os.availableParallelism()} threads, Node ${process.version}`);
  console.log(`load of the machine before: ${os.loadavg()[0].toFixed(2)}\n`);
  console.log('| model | clients | | requests/s | p50 ms | p99 ms | images a batch |');
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  for (const [name, weights, body] of await makeModels()) {
    for (const clients of connections) {
      const found = new Map(ways.map(([way]) => [way, []]));
      for (let round = 0; round < rounds; round += 1)
        for (const [way, flags] of ways) found.get(way).push(await measure(weights, flags, body, clients));
      for (const [way, results] of found) {
        const cell = (key, digits) => median(results.map((one) => one[key])).toFixed(digits);
        const cells = [cell('rate', 1), cell('p50', 0), cell('p99', 0), cell('batch', 1)];
        console.log(`| ${[name, clients, way, ...cells].join(' | ')} |`);
      }
    }
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** Each model with the picture that it is asked about. */
async function makeModels() {
  if (values.weights !== undefined) return [[path.basename(values.weights), values.weights, await picture(640, 480)]];
  const made = [];
  for (const [variant, size, width] of [
    ['densenet121', 224, 640],
    ['cifar-bc-100-12', 32, 64],
  ]) {
    const file = path.join(folder, `${variant}.safetensors`);
    const model = await DenseNet.create({ variant, imageSize: [size, size] });
    await model.saveWeights(file);
    await model.dispose();
    made.push([variant, file, await picture(width, (width * 3) / 4)]);
  }
  return made;
}

function picture(width, height) {
  const noise = { type: 'gaussian', mean: 128, sigma: 40 };
  return sharp({ create: { width, height, channels: 3, background: 'black', noise } })
    .jpeg()
    .toBuffer();
}

async function measure(weights, flags, body, clients) {
  const program = fileURLToPath(new URL('server.mjs', import.meta.url));
  const server = spawn(process.execPath, [program, '--weights', weights, '--port', '0', ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(server, 'exit');
  try {
    const url = await Promise.race([addressOf(server), ended]);
    if (typeof url !== 'string') throw new Error('the server ended before it listened.');
    const request = { url: `${url}/predict`, method: 'POST', headers: { 'content-type': 'image/jpeg' }, body };
    await autocannon({ ...request, connections: clients, duration: 1 }); // until it is warm
    const before = await batchesOf(url);
    const result = await autocannon({ ...request, connections: clients, duration: seconds });
    const after = await batchesOf(url);
    if (result.errors + result.non2xx > 0)
      throw new Error(`${result.errors} errors, ${result.non2xx} refusals: fewer clients than --max-queue are needed.`);
    if (result.requests.total === 0) throw new Error(`nothing was answered in ${seconds} s. Give more --seconds.`);
    return {
      rate: result.requests.total / result.duration,
      p50: result.latency.p50,
      p99: result.latency.p99,
      batch: (after.images - before.images) / (after.batches - before.batches),
    };
  } finally {
    server.kill('SIGTERM');
    await ended;
  }
}

async function addressOf(server) {
  for await (const line of readline.createInterface({ input: server.stdout })) {
    const found = /^listening on (\S+),/.exec(line);
    if (found !== null) return found[1];
  }
  return undefined;
}

async function batchesOf(url) {
  const text = await (await fetch(`${url}/metrics`)).text();
  const valueOf = (name) => Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)[1]);
  return { batches: valueOf('densenet_batches_total'), images: valueOf('densenet_batch_images_total') };
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
