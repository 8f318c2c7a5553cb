import { DenseNet, type OptimizerOptions, type TensorData } from '../../lib';
import { tinyBatch, tinyDataset, tinyModel, tinyTrainer } from '../tiny';

let model: DenseNet;
beforeEach(async () => (model = await tinyModel()));
afterEach(() => model.dispose());

/** The learning rate at which a parameter was moved by one step of plain SGD: (before − after − lr·decay·before) / gradient. */
async function ratesOf(optimizer: OptimizerOptions, decayOf: (name: string) => number = () => 0) {
  const before = await model.stateDict();
  await tinyTrainer(model, { optimizer }).step(tinyBatch());
  const after = await model.stateDict();
  const rates = new Map<string, number>();
  for (const [name, { data }] of await model.gradients()) {
    const gradient = data as Float32Array;
    const place = gradient.reduce(
      (best, value, index) => (Math.abs(value) > Math.abs(gradient[best] as number) ? index : best),
      0,
    );
    const [from, to] = [before, after].map((state) => (state.get(name) as TensorData).data[place] as number) as [
      number,
      number,
    ];
    rates.set(name, (from - to) / ((gradient[place] as number) + decayOf(name) * from));
  }
  return rates;
}

test('a group learns at its own rate, and all else at the optimizer’s', async () => {
  const rates = await ratesOf({
    type: 'sgd',
    lr: 0.5,
    groups: [
      { prefix: 'features', lr: 0.25 },
      { prefix: 'features.denseblock2.denselayer1', lr: 0.125 },
    ],
  });
  for (const [name, rate] of rates) {
    const expected = name.startsWith('classifier')
      ? 0.5
      : name.startsWith('features.denseblock2.denselayer1.')
        ? 0.125
        : 0.25;
    expect([name, Math.abs(rate / expected - 1)]).toEqual([name, expect.toBeBelow(0.02)]);
  }
});

test('a name that only begins like a prefix is not below it', async () => {
  const deep = await tinyModel({ blockConfig: [11] });
  await model.dispose();
  model = deep;
  const rates = await ratesOf({
    type: 'sgd',
    lr: 0.5,
    groups: [{ prefix: 'features.denseblock1.denselayer1', lr: 0.125 }],
  });
  expect(rates.get('features.denseblock1.denselayer1.conv2.weight')).toBeCloseTo(0.125, 2);
  expect(rates.get('features.denseblock1.denselayer11.conv2.weight')).toBeCloseTo(0.5, 2);
});

test('a group decays at its own rate', async () => {
  const decayOf = (name: string) => (name.startsWith('classifier') ? 0.1 : 0.5);
  const rates = await ratesOf(
    { type: 'sgd', lr: 0.25, weightDecay: 0.5, groups: [{ prefix: 'classifier', weightDecay: 0.1 }] },
    decayOf,
  );
  for (const [name, rate] of rates) expect([name, Math.abs(rate / 0.25 - 1)]).toEqual([name, expect.toBeBelow(0.02)]);
});

test('layer-wise decay halves the rate from stage to stage', async () => {
  const rates = await ratesOf({
    type: 'sgd',
    lr: 0.8,
    layerDecay: 0.5,
    groups: [{ prefix: 'features.conv0', lr: 0.3 }],
  });
  expect(rates.get('classifier.weight')).toBeCloseTo(0.8, 2);
  expect(rates.get('features.norm5.weight')).toBeCloseTo(0.4, 2);
  expect(rates.get('features.denseblock2.denselayer2.conv2.weight')).toBeCloseTo(0.4, 2);
  expect(rates.get('features.transition1.conv.weight')).toBeCloseTo(0.2, 2);
  expect(rates.get('features.denseblock1.denselayer1.conv1.weight')).toBeCloseTo(0.2, 2);
  expect(rates.get('features.conv0.weight')).toBeCloseTo(0.3, 2); // a group of one's own goes before
});

test('the schedule applies to every group', async () => {
  const before = (await model.stateDict()).get('features.conv0.weight') as TensorData;
  await tinyTrainer(model, {
    optimizer: { type: 'sgd', lr: 0.1, groups: [{ prefix: 'features', lr: 0.05 }] },
    schedule: { type: 'step', stepSize: 1, gamma: 0 },
  }).fit(tinyDataset(), { epochs: 1, batchSize: 12, shuffle: false });
  const first = (await model.stateDict()).get('features.conv0.weight') as TensorData;
  expect(first).not.toEqual(before);
  const trainer = tinyTrainer(model, {
    optimizer: { type: 'sgd', lr: 0.1, groups: [{ prefix: 'features', lr: 0.05 }] },
    schedule: { type: 'step', stepSize: 1, gamma: 0 },
  });
  await trainer.fit(tinyDataset(), { epochs: 3, batchSize: 12, shuffle: false });
  const twice = (await model.stateDict()).get('features.conv0.weight') as TensorData;
  await trainer.fit(tinyDataset(), { epochs: 1, batchSize: 12, shuffle: false });
  expect(twice).not.toEqual(first);
});

test.each(['adam', 'adamw'] as const)('%s moves each group at its rate', async (type) => {
  const before = await model.stateDict();
  await tinyTrainer(model, {
    optimizer: { type, lr: 0.01, weightDecay: 0, groups: [{ prefix: 'features', lr: 0.001 }] },
  }).step(tinyBatch());
  const after = await model.stateDict();
  const largest = (name: string) => {
    const [from, to] = [before, after].map((state) => (state.get(name) as TensorData).data as Float32Array) as [
      Float32Array,
      Float32Array,
    ];
    return from.reduce((most, value, index) => Math.max(most, Math.abs(value - (to[index] as number))), 0);
  };
  // Adam's first step is the learning rate itself.
  expect(largest('classifier.weight')).toBeCloseTo(0.01, 4);
  expect(largest('features.denseblock1.denselayer1.conv1.weight')).toBeCloseTo(0.001, 5);
});

test.each([
  [{ groups: [{ prefix: 'features.denseblok1' }] }, /Did you mean "features\.denseblock1"/],
  [{ groups: [{ prefix: 'features', lr: -1 }] }, /optimizer\.groups\[0\]\.lr/],
  [{ groups: [{ lr: 1 }] }, /optimizer\.groups\[0\]\.prefix/],
  [{ groups: {} }, /optimizer\.groups/],
  [{ layerDecay: 0 }, /optimizer\.layerDecay/],
  [{ layerDecay: 1.5 }, /optimizer\.layerDecay/],
])('%j is refused', (options, message) => {
  expect(() => tinyTrainer(model, { optimizer: { type: 'sgd', lr: 0.1, ...options } as OptimizerOptions })).toThrow(
    message,
  );
});
