import { readdirSync } from 'node:fs';
import path from 'node:path';
import { datasets, DenseNet, Trainer, type TensorData, type TrainerOptions } from '../../lib';
import { below, largest, readFixture, relativeDifference, withSafetensors, type Fixture } from './fixture';

const names = readdirSync(path.join(__dirname, 'fixtures'))
  .filter((file) => file.endsWith('.json'))
  .map((file) => path.basename(file, '.json'));

test('there are fixtures for plain, B, C and BC, both stems, and 1, 3 and 4 channels', async () => {
  const configs = await Promise.all(names.map(async (name) => (await readFixture(name)).config));
  const kinds = new Set(configs.map(({ bottleneck, compression }) => `${bottleneck} ${compression === 1}`));
  expect(kinds.size).toBe(4);
  expect(new Set(configs.map(({ stem }) => stem)).size).toBe(2);
  expect(new Set(configs.map(({ inChannels }) => inChannels))).toEqual(new Set([1, 3, 4]));
});

const implementations = ['auto', 'reference'] as const;
const cases = names.flatMap((name) => implementations.map((implementation) => [name, implementation] as const));

describe.each(cases)('like PyTorch, %s, %s', (name, implementation) => {
  let fixture: Fixture;
  let model: DenseNet;

  beforeAll(async () => (fixture = await readFixture(name)));
  beforeEach(async () => {
    model = await DenseNet.create({ ...fixture.config, device: 'cpu', implementation });
    await withSafetensors(below(fixture, 'initial'), (file) => model.loadWeights(file));
  });
  afterEach(() => model.dispose());

  const batch = (number: number) => ({
    images: fixture.tensors.get(`batch.${number}.input`) as TensorData,
    labels: fixture.tensors.get(`batch.${number}.labels`) as TensorData,
  });
  const options = (): TrainerOptions => ({
    optimizer: fixture.optimizer,
    ...(fixture.schedule && { schedule: fixture.schedule }),
  });

  it('has the same names in the same order', async () => {
    const state = await model.stateDict();
    expect([...state.keys()].sort()).toEqual([...below(fixture, 'initial').keys()].sort());
  });

  it('gives the same logits within 1e-5', async () => {
    const logits = await model.forward(batch(0).images);
    expect(relativeDifference(logits, fixture.tensors.get('logits') as TensorData)).toBeLessThan(1e-5);
  });

  it('gives the same features before the last ReLU', async () => {
    const { norm5 } = await model.features(batch(0).images);
    expect(relativeDifference(norm5 as TensorData, fixture.tensors.get('features') as TensorData)).toBeLessThan(1e-5);
  });

  it('gives the same gradient of every parameter', async () => {
    const { loss, size } = await new Trainer(model, options()).step(batch(0));
    expect(loss).toBeCloseTo(fixture.losses[0] as number, 5);
    expect(size).toBe(batch(0).images.shape[0]);
    const gradients = await model.gradients();
    const expected = below(fixture, 'gradient');
    expect([...gradients.keys()].sort()).toEqual([...expected.keys()].sort());
    // The stem's batch norm has gradients that all but cancel in single precision, PyTorch's too: against those of double
    // precision they are off by some 1e-3 of themselves, and by next to nothing beside the network's others.
    const noise = 1e-5 * Math.max(...[...expected.values()].map(largest));
    for (const [key, gradient] of expected) {
      const off = relativeDifference(gradients.get(key) as TensorData, gradient) * largest(gradient);
      expect([key, off]).toEqual([key, expect.toBeBelow(1e-4 * largest(gradient) + noise)]);
    }
  });

  it('has the same weights and buffers after 10 steps of fit', async () => {
    const rates: number[] = [];
    const run = new Trainer(model, options()).fit(joinEpoch(fixture, batch), {
      epochs: 2,
      batchSize: batch(0).images.shape[0] as number,
      shuffle: false,
    });
    for await (const event of run)
      if (event.type === 'step') rates[(event.epoch - 1) * 5 + event.step - 1] = event.learningRate;
    const { epochs } = await run;
    for (const [epoch, { train }] of epochs.entries()) {
      const losses = fixture.losses.slice(epoch * 5, epoch * 5 + 5);
      expect(train.loss).toBeCloseTo(losses.reduce((sum, loss) => sum + loss) / 5, 4);
    }
    rates.forEach((rate, step) => expect(rate).toBeCloseTo(fixture.learningRates[step] as number, 12));
    await expectFinalState(model, fixture);
  });

  it('has the same weights and buffers after 10 single steps, where no schedule moves the rate', async () => {
    if (fixture.schedule !== null) return;
    const trainer = new Trainer(model, options());
    for (let step = 0; step < 10; step += 1) {
      const { loss } = await trainer.step(batch((step % fixture.stepsPerEpoch) % 2));
      expect(loss).toBeCloseTo(fixture.losses[step] as number, 4);
    }
    await expectFinalState(model, fixture);
  });
});

/** The batches of one epoch as a data set: 0, 1, 0, 1, 0. */
function joinEpoch(fixture: Fixture, batch: (number: number) => { images: TensorData; labels: TensorData }) {
  const order = Array.from({ length: fixture.stepsPerEpoch }, (_, step) => batch(step % 2));
  const values = order.flatMap(({ images }) => Array.from(images.data as Float32Array));
  const labels = order.flatMap((one) => Array.from(one.labels.data as BigInt64Array, Number));
  const shape = [labels.length, ...(order[0]?.images.shape.slice(1) ?? [])];
  return datasets.fromArrays({ images: { data: Float32Array.from(values), shape }, labels });
}

async function expectFinalState(model: DenseNet, fixture: Fixture): Promise<void> {
  const state = await model.stateDict();
  for (const [key, expected] of below(fixture, 'final')) {
    const actual = state.get(key) as TensorData;
    if (key.endsWith('num_batches_tracked')) expect([key, actual.data]).toEqual([key, expected.data]);
    else expect([key, relativeDifference(actual, expected)]).toEqual([key, expect.toBeBelow(1e-4)]);
  }
}
