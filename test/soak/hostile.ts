import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { isDenseNetError } from '../../lib/errors';
import { hostileFiles } from '../hostile/checkpoint-corpus';
import { SLOW_MS } from '../hostile/slow';
import { tinyOptions } from '../tiny-config';
import type { Dose, Outcome, Package } from './check';

/** Of the clock's time, for what waits for something; SLOW_MS is of the processor's, which other programs do not lengthen. */
const HANG_MS = 20_000;

/** A file whose directory is right and whose tensor is damaged is of another model too, which is seen first. */
const refusals = new Set(['ERR_FILE_FORMAT', 'ERR_WEIGHTS_MISMATCH', 'ERR_CHECKPOINT_MISMATCH']);

/** What reading came to, and the processor's time that it took. */
async function attempt(read: () => Promise<unknown>): Promise<{ outcome: string; took: number; hung: boolean }> {
  const [start, began] = [process.cpuUsage(), performance.now()];
  const outcome = await read().then(
    () => 'taken',
    (error: unknown) => (isDenseNetError(error) ? error.code : String(error)),
  );
  const { user, system } = process.cpuUsage(start);
  return { outcome, took: (user + system) / 1000, hung: performance.now() - began > HANG_MS };
}

/**
 * Gives every hostile file to all that reads weights: each refuses it with a code, within a second of the processor, and
 * the model stays as it was. Nothing in a file is run, so nothing appears beside it and no prototype changes.
 *
 * @param times How often to go through the files.
 */
export async function refuseHostileFiles(library: Package, { times, progress }: Dose): Promise<Outcome> {
  const place = await mkdtemp(path.join(os.tmpdir(), 'densenet-hostile-'));
  const model = await library.DenseNet.create(tinyOptions());
  const trainer = new library.Trainer(model, { optimizer: { type: 'sgd', lr: 0.1 } });
  const readers: Record<string, (file: string) => Promise<unknown>> = {
    loadWeights: (file) => model.loadWeights(file),
    'loadWeights, not strict': (file) =>
      model.loadWeights(file, { strict: false, adaptClassifier: true, adaptInput: true }),
    'DenseNet.load': (file) => library.DenseNet.load(file),
    'Trainer.resume': (file) => trainer.resume(file),
  };
  const files = hostileFiles();
  const file = path.join(place, 'hostile.pth');
  const faults: string[] = [];
  let [slowest, done] = [0, 0];
  try {
    const state = async (): Promise<string> => String([...(await model.stateDict())].map(([, { data }]) => data));
    const before = await state();
    for (let time = 0; time < times; time += 1)
      for (const { name, bytes } of files) {
        await writeFile(file, bytes);
        for (const [reader, read] of Object.entries(readers)) {
          let { outcome, took, hung } = await attempt(() => read(file));
          // The collector of garbage may have had its turn: what is slow again is slow.
          for (let more = 0; more < 2 && took > SLOW_MS; more += 1)
            ({ outcome, took, hung } = await attempt(() => read(file)));
          slowest = Math.max(slowest, took);
          if (!refusals.has(outcome)) faults.push(`${reader} of ${name}: ${outcome}`);
          if (took > SLOW_MS || hung) faults.push(`${reader} of ${name} took ${Math.round(took)} ms`);
        }
        done += 1;
        progress?.(Math.floor(done / files.length));
      }
    if ((await state()) !== before) faults.push('the model is not what it was');
    const there = await readdir(place);
    if (there.length !== 1) faults.push(`there are ${there.join()}`);
    if (Object.keys(Object.prototype).length > 0) faults.push('the prototype of objects was changed');
  } finally {
    await model.dispose();
    await rm(place, { recursive: true, force: true });
  }
  const figures = {
    files: files.length,
    'ways to read each': Object.keys(readers).length,
    'slowest, ms of the processor': Math.round(slowest),
  };
  return { done: times, faults, figures };
}
