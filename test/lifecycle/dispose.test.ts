import path from 'node:path';
import type { DenseNet, Trainer } from '../../lib';
import { runNode } from '../child';
import { tinyBatch, tinyDataset, tinyImages, tinyModel, tinyTrainer } from '../tiny';

const disposed = expect.objectContaining({ name: 'DenseNetError', code: 'ERR_DISPOSED' }) as Error;

describe('after dispose', () => {
  let model: DenseNet;
  let trainer: Trainer;

  beforeEach(async () => {
    model = await tinyModel();
    trainer = tinyTrainer(model);
    await trainer.step(tinyBatch());
    await model.dispose();
  });

  it('says so', () => {
    expect(model.disposed).toBe(true);
  });

  it('still tells what it was', () => {
    expect(model.config.growthRate).toBe(4);
    expect(model.device).toBe('cpu');
    expect(model.parameterCount).toBeGreaterThan(0);
  });

  it.each<[string, () => PromiseLike<unknown>]>([
    ['forward', () => model.forward(tinyImages(1))],
    ['features', () => model.features(tinyImages(1))],
    ['predict', () => model.predict(tinyImages(1))],
    ['loadWeights', () => model.loadWeights('nowhere.safetensors')],
    ['saveWeights', () => model.saveWeights('nowhere.safetensors')],
    ['stateDict', () => model.stateDict()],
    ['gradients', () => model.gradients()],
    ['replaceClassifier', () => model.replaceClassifier(5)],
    ['Trainer.step', () => trainer.step(tinyBatch())],
    ['Trainer.fit', () => trainer.fit(tinyDataset(), { epochs: 1, batchSize: 4 }).then()],
    ['Trainer.evaluate', () => trainer.evaluate(tinyDataset())],
  ])('%s rejects with ERR_DISPOSED', async (_, call) => {
    await expect(call()).rejects.toEqual(disposed);
  });

  it.each<[string, () => unknown]>([
    ['freeze', () => model.freeze()],
    ['unfreeze', () => model.unfreeze('features')],
    ['new Trainer', () => tinyTrainer(model)],
  ])('%s throws ERR_DISPOSED', (_, call) => {
    expect(call).toThrow(disposed);
  });

  it('dispose may be called again', async () => {
    await expect(model.dispose()).resolves.toBeUndefined();
    await Promise.all([model.dispose(), model.dispose()]);
  });
});

test('calls that were made before dispose still give their results', async () => {
  const model = await tinyModel();
  const calls = [model.forward(tinyImages(2)), model.forward(tinyImages(3))];
  await model.dispose();
  expect((await Promise.all(calls)).map(({ shape }) => shape)).toEqual([
    [2, 3],
    [3, 3],
  ]);
});

test('a training run ends with ERR_DISPOSED when its model is disposed of, and dispose waits for it', async () => {
  const model = await tinyModel();
  const run = tinyTrainer(model).fit(tinyDataset(), { epochs: 1_000_000, batchSize: 4 });
  const events = run[Symbol.asyncIterator]();
  await events.next();
  await model.dispose();
  await expect(run).rejects.toEqual(disposed);
});

test('an evaluation that is running when its model is disposed of ends one way or the other', async () => {
  const model = await tinyModel();
  const evaluation = tinyTrainer(model)
    .evaluate(tinyDataset(300), { batchSize: 1 })
    .then(
      ({ size }) => size,
      (error: unknown) => error,
    );
  await model.dispose();
  expect([300, disposed]).toContainEqual(await evaluation);
});

test('`await using` disposes', async () => {
  let kept: DenseNet;
  {
    await using model = await tinyModel();
    kept = model;
    expect(kept.disposed).toBe(false);
  }
  expect(kept.disposed).toBe(true);
});

test('models are independent: one outlives another', async () => {
  const [first, second] = await Promise.all([tinyModel(), tinyModel()]);
  const before = await second.forward(tinyImages(2));
  await first.dispose();
  expect(await second.forward(tinyImages(2))).toEqual(before);
  await second.dispose();
});

test('a model that cannot be made leaves no thread behind', async () => {
  const { readdir } = await import('node:fs/promises');
  const threads = async (): Promise<number> => (await readdir('/proc/self/task').catch(() => [])).length;
  const fails = () => tinyModel({ device: 'cuda:99' }).catch((error: unknown) => error);
  expect(await fails()).toEqual(expect.objectContaining({ code: 'ERR_CUDA_UNAVAILABLE' }));
  const before = await threads();
  for (let attempt = 0; attempt < 20; attempt += 1) await fails();
  expect(await threads()).toBeLessThan(before + 10);
});

test('a trainer that is still held gives its memory back with its model', async () => {
  const { stdout, stderr } = await runNode([path.join(__dirname, 'held-trainers.js')]);
  expect(stderr).toBe('');
  const sizes = JSON.parse(stdout) as number[];
  expect(sizes).toHaveLength(6);
  // 100 MB each where they are not given back: weights, gradients and momentum.
  expect(Number(sizes.at(-1)) - Number(sizes[1])).toBeLessThan(200e6);
});
