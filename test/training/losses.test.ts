import { Trainer, type ArrayDataset, type DenseNet, type TrainerOptions } from '../../lib';
import { tinyBatch, tinyDataset, tinyImages } from '../tiny';
import {
  difference,
  expectRefusal,
  fingerprint,
  floats,
  modelMaker,
  putTensors,
  temporaryFolder,
  valuesOf,
} from '../unit/support';

const make = modelMaker();
const file = temporaryFolder();
const sgd = { type: 'sgd', lr: 0.1 } as const;

/** A data set of N×classes labels; the same images as tinyDataset's. */
function rows(count: number, values: Iterable<number>): ArrayDataset {
  return { ...tinyDataset(count), classes: ['0', '1', '2'], labels: Float32Array.from(values) };
}

async function classifierAfter(model: DenseNet, options: TrainerOptions, batchSize: number): Promise<number[]> {
  await new Trainer(model, options).fit(tinyDataset(11), { epochs: 2, batchSize, shuffle: false });
  return valuesOf((await model.stateDict()).get('classifier.weight'));
}

describe('accumulation', () => {
  const cases: [string, Partial<TrainerOptions>][] = [
    ['plain', {}],
    ['with class weights', { classWeights: [5, 0.1, 1] }],
    ['with clipping', { clipGradNorm: 0.01 }],
    ['of the focal loss', { loss: 'focal' }],
  ];
  it.each(cases)('comes to the step of the large batch where batch norm keeps its statistics, %s', async (_, more) => {
    // Eleven images in batches of 3 are 3, 3, 3 and 2: a step of 6 and one of 5, as with batches of 6.
    const [small, large] = [await make(), await make()];
    for (const model of [small, large]) model.freeze('features');
    const options: TrainerOptions = { optimizer: { ...sgd, momentum: 0.9 }, seed: 1, ...more };
    const accumulated = await classifierAfter(small, { ...options, accumulate: 2 }, 3);
    const whole = await classifierAfter(large, options, 6);
    expect(difference(accumulated, whole)).toBeLessThan(1e-7);
    const apart = await make();
    apart.freeze('features');
    expect(difference(await classifierAfter(apart, options, 3), whole)).toBeGreaterThan(1e-4);
  });

  it('counts optimizer steps', async () => {
    const trainer = new Trainer(await make(), { optimizer: sgd, accumulate: 2, seed: 1 });
    const steps = new Set<number>();
    for await (const event of trainer.fit(tinyDataset(11), { epochs: 1, batchSize: 2 }))
      if (event.type === 'step') steps.add(event.steps);
    expect(steps).toEqual(new Set([3]));
  });
});

