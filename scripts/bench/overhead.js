'use strict';

/**
 * JavaScript's share of a training run: `node scripts/bench/overhead.js [--rounds N] [--threads N] [--json]`. The same
 * steps of the same core run in a program without JavaScript (train_loop.cc), in `Trainer.fit` that nobody listens to,
 * and in one whose every event is taken and counted. They take turns in blocks of about a second; what counts is the
 * median ratio of a round.
 *
 * Two programs differ by some percent whatever they do. So Linux is also asked how long JavaScript's own thread computed:
 * that is all that JavaScript adds but for what the training thread does to hand an event over.
 */

const { execFile, spawn } = require('node:child_process');
const { existsSync, readFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { parseArgs, promisify } = require('node:util');
const Table = require('cli-table3');
const { runScript, step } = require('../report');
const { root, setup } = require('../setup');

/** Networks of two blocks, from a step of a fraction of a millisecond to one of a usual size. */
const cases = [
  { name: 'tiny', growth: 4, layers: 2, batch: 4, size: 8, images: 400 },
  { name: 'small', growth: 12, layers: 4, batch: 64, size: 8, images: 640 },
  { name: 'usual', growth: 12, layers: 12, batch: 32, size: 32, images: 128 },
];

/** @typedef {(typeof cases)[number]} Case */

/**
 * On the clock, of the processor by all threads, and by JavaScript's own.
 *
 * @typedef {{ seconds: number, cpu: number, javascript: number }} Times
 */

/** @returns {Promise<string>} */
async function buildProgram() {
  const build = path.join(root, 'build');
  await promisify(execFile)('cmake', ['--build', build, '--target', 'train_loop'], { maxBuffer: 1 << 26 });
  const places = ['train_loop', path.join('Release', 'train_loop')].map((name) => path.join(build, name));
  const program = places.find((file) => existsSync(file));
  if (program === undefined) throw new Error('cmake built no train_loop.');
  return program;
}

/** @param {string} program @param {Case} one */
async function startNative(program, { growth, layers, batch, size, images }) {
  const child = spawn(program, [growth, layers, batch, size, images].map(String), {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('train_loop ended before its work was done.');
    return value;
  };
  await answer();
  return {
    run: async (/** @type {number} */ epochs) => {
      child.stdin.write(`${epochs}\n`);
      const [seconds = 0, cpu = 0] = /** @type {string} */ (await answer()).split(' ').map(Number);
      return { seconds, cpu, javascript: 0 };
    },
    end: () => child.stdin.end(),
  };
}

/** Seconds that this thread, JavaScript's, has computed. */
function ownSeconds() {
  if (process.platform !== 'linux') return NaN;
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e9;
}

/** @param {() => Promise<import('../../dist').History>} run @returns {Promise<Times>} */
async function timed(run) {
  const before = process.cpuUsage();
  const ownBefore = ownSeconds();
  const { seconds } = await run();
  const javascript = ownSeconds() - ownBefore;
  const { user, system } = process.cpuUsage(before);
  return { seconds, cpu: (user + system) / 1e6, javascript };
}

/** @param {Case} one */
async function startOurs({ growth, layers, batch, size, images }) {
  const { DenseNet, Trainer, datasets } = require('../../dist');
  const model = await DenseNet.create({
    growthRate: growth,
    blockConfig: [layers, layers],
    initChannels: 2 * growth,
    stem: 'cifar',
    inChannels: 1,
    numClasses: 10,
    device: 'cpu',
    seed: 1,
  });
  const data = datasets.fromArrays({
    images: {
      data: Float32Array.from({ length: images * size * size }, (_, place) => Math.sin(place)),
      shape: [images, 1, size, size],
    },
    labels: Array.from({ length: images }, (_, index) => index % 10),
  });
  const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.01, momentum: 0.9 }, seed: 1 });
  let events = 0;
  return {
    silent: (/** @type {number} */ epochs) => timed(async () => trainer.fit(data, { epochs, batchSize: batch })),
    heard: async (/** @type {number} */ epochs) =>
      timed(async () => {
        const run = trainer.fit(data, { epochs, batchSize: batch });
        let mean = 0;
        for await (const event of run) {
          events += 1;
          if (event.type === 'step') mean = 0.98 * mean + 0.02 * event.loss;
        }
        return run;
      }),
    events: () => events,
    end: () => model.dispose(),
  };
}

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return (Number(sorted[(sorted.length - 1) >> 1]) + Number(sorted[sorted.length >> 1])) / 2;
}

