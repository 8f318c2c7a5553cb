import type { CreateOptions } from '../../lib';
import { tinyBatch, tinyImages, tinyTrainer } from '../tiny';
import { fingerprint, modelMaker } from './support';

const make = modelMaker();

/** The losses of the first steps of a fresh model, the same one each time; only the trainer's seed decides the masks. */
async function losses(options: CreateOptions, seed: number, steps = 1): Promise<number[]> {
  const trainer = tinyTrainer(await make(options), { seed });
  const found: number[] = [];
  for (let step = 0; step < steps; step += 1) found.push((await trainer.step(tinyBatch())).loss);
  return found;
}

test('with dropout the loss of one and the same step depends on the trainer’s seed', async () => {
  const found = await Promise.all([1, 2, 3, 4].map((seed) => losses({ dropRate: 0.3 }, seed)));
  expect(new Set(found.flat()).size).toBe(4);
});

test('without dropout it does not', async () => {
  expect(await losses({ dropRate: 0 }, 1, 3)).toEqual(await losses({ dropRate: 0 }, 2, 3));
});

test('the same seed drops the same values, step after step', async () => {
  expect(await losses({ dropRate: 0.3 }, 5, 4)).toEqual(await losses({ dropRate: 0.3 }, 5, 4));
});

test('each step drops values of its own', async () => {
  const trainer = tinyTrainer(await make({ dropRate: 0.5 }), { optimizer: { type: 'sgd', lr: 1e-30 } });
  const [first, second] = [await trainer.step(tinyBatch()), await trainer.step(tinyBatch())];
  expect(second.loss).not.toBe(first.loss);
});

test('a trainer without a seed draws one', async () => {
  const unseeded = async (): Promise<number> => {
    const trainer = tinyTrainer(await make({ dropRate: 0.5 }));
    return (await trainer.step(tinyBatch())).loss;
  };
  const seeded = await unseeded();
  expect(await unseeded()).toBe(seeded);
});

test('dropout has no effect outside of training', async () => {
  const [plain, dropping] = [await make({ dropRate: 0 }), await make({ dropRate: 0.9 })];
  const input = tinyImages(5);
  const logits = await plain.forward(input);
  expect(await dropping.forward(input)).toEqual(logits);
  expect(await dropping.forward(input)).toEqual(logits);
  expect(await dropping.predict(input)).toEqual(await plain.predict(input));
  expect(await dropping.features(input, { taps: ['denseblock1', 'norm5'] })).toEqual(
    await plain.features(input, { taps: ['denseblock1', 'norm5'] }),
  );
});

test('dropout stops with training: forward after a step is again the same every time', async () => {
  const model = await make({ dropRate: 0.5 });
  await tinyTrainer(model).step(tinyBatch());
  const logits = await model.forward(tinyImages(3));
  expect(await model.forward(tinyImages(3))).toEqual(logits);
});

test('a layer without a bottleneck drops values too', async () => {
  const options = { dropRate: 0.3, bottleneck: false };
  expect(await losses(options, 1)).not.toEqual(await losses(options, 2));
});

test('dropout after every convolution is another than dropout after the last of a layer', async () => {
  const after = (dropPlacement: 'layer' | 'convolution'): Promise<number[]> =>
    losses({ dropRate: 0.3, dropPlacement }, 1);
  expect(await after('convolution')).not.toEqual(await after('layer'));
});

test('dropout keeps the weights of a model with the same seed as they are', async () => {
  expect(await fingerprint(await make({ dropRate: 0.5 }))).toBe(await fingerprint(await make({ dropRate: 0 })));
});