describe('labels N×classes', () => {
  it('that are certain train as class indices do', async () => {
    const certain = [0, 1, 2, 0, 1, 2].flatMap((label) => [0, 1, 2].map((one) => Number(one === label)));
    const [a, b] = [await make(), await make()];
    await new Trainer(a, { optimizer: sgd, seed: 1 }).fit(rows(6, certain), { epochs: 2, batchSize: 3 });
    await new Trainer(b, { optimizer: sgd, seed: 1 }).fit(tinyDataset(6), { epochs: 2, batchSize: 3 });
    const [found, expected] = [valuesOf((await a.stateDict()).get('classifier.weight')), await b.stateDict()];
    expect(difference(found, valuesOf(expected.get('classifier.weight')))).toBeLessThan(1e-6);
  });

  it('are evaluated by their plain loss, and counted where all of an image’s are right', async () => {
    const model = await make();
    const data = rows(4, [0, 1, 0, 1, 1, 0, 0, 0, 0, 1, 0, 1]);
    const trainer = new Trainer(model, {
      optimizer: sgd,
      loss: { type: 'binaryCrossEntropy', positiveWeights: [9, 9, 9] },
      labelSmoothing: 0.3,
    });
    const { loss, top1, size } = await trainer.evaluate(data);
    const logits = valuesOf(await model.forward(data.images));
    const wanted = Array.from(data.labels as unknown as Float32Array);
    const terms = logits.map((logit, place) => Math.log1p(Math.exp(logit)) - (wanted[place] as number) * logit);
    expect(loss).toBeCloseTo(terms.reduce((sum, term) => sum + term) / terms.length, 5);
    const right = [0, 1, 2, 3].filter((image) =>
      [0, 1, 2].every((one) => logits[image * 3 + one]! > 0 === wanted[image * 3 + one]! > 0.5),
    );
    expect([top1, size]).toEqual([right.length / 4, 4]);
  });

  it('are needed by a loss that decides each class by itself', async () => {
    const trainer = new Trainer(await make(), { optimizer: sgd, loss: 'binaryCrossEntropy' });
    const texts = ['class indices', 'binaryCrossEntropy needs a number from 0 to 1 for each image and class'];
    await expectRefusal(() => trainer.step(tinyBatch()), 'ERR_INVALID_ARGUMENT', 'labels are', ...texts);
    const plan = { epochs: 1, batchSize: 3 };
    await expectRefusal(() => trainer.fit(tinyDataset(), plan), 'ERR_INVALID_ARGUMENT', 'data.labels', ...texts);
    await expectRefusal(
      () => trainer.fit(rows(2, [0, 1, 0, 1, 1, 0]), { ...plan, validation: tinyDataset() }),
      'ERR_INVALID_ARGUMENT',
      'validation.labels',
      ...texts,
    );
  });

  it.each([1.5, -0.1, NaN])('outside 0 to 1 are refused by their place: %d', async (value) => {
    const model = await make();
    const before = await fingerprint(model);
    const run = new Trainer(model, { optimizer: sgd }).fit(rows(2, [0, 1, 0, 1, value, 0]), {
      epochs: 1,
      batchSize: 2,
    });
    await expectRefusal(() => run, 'ERR_LABEL_OUT_OF_RANGE', 'training labels[1][1]', 'from 0 to 1');
    expect(await fingerprint(model)).toBe(before);
  });
});

test('weights of classes are refused once the classifier was replaced', async () => {
  const model = await make();
  const trainer = new Trainer(model, { optimizer: sgd, classWeights: [1, 2, 3] });
  await model.replaceClassifier(4, { seed: 1 });
  await expectRefusal(() => trainer.step(tinyBatch()), 'ERR_INVALID_ARGUMENT', 'weights of 3 classes', 'new trainer');
});

describe('a step whose numbers are no longer finite', () => {
  it('is not taken when the loss is finite and its gradient is not', async () => {
    const model = await make();
    // Where the class is certain, the slope of the root of 0 is infinite.
    await putTensors(model, file('certain.safetensors'), { 'classifier.bias': floats([3], [200, 0, 0]) });
    const before = await fingerprint(model);
    const trainer = new Trainer(model, { optimizer: sgd, loss: { type: 'focal', gamma: 0.5 } });
    const step = () => trainer.step({ images: tinyImages(2), labels: [0, 0] });
    await expectRefusal(step, 'ERR_NON_FINITE_LOSS', 'the gradients became infinite or NaN', 'was not taken');
    expect(await fingerprint(model)).toBe(before);
    const plain = new Trainer(model, { optimizer: sgd });
    expect((await plain.step({ images: tinyImages(2), labels: [1, 2] })).loss).toBeGreaterThan(100);
  });

  it('leaves a run’s last good state, from which it goes on', async () => {
    const model = await make();
    const optimizer = { type: 'sgd', lr: 1e30 } as const;
    const trainer = new Trainer(model, { optimizer, seed: 1 });
    await expectRefusal(
      () => trainer.fit(tinyDataset(), { epochs: 50, batchSize: 4 }),
      'ERR_NON_FINITE_LOSS',
      'was not taken',
    );
    for (const [name, { data }] of await model.stateDict())
      expect([name, Array.from(data as Float32Array, Number).every(Number.isFinite)]).toEqual([name, true]);
  });
});

test('features are not kept while images are mixed: each epoch mixes anew', async () => {
  const losses = async (cacheFeatures: boolean): Promise<number[]> => {
    const model = await make();
    model.freeze('features');
    const trainer = new Trainer(model, { optimizer: sgd, mixup: 0.4, seed: 1 });
    const { epochs } = await trainer.fit(tinyDataset(), { epochs: 2, batchSize: 4, cacheFeatures });
    return epochs.map(({ train }) => train.loss);
  };
  expect(await losses(true)).toEqual(await losses(false));
});