/** @param {string} program @param {Case} one @param {number} rounds */
async function measure(program, one, rounds) {
  const native = await startNative(program, one);
  const ours = await startOurs(one);
  const steps = Math.ceil(one.images / one.batch);
  // Warm, and long enough to know how many epochs a second is.
  for (const run of [native.run, ours.silent, ours.heard]) await run(2);
  const epochs = Math.max(1, Math.round(5 / (await native.run(5)).seconds));
  const heardBefore = ours.events();
  /** @type {{ native: Times, silent: Times, heard: Times }[]} */
  const found = [];
  await step(`${one.name}: ${rounds} rounds of ${epochs * steps} steps`, async (update) => {
    for (let round = 1; round <= rounds; round += 1) {
      update(`round ${round}`);
      const nothing = { seconds: 0, cpu: 0, javascript: 0 };
      const times = { native: nothing, silent: nothing, heard: nothing };
      // Each goes first in its turn, so that nobody profits from a place.
      const order = /** @type {const} */ (['native', 'silent', 'heard']);
      for (let turn = 0; turn < 3; turn += 1) {
        const who = order[(round + turn) % 3] ?? 'native';
        times[who] = await (who === 'native' ? native.run(epochs) : ours[who](epochs));
      }
      found.push(times);
    }
  });
  const events = (ours.events() - heardBefore) / (rounds * epochs * steps);
  native.end();
  await ours.end();
  const share = (/** @type {'silent' | 'heard'} */ who, /** @type {keyof Times} */ clock) =>
    median(found.map((times) => times[who][clock] / times.native[clock] - 1));
  const own = (/** @type {'silent' | 'heard'} */ who) =>
    median(found.map((times) => times[who].javascript / times[who].seconds));
  return {
    name: one.name,
    stepMilliseconds: (1000 * median(found.map((times) => times.native.seconds))) / (epochs * steps),
    silent: { seconds: share('silent', 'seconds'), cpu: share('silent', 'cpu'), javascript: own('silent') },
    heard: { seconds: share('heard', 'seconds'), cpu: share('heard', 'cpu'), javascript: own('heard') },
    eventsPerStep: events,
    rounds: found,
  };
}

async function overhead() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '9' },
      threads: { type: 'string', default: String(os.availableParallelism()) },
      json: { type: 'boolean', default: false },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds must be a whole number above 0.');
  // Read when libtorch is loaded, by this process and by the program that it starts.
  process.env['OMP_NUM_THREADS'] = values.threads;
  const print = console.log;
  if (values.json) console.log = console.error;
  await setup();
  const program = await step('the loop without JavaScript', buildProgram);
  const results = [];
  for (const one of cases) results.push(await measure(program, one, rounds));
  if (values.json) {
    print(JSON.stringify(results));
    return;
  }
  const percent = (/** @type {number} */ share) => `${(100 * share).toFixed(2)} %`;
  const all = (/** @type {Times} */ { seconds, cpu, javascript }) => [seconds, cpu, javascript].map(percent).join(', ');
  const table = new Table({
    head: ['', 'native step ms', 'fit adds: time, CPU; JavaScript’s thread', 'with a listener', 'events a step'],
    style: { head: [], border: [] },
  });
  for (const { name, stepMilliseconds, silent, heard, eventsPerStep } of results)
    table.push([name, stepMilliseconds.toFixed(3), all(silent), all(heard), eventsPerStep.toFixed(2)]);
  console.log(table.toString());
}

runScript(overhead);
