import { DenseNet, manualSeed, type TensorData } from '../../lib';
import { fingerprint, modelMaker, valuesOf } from './support';

const make = modelMaker();

interface Statistics {
  count: number;
  mean: number;
  std: number;
  largest: number;
}

/** In one pass: there are millions of values. */
function statisticsOf({ data }: TensorData): Statistics {
  const values = data as Float32Array;
  let [sum, squares, largest] = [0, 0, 0];
  for (const value of values) {
    sum += value;
    squares += value * value;
    if (value > largest) largest = value;
    else if (-value > largest) largest = -value;
  }
  const mean = sum / values.length;
  return { count: values.length, mean, std: Math.sqrt(squares / values.length - mean * mean), largest };
}

/** How many standard errors the measured mean and deviation are off what a normal distribution with `std` has. */
function errorsOff({ count, mean, std: measured }: Statistics, std: number): number {
  return Math.max(Math.abs(mean) / (std / Math.sqrt(count)), Math.abs(measured / std - 1) * Math.sqrt(2 * count));
}

describe.each(['fan-out', 'torchvision'] as const)('DenseNet-121 with the initialization %s', (initialization) => {
  let state: Map<string, TensorData>;
  beforeAll(async () => {
    const model = await DenseNet.create({ variant: 'densenet121', initialization, seed: 5, device: 'cpu' });
    state = await model.stateDict();
    await model.dispose();
  });

  it('draws every convolution from N(0, 2 / fan)', () => {
    const convolutions = [...state].filter(([, { shape }]) => shape.length === 4);
    expect(convolutions).toHaveLength(120);
    for (const [name, tensor] of convolutions) {
      const [out = 0, input = 0, height = 0, width = 0] = tensor.shape;
      const fan = height * width * (initialization === 'fan-out' ? out : input);
      // 240 figures within 5 standard errors: by chance this fails once in ten thousand seeds.
      expect([name, errorsOff(statisticsOf(tensor), Math.sqrt(2 / fan))]).toEqual([name, expect.toBeBelow(5)]);
    }
  });

  it('draws the classifier as it should, with a bias of 0', () => {
    const classifier = statisticsOf(state.get('classifier.weight') as TensorData);
    if (initialization === 'fan-out') {
      expect(errorsOff(classifier, 0.01)).toBeLessThan(5);
      expect(classifier.largest).toBeGreaterThan(0.04);
    } else {
      const bound = 1 / Math.sqrt(1024);
      expect(classifier.largest).toBeLessThanOrEqual(bound);
      expect(classifier.largest).toBeGreaterThan(0.999 * bound);
      expect(classifier.std / (bound / Math.sqrt(3))).toBeCloseTo(1, 2);
      expect(Math.abs(classifier.mean)).toBeLessThan(1e-4);
    }
    expect(new Set(valuesOf(state.get('classifier.bias')))).toEqual(new Set([0]));
  });

  it('starts batch norm at weight 1, bias 0, mean 0 and variance 1, with no batch seen', () => {
    const expected: [RegExp, number][] = [
      [/norm\d?\.weight$/, 1],
      [/norm\d?\.bias$/, 0],
      [/running_mean$/, 0],
      [/running_var$/, 1],
      [/num_batches_tracked$/, 0],
    ];
    for (const [pattern, value] of expected) {
      const found = [...state].filter(([name]) => pattern.test(name));
      expect(found).toHaveLength(121);
      for (const [name, tensor] of found) expect([name, new Set(valuesOf(tensor))]).toEqual([name, new Set([value])]);
    }
  });
});

describe('the seed', () => {
  it('decides every weight', async () => {
    expect(await fingerprint(await make({ seed: 7 }))).toBe(await fingerprint(await make({ seed: 7 })));
  });

  it('that is another gives another value to every convolution and the classifier', async () => {
    const [one, other] = [await (await make({ seed: 7 })).stateDict(), await (await make({ seed: 8 })).stateDict()];
    const drawn = [...one].filter(([, { shape }]) => shape.length > 1);
    expect(drawn.length).toBeGreaterThan(8);
    for (const [name, { data }] of drawn) expect([name, other.get(name)?.data]).not.toEqual([name, data]);
  });

  it('may be any whole number that JavaScript tells apart', async () => {
    const seeds = [0, 1, 2 ** 31, Number.MAX_SAFE_INTEGER];
    const found = await Promise.all(seeds.map(async (seed) => fingerprint(await make({ seed }))));
    expect(new Set(found).size).toBe(seeds.length);
  });

  it('gives each convolution draws of its own', async () => {
    const state = await (await make()).stateDict();
    const [first, second] = [1, 2].map((layer) => state.get(`features.denseblock2.denselayer${layer}.conv2.weight`));
    expect(first?.shape).toEqual(second?.shape);
    expect(first?.data).not.toEqual(second?.data);
  });
});

describe('manualSeed', () => {
  /** Without a seed of its own. */
  const create = async (): Promise<string> => {
    const model = await DenseNet.create({
      growthRate: 4,
      blockConfig: [2],
      initChannels: 8,
      stem: 'cifar',
      device: 'cpu',
    });
    const found = await fingerprint(model);
    await model.dispose();
    return found;
  };

  it('decides a model without a seed', async () => {
    await manualSeed(11);
    const [first, second] = [await create(), await create()];
    expect(second).not.toBe(first);
    await manualSeed(11);
    expect([await create(), await create()]).toEqual([first, second]);
    await manualSeed(12);
    expect(await create()).not.toBe(first);
  });

  it('does not move a model with a seed of its own', async () => {
    await manualSeed(11);
    const own = await fingerprint(await make({ seed: 3 }));
    await manualSeed(12);
    expect(await fingerprint(await make({ seed: 3 }))).toBe(own);
  });
});
