import { readFile } from 'node:fs/promises';
import { DenseNet, Trainer, type CreateOptions, type TrainerOptions } from '../../lib';
import { readTensors } from '../parity/fixture';
import { stateOf, tinyBatch, tinyDataset, tinyTrainer } from '../tiny';
import { difference, fingerprint, floats, modelMaker, putTensors, temporaryFolder, valuesOf } from '../unit/support';

const make = modelMaker();
const file = temporaryFolder();
const sgd = { type: 'sgd', lr: 0.05, momentum: 0.9 } as const;

async function losses(options: Partial<TrainerOptions>, config: CreateOptions = {}): Promise<number[]> {
  const trainer = tinyTrainer(await make(config), { optimizer: sgd, ...options });
  const { epochs } = await trainer.fit(tinyDataset(), { epochs: 4, batchSize: 4 });
  return epochs.map(({ train }) => train.loss);
}

test.each(['bf16', 'fp16'] as const)('%s is near to fp32 and not the same, whatever computes', async (precision) => {
  const exact = await losses({});
  const half = await losses({ precision });
  expect(difference(half, exact)).toBeLessThan(0.05);
  expect(difference(half, exact)).toBeGreaterThan(1e-6);
  expect(await losses({ precision }, { implementation: 'reference' })).toEqual(half);
});

test('weights stay float32, and evaluation is in float32', async () => {
  const model = await make();
  const trainer = tinyTrainer(model, { precision: 'bf16' });
  await trainer.step(tinyBatch());
  const { loss } = await trainer.evaluate(tinyDataset());
  expect(loss).toBe((await tinyTrainer(model).evaluate(tinyDataset())).loss);
  for (const { data } of (await model.stateDict()).values())
    expect(['Float32Array', 'BigInt64Array']).toContain(data[Symbol.toStringTag]);
});

test('channelsLast and deterministic give the same numbers', async () => {
  const plain = await losses({}, { implementation: 'reference' });
  const last = await losses({ channelsLast: true }, { implementation: 'reference' });
  expect(difference(last, plain)).toBeLessThan(1e-5);
  expect(await losses({ deterministic: true }, { implementation: 'reference' })).toEqual(plain);
  expect(await losses({ channelsLast: true, deterministic: true })).toEqual(await losses({}));
});

describe('the gradient scaler', () => {
  /** The scale, and the steps since it moved. */
  async function scaleOf(trainer: Trainer): Promise<number[]> {
    await trainer.save(file('scale.safetensors'));
    return valuesOf(readTensors(await readFile(file('scale.safetensors'))).get('trainer.scaler'));
  }

  it('leaves out steps whose gradients overflow, halves, and goes on when they fit', async () => {
    const model = await make();
    // Features of some thousands: times a scale of 65,536 their gradients are beyond half precision's 65,504.
    const channels = (await model.stateDict()).get('features.norm5.weight')!.shape;
    const large = floats(channels, new Float32Array(channels[0] as number).fill(3000));
    await putTensors(model, file('large.safetensors'), { 'features.norm5.weight': large });
    const weights = async (): Promise<unknown> => (await stateOf(model))['classifier.weight'];
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 1e-9 }, precision: 'fp16' });
    const before = await weights();
    await trainer.step(tinyBatch());
    expect(await scaleOf(trainer)).toEqual([32768, 0]);
    expect(await weights()).toEqual(before);
    let steps = 1;
    while ((await scaleOf(trainer))[1] === 0 && steps < 40) {
      await trainer.step(tinyBatch());
      steps += 1;
    }
    const [scale, taken] = await scaleOf(trainer);
    expect([scale, taken]).toEqual([65536 / 2 ** (steps - 1), 1]);
    expect(await weights()).not.toEqual(before);
  });

  it('is not there in other precisions', async () => {
    const trainer = tinyTrainer(await make(), { precision: 'bf16' });
    await trainer.save(file('bf16.safetensors'));
    expect(readTensors(await readFile(file('bf16.safetensors'))).has('trainer.scaler')).toBe(false);
  });
});

test('fp16 whose loss is not finite leaves everything as it was', async () => {
  const model = await make();
  const before = await fingerprint(model);
  const trainer = tinyTrainer(model, { precision: 'fp16' });
  const images = floats([2, 1, 8, 8], new Float32Array(128).fill(3e38));
  await expect(trainer.step({ images, labels: [0, 1] })).rejects.toMatchObject({ code: 'ERR_NON_FINITE_LOSS' });
  expect(await fingerprint(model)).toBe(before);
  expect(model).toBeInstanceOf(DenseNet);
});
