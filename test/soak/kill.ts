import { mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Trainer } from '../../lib';
import { runProgram } from '../child';
import { randomNumbers, type Package } from './check';

/** What became of many kills. */
export interface KillResult {
  kills: number;
  /** Runs that came to their end in spite of them. */
  ended: number;
  /** Kills that left a file that was being written. */
  unfinished: number;
  faults: string[];
}

/** Large enough that half of the time goes into writing. */
const config = {
  growthRate: 16,
  blockConfig: [3, 3],
  initChannels: 24,
  stem: 'cifar',
  inChannels: 1,
  numClasses: 3,
  dropRate: 0.1,
  device: 'cpu',
} as const;

const options = `{ optimizer: { type: 'adam', lr: 0.01 }, schedule: { type: 'cosine' }, ema: 0.9, mixup: 0.4, seed: 4 }`;

/** Trains to the end, from the folder's newest checkpoint where there is one; a checkpoint a step. */
const program = (folder: string): string => `
  const fs = require('node:fs');
  const folder = ${JSON.stringify(folder)};
  const model = await DenseNet.create({ ...${JSON.stringify(config)}, seed: 1 });
  const trainer = new Trainer(model, ${options});
  const say = (text) => fs.writeSync(1, text + '\\n');
  if (fs.existsSync(folder) && fs.readdirSync(folder).some((name) => name.endsWith('.safetensors'))) {
    const { skipped } = await trainer.resume(folder);
    if (skipped.length > 0) say('skipped ' + JSON.stringify(skipped));
  }
  const checkpoint = { folder, everySteps: 1, keepLast: 2 };
  const plan = { epochs: 4, batchSize: 3, validation: data(5), checkpoint };
  for await (const event of trainer.fit(data(30), plan))
    if (event.type === 'checkpoint') say('saved ' + event.path);
  const hash = require('node:crypto').createHash('sha256');
  for (const [, { data }] of await model.stateDict()) hash.update(new Uint8Array(data.buffer));
  say('ended ' + hash.digest('hex'));
  await model.dispose();
`;

/**
 * Kills training processes without warning, each at a random time while it writes checkpoints, and lets the next one go
 * on. Whatever was said to be saved must be there, the newest file must be whole, and the run must end with the weights
 * of one that nobody killed.
 */
export async function killWhileSaving(
  library: Package,
  times: number,
  seed: number,
  progress: (kills: number) => void = () => undefined,
): Promise<KillResult> {
  const place = await mkdtemp(path.join(os.tmpdir(), 'densenet-kill-'));
  const result: KillResult = { kills: 0, ended: 0, unfinished: 0, faults: [] };
  const random = randomNumbers(seed);
  const model = await library.DenseNet.create({ ...config, blockConfig: [...config.blockConfig] });
  const checker = new library.Trainer(model, { optimizer: { type: 'adam', lr: 0.01 }, ema: 0.9 });
  try {
    const expected = endOf((await runProgram(program(path.join(place, 'unbroken')))).stdout);
    let folder = path.join(place, 'run-0');
    while (result.kills < times) {
      const output = await runAndKill(folder, random() * 400);
      for (const line of output.split('\n').filter((one) => one.startsWith('skipped'))) result.faults.push(line);
      const end = endOf(output);
      if (end !== undefined) {
        if (end !== expected) result.faults.push(`a run of ${folder} ended with other weights`);
        await rm(folder, { recursive: true });
        folder = path.join(place, `run-${(result.ended += 1)}`);
        continue;
      }
      result.kills += 1;
      progress(result.kills);
      result.faults.push(...(await checkFolder(checker, folder, output)));
      if ((await readdir(folder)).some((name) => name.includes('.tmp-'))) result.unfinished += 1;
    }
    // The last one is let go on to its end.
    const end = endOf((await runProgram(program(folder))).stdout);
    result.ended += 1;
    if (end !== expected || expected === undefined) result.faults.push('the last run ended with other weights');
  } finally {
    await model.dispose();
    await rm(place, { recursive: true, force: true });
  }
  return result;
}

/** Runs the program until so many milliseconds after its first checkpoint, or its end. Returns what it said. */
async function runAndKill(folder: string, delay: number): Promise<string> {
  let begun = false;
  const { stdout, stderr, signal } = await runProgram(program(folder), {
    onOutput: (text, kill) => {
      if (begun || !text.includes('saved ')) return;
      begun = true;
      setTimeout(() => kill('SIGKILL'), delay);
    },
  });
  if (signal !== 'SIGKILL' && endOf(stdout) === undefined) throw new Error(`the program failed: ${stderr}`);
  return stdout;
}

/** The newest checkpoint must be whole, and no older than the last that was said to be saved. */
async function checkFolder(checker: Trainer, folder: string, output: string): Promise<string[]> {
  const said = [...output.matchAll(/saved .*?(epoch-[^\n]*)\.safetensors\n/g)].map((match) => match[1] as string);
  const { path: newest, skipped } = await checker.resume(folder);
  const faults = skipped.map(({ reason }) => reason);
  const last = said.at(-1);
  if (last !== undefined && order(path.basename(newest, '.safetensors')) < order(last))
    faults.push(`${last} was saved and is lost: the newest is ${newest}`);
  return faults;
}

/** Names in the order of their places: the end of an epoch comes after its steps. */
function order(name: string): string {
  return name.includes('-step-') ? name : `${name}-step-9999999`;
}

function endOf(output: string): string | undefined {
  return /ended ([0-9a-f]{64})/.exec(output)?.[1];
}
