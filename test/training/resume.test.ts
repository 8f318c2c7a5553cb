import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Trainer, transforms, type FitOptions, type TrainerOptions } from '../../lib';
import { averages, everything, optimizers, precisions, schedules } from '../soak/resume';
import { tinyDataset } from '../tiny';
import { fingerprint, modelMaker } from '../unit/support';

const make = modelMaker();

let folder: string;
beforeEach(async () => (folder = await mkdtemp(path.join(os.tmpdir(), 'densenet-resume-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

const plan = (epochs = 3): FitOptions => ({
  epochs,
  batchSize: 3,
  validation: tinyDataset(4),
  augment: [transforms.randomCrop({ padding: 1 })],
});
// 14 images are 5 batches, which are steps of 2, 2 and 1 of them.
const data = () => tinyDataset(14);

/** Trains to the end, writing every checkpoint there is. Returns what is left at the end, to the last bit. */
async function unbroken(options: TrainerOptions, place: string, epochs?: number): Promise<Buffer> {
  const trainer = new Trainer(await make({ dropRate: 0.2 }), options);
  await trainer.fit(data(), {
    ...plan(epochs),
    checkpoint: { folder: place, everySteps: 1, keepLast: 100, best: false },
  });
  const file = path.join(folder, 'end.safetensors');
  await trainer.save(file);
  return readFile(file);
}

/** Goes on from a checkpoint to the end, with other weights and generators before. */
async function resumed(options: TrainerOptions, checkpoint: string): Promise<Buffer> {
  const trainer = new Trainer(await make({ dropRate: 0.2, seed: 99 }), { ...options, seed: 77 });
  await trainer.resume(checkpoint);
  await trainer.fit(data(), plan());
  const file = path.join(folder, 'resumed.safetensors');
  await trainer.save(file);
  return readFile(file);
}

const matrix = Object.entries(optimizers).flatMap(([name, optimizer]) =>
  precisions.map((precision) => [name, precision, optimizer] as const),
);

describe.each(matrix)(
  'a run that is resumed ends where it would have ended, bit for bit: %s, %s,',
  (_, precision, optimizer) => {
    it.each(schedules)('%j', async (schedule) => {
      for (const average of averages) {
        const options: TrainerOptions = { optimizer, schedule, precision, ...average, ...everything };
        const run = path.join(folder, 'run');
        const expected = await unbroken(options, run);
        const checkpoints = (await readdir(run)).filter((name) => name.startsWith('epoch-')).sort();
        // Steps 1 and 2 of each epoch, and its end.
        expect(checkpoints).toHaveLength(9);
        // In the middle of an epoch, or between two: which one, changes with the options.
        const name = checkpoints[(schedules.indexOf(schedule) + averages.indexOf(average)) % 9] as string;
        const found = await resumed(options, path.join(run, name));
        expect({ name, average, same: found.equals(expected) }).toEqual({ name, average, same: true });
        await rm(run, { recursive: true });
      }
    });
  },
);

test('from each of a run’s checkpoints', async () => {
  const options: TrainerOptions = {
    optimizer: { type: 'adamw' },
    schedule: { type: 'cosine' },
    ema: 0.9,
    ...everything,
  };
  const run = path.join(folder, 'run');
  const expected = await unbroken(options, run);
  for (const name of (await readdir(run)).filter((one) => one.startsWith('epoch-'))) {
    const found = await resumed(options, path.join(run, name));
    expect({ name, same: found.equals(expected) }).toEqual({ name, same: true });
  }
});

test('a run that was ended in the middle, again and again', async () => {
  const options: TrainerOptions = { optimizer: { type: 'adam' }, ...everything };
  // So many that it is not over before a busy machine lets this side have its turn.
  const epochs = 30;
  const expected = await unbroken(options, path.join(folder, 'run'), epochs);
  const place = path.join(folder, 'broken');
  let ended = 0;
  for (;;) {
    const trainer = new Trainer(await make({ dropRate: 0.2 }), options);
    if (ended > 0) await trainer.resume(place);
    const run = trainer.fit(data(), { ...plan(epochs), checkpoint: { folder: place, every: 0, best: false } });
    let left = false;
    try {
      for await (const event of run) if (event.type === 'step' && !left) left = (run.cancel(), true);
      await run;
      const file = path.join(folder, 'broken.safetensors');
      await trainer.save(file);
      expect((await readFile(file)).equals(expected)).toBe(true);
      break;
    } catch (error) {
      expect(error).toMatchObject({ name: 'AbortError' });
      ended += 1;
    }
  }
  expect(ended).toBeGreaterThan(1);
});

test('a trainer that was ended and saved by hand', async () => {
  const options: TrainerOptions = { optimizer: optimizers['sgd']!, schedule: { type: 'onecycle' }, ...everything };
  const expected = await unbroken(options, path.join(folder, 'run'));
  const trainer = new Trainer(await make({ dropRate: 0.2 }), options);
  const run = trainer.fit(data(), plan());
  await run[Symbol.asyncIterator]().next();
  run.cancel();
  await expect(run).rejects.toMatchObject({ name: 'AbortError' });
  const file = path.join(folder, 'by-hand.safetensors');
  await trainer.save(file);
  expect((await resumed(options, file)).equals(expected)).toBe(true);
});

test('parts that were unfrozen before the place learn on, and those that come later come', async () => {
  const unfreeze = [
    { epoch: 2, prefix: 'features.denseblock2' },
    { epoch: 3, prefix: 'features.denseblock1' },
  ];
  const options: TrainerOptions = { optimizer: optimizers['sgd']!, seed: 1 };
  const start = async () => {
    const model = await make();
    model.freeze('features');
    return model;
  };
  const whole = await start();
  const run = path.join(folder, 'run');
  const checkpoint = { folder: run, everySteps: 1, keepLast: 100 };
  await new Trainer(whole, options).fit(data(), { epochs: 4, batchSize: 5, unfreeze, checkpoint });
  const expected = await fingerprint(whole);
  for (const name of (await readdir(run)).filter((one) => one.startsWith('epoch-'))) {
    // The checkpoint knows what was frozen when the run began.
    const model = await make();
    const trainer = new Trainer(model, options);
    await trainer.resume(path.join(run, name));
    await trainer.fit(data(), { epochs: 4, batchSize: 5, unfreeze });
    expect([name, await fingerprint(model)]).toEqual([name, expected]);
    expect(model.trainableParameterCount).toBe(whole.trainableParameterCount);
  }
});

test.each(['keep', 'adapt'] as const)(
  'what was frozen is frozen again, with batch norms that %s',
  async (batchNorm) => {
    const options: TrainerOptions = { optimizer: optimizers['sgd']!, seed: 1 };
    const run = path.join(folder, 'run');
    const fit = { epochs: 3, batchSize: 5 };
    const whole = await make();
    whole.freeze('features.conv0');
    whole.freeze('features.denseblock1', { batchNorm });
    await new Trainer(whole, options).fit(data(), {
      ...fit,
      checkpoint: { folder: run, everySteps: 1, keepLast: 100 },
    });
    const model = await make({ seed: 5 });
    // What is frozen here is not in the checkpoint, and learns as it did there.
    model.freeze('classifier');
    const trainer = new Trainer(model, options);
    await trainer.resume(path.join(run, 'epoch-0002-step-0000001.safetensors'));
    expect(model.trainableParameterCount).toBe(whole.trainableParameterCount);
    await trainer.fit(data(), fit);
    expect(await fingerprint(model)).toBe(await fingerprint(whole));
  },
);

test('a run that had ended does nothing more, and one of more epochs goes on', async () => {
  const options: TrainerOptions = { optimizer: optimizers['adam']!, seed: 1 };
  const run = path.join(folder, 'run');
  const model = await make();
  await new Trainer(model, options).fit(data(), { epochs: 2, batchSize: 5, checkpoint: { folder: run } });
  const before = await fingerprint(model);
  const trainer = new Trainer(model, options);
  expect(await trainer.resume(run)).toMatchObject({ epoch: 3, step: 0, skipped: [] });
  expect(await trainer.fit(data(), { epochs: 2, batchSize: 5 })).toMatchObject({
    from: { epoch: 3, step: 0 },
    epochs: [],
  });
  expect(await fingerprint(model)).toBe(before);
  await trainer.resume(run);
  const { from, epochs } = await trainer.fit(data(), { epochs: 4, batchSize: 5 });
  expect(from).toEqual({ epoch: 3, step: 0 });
  expect(epochs.map(({ epoch }) => epoch)).toEqual([3, 4]);
  // Only the run after `resume` goes on; the next one is a new one.
  expect((await trainer.fit(data(), { epochs: 1, batchSize: 5 })).epochs.map(({ epoch }) => epoch)).toEqual([1]);
});

test('the middle of an epoch is gone on with by the same batches alone', async () => {
  const options: TrainerOptions = { optimizer: optimizers['sgd']!, seed: 1 };
  const run = path.join(folder, 'run');
  const model = await make();
  const checkpoint = { folder: run, everySteps: 1, keepLast: 100 };
  await new Trainer(model, options).fit(data(), { epochs: 1, batchSize: 5, checkpoint });
  const file = path.join(run, 'epoch-0001-step-0000002.safetensors');
  const trainer = new Trainer(model, options);
  await trainer.resume(file);
  const before = await fingerprint(model);
  const refused = {
    code: 'ERR_CHECKPOINT_MISMATCH',
    message: expect.stringContaining('14 images in batches of 5') as unknown,
  };
  await expect(trainer.fit(data(), { epochs: 1, batchSize: 4 })).rejects.toMatchObject(refused);
  await expect(trainer.fit(tinyDataset(13), { epochs: 1, batchSize: 5 })).rejects.toMatchObject(refused);
  expect(await fingerprint(model)).toBe(before);
  // What was refused has changed nothing: it still goes on from there.
  const other = path.join(folder, 'other');
  await trainer.fit(data(), { epochs: 1, batchSize: 5, checkpoint: { folder: other } });
  expect(await readFile(path.join(other, 'epoch-0001.safetensors'))).toEqual(
    await readFile(path.join(run, 'epoch-0001.safetensors')),
  );
});
