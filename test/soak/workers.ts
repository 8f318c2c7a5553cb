import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { prelude, runProgram } from '../child';
import { randomNumbers, type Dose, type Outcome } from './check';

/** What a worker does until it is terminated: the first only waits, and the last has not got its model yet. */
const works = ['nothing', 'predicting', 'training', 'saving', 'loading', 'making models', 'starting'] as const;

/** Workers of one process; then another takes its place, so that a crash costs no more than these. */
const OF_A_PROCESS = 50;

const body = (file: string): string => `${prelude}
const { parentPort, workerData } = require('node:worker_threads');
(async () => {
  const file = ${JSON.stringify(file)};
  if (workerData.work === 'starting') parentPort.postMessage('ready');
  const model = await DenseNet.load(file, { device: 'cpu' });
  await model.predict(images(4));
  parentPort.postMessage('ready');
  const forever = {
    predicting: () => model.predict(images(32)),
    training: () => trainer(model).fit(data(12), endless),
    saving: () => model.saveWeights(file + '.' + workerData.index),
    loading: () => model.loadWeights(file),
    'making models': async () => (await DenseNet.create(tiny)).dispose(),
  }[workerData.work];
  if (forever === undefined) setInterval(() => undefined, 1000);
  else for (;;) await forever();
})();`;

/**
 * Workers that load a model, predict, and are terminated: half of them idle, half in the middle of a call. The process must
 * end well, with as many threads as before, and the model of its main thread must give what it gave.
 */
export async function terminateWorkers({ times, seed, progress }: Dose): Promise<Outcome> {
  const place = await mkdtemp(path.join(os.tmpdir(), 'densenet-workers-'));
  const file = path.join(place, 'model.safetensors');
  const random = randomNumbers(seed);
  const faults: string[] = [];
  let [most, grown] = [0, 0];
  const count = Object.fromEntries(works.map((work) => [work, 0])) as Record<(typeof works)[number], number>;
  try {
    const made = await runProgram(`await (await DenseNet.create(tiny)).saveWeights(${JSON.stringify(file)});`);
    if (made.code !== 0) throw new Error(made.stderr);
    for (let first = 0; first < times; first += OF_A_PROCESS) {
      const plan = Array.from({ length: Math.min(OF_A_PROCESS, times - first) }, (_, index) => ({
        index: first + index,
        work: works[
          index % 2 === 0 ? 0 : 1 + (((first + index - 1) / 2) % (works.length - 1))
        ] as (typeof works)[number],
        delay: random() * 30,
      }));
      for (const { work } of plan) count[work] += 1;
      const ended = await runProgram(
        `
        const { Worker } = require('node:worker_threads');
        const { readdirSync, existsSync } = require('node:fs');
        const threads = () => (existsSync('/proc/self/task') ? readdirSync('/proc/self/task').length : 0);
        const model = await DenseNet.load(${JSON.stringify(file)}, { device: 'cpu' });
        const before = String((await model.forward(images(3))).data);
        const start = threads();
        let memory;
        for (const [round, workerData] of ${JSON.stringify(plan)}.entries()) {
          const worker = new Worker(${JSON.stringify(body(file))}, { eval: true, workerData });
          await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
          await new Promise((resolve) => setTimeout(resolve, workerData.delay));
          await worker.terminate();
          if (round === 9) memory = process.memoryUsage().rss;
        }
        const after = String((await model.forward(images(3))).data);
        const grown = (process.memoryUsage().rss - memory) / 2 ** 20;
        console.log(JSON.stringify({ same: after === before, threads: threads() - start, grown }));`,
      );
      const where = `workers ${first} to ${first + plan.length - 1}`;
      const found =
        ended.code === 0 ? (JSON.parse(ended.stdout) as { same: boolean; threads: number; grown: number }) : undefined;
      if (found === undefined)
        faults.push(`${where}: the process ended with ${ended.code ?? ended.signal}: ${ended.stderr}`);
      else {
        if (ended.stderr !== '') faults.push(`${where}: it said ${ended.stderr}`);
        if (!found.same) faults.push(`${where}: the main thread's model gives something else`);
        // Node's own pool may have begun meanwhile.
        if (found.threads > 4) faults.push(`${where}: ${found.threads} threads are left`);
        most = Math.max(most, found.threads);
        grown = Math.max(grown, found.grown ?? 0);
      }
      progress?.(first + plan.length);
    }
  } finally {
    await rm(place, { recursive: true, force: true });
  }
  return {
    done: times,
    faults,
    figures: { ...count, 'threads more at the end': most, 'MB grown over 40 workers': Math.round(grown * 10) / 10 },
  };
}
