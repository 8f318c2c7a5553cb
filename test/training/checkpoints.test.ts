import { mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createHash } from 'node:crypto';
import { DenseNet, type CheckpointEvent, type EpochEvent, type FitOptions, type TrainerOptions } from '../../lib';
import * as library from '../../lib';
import { readTensors } from '../parity/fixture';
import { flip, flipBits } from '../soak/flips';
import { stateOf, tinyDataset, tinyTrainer } from '../tiny';
import { expectRefusal, fingerprint, modelMaker, wrong } from '../unit/support';

const make = modelMaker();
const sgd = { type: 'sgd', lr: 0.05, momentum: 0.9 } as const;

let folder: string;
beforeEach(async () => (folder = await mkdtemp(path.join(os.tmpdir(), 'densenet-checkpoints-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

const names = async (place = folder): Promise<string[]> =>
  (await readdir(place)).filter((name) => name.endsWith('.safetensors')).sort();

/** A run, and what it said of its checkpoints. */
async function run(plan: Partial<FitOptions>, options: Partial<TrainerOptions> = {}): Promise<CheckpointEvent[]> {
  const events: CheckpointEvent[] = [];
  const trainer = tinyTrainer(await make(), { optimizer: sgd, ...options });
  for await (const event of trainer.fit(tinyDataset(), { epochs: 4, batchSize: 4, ...plan }))
    if (event.type === 'checkpoint') events.push(event);
  return events;
}

describe('a run writes', () => {
  it('a checkpoint an epoch, keeps the last three, and tells of each', async () => {
    const events = await run({ checkpoint: { folder } });
    expect(await names()).toEqual(['epoch-0002.safetensors', 'epoch-0003.safetensors', 'epoch-0004.safetensors']);
    expect(events.map(({ epoch, best }) => [epoch, best])).toEqual([1, 2, 3, 4].map((epoch) => [epoch, false]));
    expect(events.at(-1)?.path).toBe(path.join(folder, 'epoch-0004.safetensors'));
  });

  it('within epochs too, by optimizer steps', async () => {
    await run({ epochs: 2, batchSize: 2, checkpoint: { folder, everySteps: 2, keepLast: 10 } });
    expect(await names()).toEqual([
      'epoch-0001-step-0000002.safetensors',
      'epoch-0001-step-0000004.safetensors',
      'epoch-0001.safetensors',
      'epoch-0002-step-0000002.safetensors',
      'epoch-0002-step-0000004.safetensors',
      'epoch-0002.safetensors',
    ]);
  });

  it('every so many epochs, and always the last', async () => {
    await run({ epochs: 5, checkpoint: { folder, every: 2, keepLast: 9 } });
    expect(await names()).toEqual(['epoch-0002.safetensors', 'epoch-0004.safetensors', 'epoch-0005.safetensors']);
  });

  it.each(['loss', 'top1'] as const)('the best by %s of the validation data', async (best) => {
    const epochs: EpochEvent[] = [];
    const checkpoints: CheckpointEvent[] = [];
    const trainer = tinyTrainer(await make(), { optimizer: { ...sgd, lr: 0.5 } });
    const validation = tinyDataset(7);
    const plan = { epochs: 6, batchSize: 4, validation, checkpoint: { folder, best, every: 0 } };
    for await (const event of trainer.fit(tinyDataset(), plan)) {
      if (event.type === 'epoch') epochs.push(event);
      if (event.type === 'checkpoint') checkpoints.push(event);
    }
    const values = epochs.map(({ validation: found }) => (best === 'loss' ? -found!.loss : found!.top1));
    const improved = values.flatMap((value, at) =>
      at === 0 || value > Math.max(...values.slice(0, at)) ? at + 1 : [],
    );
    expect(checkpoints.map(({ epoch, best: is }) => [epoch, is])).toEqual(improved.map((epoch) => [epoch, true]));
    expect(await names()).toEqual(['best.safetensors']);
    await using model = await DenseNet.load(path.join(folder, 'best.safetensors'), { device: 'cpu' });
    const { loss, top1 } = await tinyTrainer(model).evaluate(validation);
    const { validation: at } = epochs[(improved.at(-1) as number) - 1] as EpochEvent;
    expect([loss, top1]).toEqual([expect.closeTo(at!.loss, 6), at!.top1]);
  });

  it('the place in which it was ended', async () => {
    const trainer = tinyTrainer(await make());
    const events: string[] = [];
    const endless = trainer.fit(tinyDataset(), { epochs: 1e6, batchSize: 4, checkpoint: { folder, every: 0 } });
    const loop = (async () => {
      for await (const event of endless) {
        events.push(event.type);
        endless.cancel();
      }
    })();
    await expect(loop).rejects.toMatchObject({ name: 'AbortError' });
    expect(events).toContain('checkpoint');
    expect(await names()).toHaveLength(1);
  });

  it('nothing, where nothing was trained', async () => {
    const trainer = tinyTrainer(await make());
    const bad = trainer.fit(tinyDataset(), {
      epochs: 1,
      batchSize: 4,
      signal: AbortSignal.abort(),
      checkpoint: { folder },
    });
    await expect(bad).rejects.toMatchObject({ name: 'AbortError' });
    expect(await names()).toEqual([]);
  });
});

describe('a checkpoint', () => {
  it('is a model for DenseNet.load, and the weights alone for loadWeights', async () => {
    const model = await make();
    const trainer = tinyTrainer(model, { optimizer: { type: 'adam' }, ema: 0.5 });
    await trainer.fit(tinyDataset(), { epochs: 1, batchSize: 4 });
    const file = path.join(folder, 'one.safetensors');
    await trainer.save(file);
    await using loaded = await DenseNet.load(file, { device: 'cpu' });
    expect(await stateOf(loaded)).toEqual(await stateOf(model));
    expect(loaded.config).toEqual(model.config);
    const other = await make({ seed: 2 });
    expect(await other.loadWeights(file)).toMatchObject({ missing: [], unexpected: [] });
    expect(await stateOf(other)).toEqual(await stateOf(model));
  });

  it('ends in the SHA-256 of all before it', async () => {
    const trainer = tinyTrainer(await make());
    const file = path.join(folder, 'one.safetensors');
    await trainer.save(file);
    const bytes = await readFile(file);
    expect(bytes.subarray(-32)).toEqual(createHash('sha256').update(bytes.subarray(0, -32)).digest());
    expect(readTensorNames(bytes)).toContain('trainer.sha256');
  });

  it('can be saved while a run is on, between two steps', async () => {
    const trainer = tinyTrainer(await make());
    const endless = trainer.fit(tinyDataset(), { epochs: 1e6, batchSize: 4 });
    await endless[Symbol.asyncIterator]().next();
    const file = path.join(folder, 'one.safetensors');
    await trainer.save(file);
    endless.cancel();
    await expect(endless).rejects.toMatchObject({ name: 'AbortError' });
    const report = await tinyTrainer(await make()).resume(file);
    expect(report.epoch + report.step).toBeGreaterThan(1);
  });

  it('has the averaged weights beside the model’s, which saveWeights writes by themselves', async () => {
    const model = await make();
    const trainer = tinyTrainer(model, { ema: 0.9 });
    await trainer.fit(tinyDataset(), { epochs: 2, batchSize: 4 });
    const [file, weights] = [path.join(folder, 'all.safetensors'), path.join(folder, 'weights.safetensors')];
    await trainer.save(file);
    await trainer.saveWeights(weights);
    await using averaged = await DenseNet.load(weights, { device: 'cpu' });
    const tensors = readTensors(await readFile(file));
    const own = await model.stateDict();
    for (const [name, tensor] of await averaged.stateDict()) {
      expect(tensor).toEqual(tensors.get(`trainer.average.${name}`));
      if (name.endsWith('weight')) expect(tensor).not.toEqual(own.get(name));
    }
    const { loss } = await trainer.evaluate(tinyDataset(5));
    expect(loss).toBe((await tinyTrainer(averaged).evaluate(tinyDataset(5))).loss);
    expect(await trainer.adoptAverage()).toBe(true);
    expect(await stateOf(model)).toEqual(await stateOf(averaged));
  });
});

function readTensorNames(bytes: Buffer): string[] {
  const length = Number(bytes.readBigUInt64LE());
  return Object.keys(JSON.parse(bytes.toString('utf8', 8, 8 + length)) as object);
}

test('ema: true is a decay of 0.999', async () => {
  const after = async (ema: number | boolean): Promise<string> => {
    const model = await make();
    const trainer = tinyTrainer(model, { ema });
    await trainer.fit(tinyDataset(), { epochs: 2, batchSize: 4 });
    expect(await trainer.adoptAverage()).toBe(ema !== false);
    return fingerprint(model);
  };
  expect(await after(true)).toBe(await after(0.999));
  expect(await after(true)).not.toBe(await after(false));
});

describe('resume', () => {
  const plan = { epochs: 3, batchSize: 4 };
  /** A folder with three checkpoints. */
  beforeEach(async () => {
    await run({ ...plan, checkpoint: { folder } });
  });
  const at = (epoch: number): string => path.join(folder, `epoch-000${epoch}.safetensors`);

  it('takes the newest of a folder', async () => {
    const trainer = tinyTrainer(await make(), { optimizer: sgd });
    expect(await trainer.resume(folder)).toEqual({ path: at(3), epoch: 4, step: 0, skipped: [] });
  });

  it.each<[string, (file: string) => Promise<unknown>]>([
    ['cut short', (file) => truncate(file, 1000)],
    ['emptied', (file) => truncate(file, 0)],
    ['with one bit flipped in a weight', (file) => flip(file, -5000)],
    ['with one bit flipped in its checksum', (file) => flip(file, -1)],
    ['with one bit flipped in its header', (file) => flip(file, 300)],
    ['overwritten by text', (file) => writeFile(file, 'hello')],
  ])('passes over one that is %s, and names it', async (_, damage) => {
    await damage(at(3));
    const trainer = tinyTrainer(await make(), { optimizer: sgd });
    const report = await trainer.resume(folder);
    expect(report).toMatchObject({ path: at(2), epoch: 3, step: 0 });
    expect(report.skipped).toEqual([{ path: at(3), reason: expect.stringContaining(at(3)) as unknown }]);
    // What the folder then gets of newer ones takes the place of the damaged one.
    await trainer.fit(tinyDataset(), { ...plan, checkpoint: { folder } });
    expect(await tinyTrainer(await make(), { optimizer: sgd }).resume(folder)).toMatchObject({
      path: at(3),
      skipped: [],
    });
  });

  it('refuses when none is whole, and names them all', async () => {
    const model = await make();
    const before = await fingerprint(model);
    for (const epoch of [1, 2, 3]) await flip(at(epoch), -5000);
    const trainer = tinyTrainer(model, { optimizer: sgd });
    await expectRefusal(
      () => trainer.resume(folder),
      'ERR_FILE_FORMAT',
      'none of the checkpoints',
      at(1),
      at(2),
      at(3),
    );
    await expectRefusal(() => trainer.resume(at(2)), 'ERR_FILE_FORMAT', at(2), 'checksum do not agree');
    expect(await fingerprint(model)).toBe(before);
  });

  it.each<[string, object, Partial<TrainerOptions>, string]>([
    ['another model', { growthRate: 5 }, {}, 'growthRate of the model: 4 in the checkpoint, 5 here'],
    ['another number of classes', { numClasses: 4 }, {}, 'numClasses of the model: 3 in the checkpoint, 4 here'],
    ['another precision', {}, { precision: 'bf16' }, 'precision of the trainer: "fp32" in the checkpoint, "bf16" here'],
    ['another optimizer', {}, { optimizer: { type: 'adam' } }, 'optimizer of the trainer: "sgd with momentum"'],
    ['an average', {}, { ema: 0.9 }, 'average of the trainer: "none" in the checkpoint, "ema" here'],
  ])('refuses a checkpoint of %s, and says what differs', async (_, config, options, text) => {
    const model = await make(config);
    const before = await fingerprint(model);
    const trainer = tinyTrainer(model, { optimizer: sgd, ...options });
    await expectRefusal(() => trainer.resume(folder), 'ERR_CHECKPOINT_MISMATCH', at(3), text, 'Nothing was taken');
    expect(await fingerprint(model)).toBe(before);
    expect((await trainer.fit(tinyDataset(), plan)).epochs).toHaveLength(3);
  });

  it('refuses another version’s, and a file whose tensors are not those that it says', async () => {
    const text = await readFile(at(3), 'latin1');
    const trainer = tinyTrainer(await make(), { optimizer: sgd });
    const change = async (from: string, to: string): Promise<string> => {
      const changed = Buffer.from(text.replace(from, to).slice(0, -32), 'latin1');
      expect(changed.length).toBe(text.length - 32);
      const file = path.join(folder, 'changed.safetensors');
      await writeFile(file, Buffer.concat([changed, createHash('sha256').update(changed).digest()]));
      return file;
    };
    const version = await change(String.raw`\"layout\":1`, String.raw`\"layout\":7`);
    await expectRefusal(() => trainer.resume(version), 'ERR_CHECKPOINT_MISMATCH', 'layout 7', 'reads layout 1');
    const before = await fingerprint(await make());
    for (const name of ['trainer.progress.counts', 'trainer.generator.data', 'classifier.weight']) {
      const file = await change(`"${name}"`, `"${name.slice(0, -1)}X"`);
      await expectRefusal(() => trainer.resume(file), 'ERR_CHECKPOINT_MISMATCH', `${name} is missing`);
    }
    expect(await fingerprint(await make())).toBe(before);
  });

  it('refuses weights alone, a folder without checkpoints, and what is not there', async () => {
    const model = await make();
    const trainer = tinyTrainer(model, { optimizer: sgd });
    const weights = path.join(folder, 'weights.safetensors');
    await model.saveWeights(weights);
    await expectRefusal(() => trainer.resume(weights), 'ERR_FILE_FORMAT', weights, 'weights alone', 'loadWeights');
    await expectRefusal(() => trainer.resume(os.tmpdir()), 'ERR_FILE', os.tmpdir(), 'no checkpoint');
    await expectRefusal(() => trainer.resume(path.join(folder, 'no')), 'ERR_FILE', path.join(folder, 'no'));
    await expectRefusal(() => trainer.resume(wrong(3)), 'ERR_INVALID_ARGUMENT', 'path must be', 'got 3.');
  });

  it('waits for no run: ERR_BUSY, and ERR_DISPOSED after dispose', async () => {
    const model = await make();
    const trainer = tinyTrainer(model, { optimizer: sgd });
    const endless = trainer.fit(tinyDataset(), { epochs: 1e6, batchSize: 4 });
    await expectRefusal(() => trainer.resume(folder), 'ERR_BUSY', 'resume');
    await expectRefusal(() => trainer.adoptAverage(), 'ERR_BUSY', 'adoptAverage');
    endless.cancel();
    await expect(endless).rejects.toMatchObject({ name: 'AbortError' });
    await model.dispose();
    await expectRefusal(() => trainer.resume(folder), 'ERR_DISPOSED');
    await expectRefusal(() => trainer.save(at(9)), 'ERR_DISPOSED');
    await expectRefusal(() => trainer.saveWeights(at(9)), 'ERR_DISPOSED');
  });

  it('keeps the newest that it has just written, whatever newer ones there are', async () => {
    // Gone on with from an older one: those after it belong to a run that is left.
    const trainer = tinyTrainer(await make(), { optimizer: sgd });
    await trainer.resume(at(1));
    let first = true;
    const again = trainer.fit(tinyDataset(), { ...plan, checkpoint: { folder, everySteps: 1, keepLast: 1 } });
    for await (const event of again) {
      if (event.type !== 'checkpoint' || !first) continue;
      first = false;
      expect(await names()).not.toContain('epoch-0001.safetensors');
    }
    expect(await names()).toEqual(['epoch-0003.safetensors']);
  });
});

test('every single bit that flips is noticed', async () => {
  expect(await flipBits(library, 500, 7)).toEqual([]);
});

describe('a folder', () => {
  it('belongs to one run at a time', async () => {
    const [first, second] = [tinyTrainer(await make()), tinyTrainer(await make())];
    const checkpoint = { folder, every: 0 };
    const endless = first.fit(tinyDataset(), { epochs: 1e6, batchSize: 4, checkpoint });
    await endless[Symbol.asyncIterator]().next();
    const model = await make();
    const before = await fingerprint(model);
    const third = tinyTrainer(model);
    await expectRefusal(
      () => third.fit(tinyDataset(), { epochs: 1, batchSize: 4, checkpoint }),
      'ERR_LOCKED',
      folder,
      'another run',
    );
    expect(await fingerprint(model)).toBe(before);
    endless.cancel();
    await expect(endless).rejects.toMatchObject({ name: 'AbortError' });
    await second.resume(folder);
  });

  it('of another run is not written over', async () => {
    await run({ epochs: 1, checkpoint: { folder } });
    const before = await readFile(path.join(folder, 'epoch-0001.safetensors'));
    await expectRefusal(
      () => run({ epochs: 1, checkpoint: { folder } }),
      'ERR_INVALID_ARGUMENT',
      folder,
      'an earlier run (epoch-0001.safetensors)',
      'trainer.resume',
    );
    expect(await readFile(path.join(folder, 'epoch-0001.safetensors'))).toEqual(before);
  });

  it('of another run is not written over by one that goes on from elsewhere either', async () => {
    const [own, others] = [path.join(folder, 'own'), path.join(folder, 'others')];
    await run({ epochs: 1, checkpoint: { folder: own } });
    await run({ epochs: 3, checkpoint: { folder: others } });
    const trainer = tinyTrainer(await make(), { optimizer: sgd });
    await trainer.resume(own);
    const plan = { epochs: 2, batchSize: 4 };
    await expectRefusal(
      () => trainer.fit(tinyDataset(), { ...plan, checkpoint: { folder: others } }),
      'ERR_INVALID_ARGUMENT',
      'an earlier run (epoch-0003.safetensors)',
    );
    expect(await names(others)).toHaveLength(3);
    await trainer.fit(tinyDataset(), { ...plan, checkpoint: { folder: own } });
    expect(await names(own)).toEqual(['epoch-0001.safetensors', 'epoch-0002.safetensors']);
  });

  it('is freed of what a writer left unfinished, and of nothing else', async () => {
    for (const name of ['epoch-0001.safetensors.tmp-12-0', 'best.safetensors.tmp-9-1', 'notes.tmp-1-2', 'mine.txt'])
      await writeFile(path.join(folder, name), 'x');
    await run({ epochs: 1, checkpoint: { folder } });
    expect((await readdir(folder)).sort()).toEqual(['epoch-0001.safetensors', 'lock', 'mine.txt', 'notes.tmp-1-2']);
  });

  it('is made where it is missing, and refused where it cannot be', async () => {
    await run({ epochs: 1, checkpoint: { folder: path.join(folder, 'a', 'b') } });
    expect(await names(path.join(folder, 'a', 'b'))).toHaveLength(1);
    await writeFile(path.join(folder, 'file'), '');
    await expectRefusal(() => run({ checkpoint: { folder: path.join(folder, 'file', 'c') } }), 'ERR_FILE', 'file');
  });
});

describe('a bad checkpoint option is refused with its name, what is allowed and what was given:', () => {
  it.each<[unknown, string, string]>([
    ['runs', 'checkpoint must be an object', 'got "runs".'],
    [null, 'checkpoint must be an object', 'got null.'],
    [{}, 'checkpoint.folder must be a string', 'got undefined.'],
    [{ folder: 'a\0b' }, 'checkpoint.folder must be a path without zero bytes', 'got'],
    [{ folder: 'x', every: -1 }, 'checkpoint.every must be an integer of at least 0', 'got -1.'],
    [{ folder: 'x', everySteps: 0.5 }, 'checkpoint.everySteps must be an integer of at least 0', 'got 0.5.'],
    [{ folder: 'x', keepLast: 0 }, 'checkpoint.keepLast must be an integer of at least 1', 'got 0.'],
    [{ folder: 'x', best: 'accuracy' }, 'checkpoint.best must be one of "loss", "top1"', 'got "accuracy".'],
    [{ folder: 'x', keep: 1 }, 'checkpoint has no option', '"keep"'],
  ])('%j', async (checkpoint, allowed, given) => {
    await expectRefusal(() => run({ checkpoint: wrong(checkpoint) }), 'ERR_INVALID_ARGUMENT', allowed, given);
  });
});
