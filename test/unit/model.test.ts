import { DenseNet, type TensorData } from '../../lib';
import { tinyBatch, tinyImages, tinyTrainer } from '../tiny';
import { difference, expectRefusal, fingerprint, floats, modelMaker, rawImages, valuesOf } from './support';

const make = modelMaker();

function softmax(logits: number[]): number[] {
  const powers = logits.map(Math.exp);
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

describe('the configuration of a model', () => {
  it('is complete, and a copy: changing it changes nothing', async () => {
    const normalization = { mean: [0.1], std: [0.3] };
    const model = await make({ normalization, classes: ['a', 'b', 'c'], imageSize: [8, 9] });
    const config = model.config;
    expect(config).toMatchObject({
      growthRate: 4,
      blockConfig: [2, 2],
      compression: 0.5,
      bottleneckSize: 4,
      numClasses: 3,
    });
    config.blockConfig.push(7);
    config.normalization?.mean.fill(9);
    config.classes?.fill('z');
    config.imageSize?.fill(1);
    normalization.mean[0] = 5;
    expect(model.config).toMatchObject({
      blockConfig: [2, 2],
      normalization: { mean: [0.1], std: [0.3] },
      classes: ['a', 'b', 'c'],
      imageSize: [8, 9],
    });
  });

  it('says where the model computes', async () => {
    expect((await make()).device).toBe('cpu');
  });
});

describe('the counts of parameters', () => {
  // layer(c) = BN 2c + 1×1 16c + BN 32 + 3×3 16·4·9; a block goes from 8 to 16 channels; the transition halves them.
  const layer = (channels: number): number => 2 * channels + 16 * channels + 32 + 576;
  const block = layer(8) + layer(12);
  const features = 72 + block + (32 + 16 * 8) + block + 32;

  it('are what a hand counts by the paper', async () => {
    const model = await make();
    expect(model.parameterCount).toBe(features + 16 * 3 + 3);
    expect((await make({ stem: 'imagenet', inChannels: 2 })).parameterCount).toBe(features - 72 + 2 * 8 * 49 + 16 + 51);
  });

  it('are those of the state dict without its buffers', async () => {
    const model = await make();
    const parameters = [...(await model.stateDict())].filter(([name]) => /\.(weight|bias)$/.test(name));
    expect(parameters.reduce((sum, [, { data }]) => sum + data.length, 0)).toBe(model.parameterCount);
  });

  it('tell those that learn from those that do not', async () => {
    const model = await make();
    model.freeze('features');
    expect([model.trainableParameterCount, model.parameterCount]).toEqual([51, features + 51]);
    model.unfreeze('features.norm5');
    expect(model.trainableParameterCount).toBe(51 + 32);
    model.freeze();
    expect(model.trainableParameterCount).toBe(0);
    model.unfreeze();
    expect(model.trainableParameterCount).toBe(features + 51);
  });
});

describe('the state dict', () => {
  const norm = (name: string): string[] =>
    ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'].map((part) => `${name}.${part}`);
  const layer = (name: string, bottleneck: boolean): string[] => [
    ...norm(`${name}.norm1`),
    `${name}.conv1.weight`,
    ...(bottleneck ? [...norm(`${name}.norm2`), `${name}.conv2.weight`] : []),
  ];
  const network = (stem: string, bottleneck: boolean): string[] => [
    'features.conv0.weight',
    ...(stem === 'imagenet' ? norm('features.norm0') : []),
    ...[1, 2].flatMap((number) => layer(`features.denseblock1.denselayer${number}`, bottleneck)),
    ...norm('features.transition1.norm'),
    'features.transition1.conv.weight',
    ...[1, 2].flatMap((number) => layer(`features.denseblock2.denselayer${number}`, bottleneck)),
    ...norm('features.norm5'),
    'classifier.weight',
    'classifier.bias',
  ];

  it.each([
    ['imagenet', true],
    ['imagenet', false],
    ['cifar', true],
    ['cifar', false],
  ] as const)(
    'with the stem %s and bottleneck %p has torchvision’s names in PyTorch’s order',
    async (stem, bottleneck) => {
      expect([...(await (await make({ stem, bottleneck })).stateDict()).keys()]).toEqual(network(stem, bottleneck));
    },
  );

  it('has more than nine layers in the order of their numbers, not of their letters', async () => {
    const names = [...(await (await make({ blockConfig: [11] })).stateDict()).keys()];
    const layers = names.flatMap((name) => /denselayer(\d+)\.conv2/.exec(name)?.[1] ?? []).map(Number);
    expect(layers).toEqual(Array.from({ length: 11 }, (_, index) => index + 1));
  });

  it('is a copy: changing it changes nothing', async () => {
    const model = await make();
    const before = await fingerprint(model);
    for (const { data } of (await model.stateDict()).values()) new Uint8Array(data.buffer).fill(7);
    expect(await fingerprint(model)).toBe(before);
  });

  it('counts batches as 64-bit integers, and the rest as floats', async () => {
    const model = await make();
    await tinyTrainer(model).step(tinyBatch());
    for (const [name, { data, shape }] of await model.stateDict())
      if (name.endsWith('num_batches_tracked')) expect([name, shape, data]).toEqual([name, [], BigInt64Array.of(1n)]);
      else expect([name, Object.prototype.toString.call(data)]).toEqual([name, '[object Float32Array]']);
  });
});

describe('features', () => {
  it('has the shapes of the paper at every tap of the stem imagenet', async () => {
    const model = await make({ stem: 'imagenet', inChannels: 3, blockConfig: [2, 1, 1] });
    const taps = [
      'conv0',
      'norm0',
      'pool0',
      'denseblock1',
      'transition1',
      'denseblock2',
      'transition2',
      'denseblock3',
      'norm5',
    ];
    const found = await model.features(rawImages([2, 3, 64, 40]), { taps });
    expect(Object.entries(found).map(([name, { shape }]) => [name, ...shape])).toEqual([
      ['conv0', 2, 8, 32, 20],
      ['norm0', 2, 8, 32, 20],
      ['pool0', 2, 8, 16, 10],
      ['denseblock1', 2, 16, 16, 10],
      ['transition1', 2, 8, 8, 5],
      ['denseblock2', 2, 12, 8, 5],
      ['transition2', 2, 6, 4, 2],
      ['denseblock3', 2, 10, 4, 2],
      ['norm5', 2, 10, 4, 2],
    ]);
  });

  it('has those of the stem cifar, and norm5 alone where nothing is asked for', async () => {
    const model = await make();
    const found = await model.features(tinyImages(3), { taps: ['norm5', 'conv0', 'denseblock2'] });
    const shapes = new Map(Object.entries(found).map(([name, { shape }]) => [name, shape]));
    expect(shapes).toEqual(
      new Map([
        ['conv0', [3, 8, 8, 8]],
        ['denseblock2', [3, 16, 4, 4]],
        ['norm5', [3, 16, 4, 4]],
      ]),
    );
    expect(await model.features(tinyImages(3))).toEqual({ norm5: found['norm5'] });
  });

  it('gives a block’s output with its input in front', async () => {
    const { conv0, denseblock1 } = await (await make()).features(tinyImages(1), { taps: ['conv0', 'denseblock1'] });
    expect(valuesOf(denseblock1).slice(0, 8 * 64)).toEqual(valuesOf(conv0));
  });

  it('gives a transition’s map averaged over 2×2, of which pooling is the last part', async () => {
    const model = await make({ compression: 1, blockConfig: [1, 1] });
    const { denseblock1, transition1 } = await model.features(tinyImages(1), { taps: ['denseblock1', 'transition1'] });
    expect([denseblock1?.shape, transition1?.shape]).toEqual([
      [1, 12, 8, 8],
      [1, 12, 4, 4],
    ]);
    const weight = valuesOf((await model.stateDict()).get('features.transition1.conv.weight'));
    const input = valuesOf(denseblock1).map((value) => Math.max(value, 0) / Math.sqrt(1 + 1e-5));
    const mapped = (channel: number, place: number): number =>
      Array.from(
        { length: 12 },
        (_, c) => (weight[channel * 12 + c] as number) * (input[c * 64 + place] as number),
      ).reduce((a, b) => a + b);
    const expected = Array.from({ length: 12 * 16 }, (_, index) => {
      const [channel, y, x] = [Math.floor(index / 16), Math.floor((index % 16) / 4) * 2, (index % 4) * 2];
      return [0, 1, 8, 9].reduce((sum, step) => sum + mapped(channel, y * 8 + x + step), 0) / 4;
    });
    expect(difference(valuesOf(transition1), expected)).toBeLessThan(1e-5);
  });

  it('ends before the last ReLU: ReLU, mean and classifier make the logits of it', async () => {
    const model = await make();
    const state = await model.stateDict();
    const norm5 = valuesOf((await model.features(tinyImages(2)))['norm5']);
    expect(Math.min(...norm5)).toBeLessThan(0);
    const [weight, bias] = [valuesOf(state.get('classifier.weight')), valuesOf(state.get('classifier.bias'))];
    const expected = [0, 1].flatMap((image) => {
      const means = Array.from({ length: 16 }, (_, channel) => {
        const map = norm5.slice((image * 16 + channel) * 16, (image * 16 + channel + 1) * 16);
        return map.reduce((sum, value) => sum + Math.max(value, 0), 0) / 16;
      });
      return bias.map((start, label) =>
        means.reduce((sum, mean, c) => sum + mean * (weight[label * 16 + c] as number), start),
      );
    });
    expect(difference(valuesOf(await model.forward(tinyImages(2))), expected)).toBeLessThan(1e-6);
  });
});

describe('predict', () => {
  it('gives the classes by their probability, which is the softmax of the logits', async () => {
    const model = await make({ numClasses: 7 });
    const images = tinyImages(4);
    const logits = valuesOf(await model.forward(images));
    const predictions = await model.predict(images, { topK: 7 });
    expect(predictions).toHaveLength(4);
    predictions.forEach(({ top, ...best }, image) => {
      const expected = softmax(logits.slice(image * 7, image * 7 + 7));
      expect(best).toEqual(top[0]);
      expect(top.map(({ probability }) => probability)).toEqual(
        top.map(({ probability }) => probability).sort((a, b) => b - a),
      );
      expect(new Set(top.map(({ index }) => index)).size).toBe(7);
      for (const { index, label, probability } of top) {
        expect(probability).toBeCloseTo(expected[index] as number, 6);
        expect(label).toBe(String(index));
      }
    });
  });

  it('lists topK classes: five, or all where there are fewer', async () => {
    const count = async (numClasses: number, topK?: number): Promise<number | undefined> => {
      const model = await make({ numClasses });
      return (await model.predict(tinyImages(1), topK === undefined ? {} : { topK }))[0]?.top.length;
    };
    expect([await count(9), await count(3), await count(9, 1), await count(9, 9)]).toEqual([5, 3, 1, 9]);
  });

  it('gives the classes their names', async () => {
    const model = await make({ classes: ['ant', 'bee', 'cow'] });
    for (const { top } of await model.predict(tinyImages(2)))
      for (const { index, label } of top) expect(label).toBe(['ant', 'bee', 'cow'][index]);
  });

  it('gives an image the same answer alone and among others', async () => {
    const model = await make();
    const together = await model.forward(tinyImages(5));
    for (let image = 0; image < 5; image += 1) {
      const alone = floats([1, 1, 8, 8], (tinyImages(5).data as Float32Array).subarray(image * 64, image * 64 + 64));
      expect(
        difference(valuesOf(await model.forward(alone)), valuesOf(together).slice(image * 3, image * 3 + 3)),
      ).toBeLessThan(1e-6);
    }
  });
});

describe('raw pixels', () => {
  const raw = rawImages([2, 3, 8, 8]);
  const byHand = (mean: number[], std: number[]): TensorData => {
    const channel = (place: number): number => Math.floor(place / 64) % 3;
    const values = Array.from(
      raw.data as Uint8Array,
      (value, place) => (value / 255 - (mean[channel(place)] as number)) / (std[channel(place)] as number),
    );
    return floats(raw.shape, values);
  };

  it('are scaled to [0, 1], minus the mean, divided by the deviation, channel by channel', async () => {
    const [mean, std] = [
      [0.485, 0.456, 0.406],
      [0.229, 0.224, 0.325],
    ];
    const model = await make({ inChannels: 3, normalization: { mean, std } });
    const found = valuesOf(await model.forward(raw));
    expect(difference(found, valuesOf(await model.forward(byHand(mean, std))))).toBeLessThan(1e-6);
    expect(difference(found, valuesOf(await model.forward(byHand([...mean].reverse(), std))))).toBeGreaterThan(1e-5);
  });

  it('are only scaled where the model has no normalization', async () => {
    const model = await make({ inChannels: 3 });
    const scaled = byHand([0, 0, 0], [1, 1, 1]);
    expect(difference(valuesOf(await model.forward(raw)), valuesOf(await model.forward(scaled)))).toBeLessThan(1e-7);
  });

  it('are normalised for features, predict and training like for forward', async () => {
    const normalization = { mean: [0.5, 0.2, 0.9], std: [0.1, 0.5, 2] };
    const [one, other] = [await make({ inChannels: 3, normalization }), await make({ inChannels: 3, normalization })];
    const floatImages = byHand(normalization.mean, normalization.std);
    const [a, b] = [await one.features(raw), await one.features(floatImages)];
    expect(difference(valuesOf(a['norm5']), valuesOf(b['norm5']))).toBeLessThan(1e-5);
    const [p, q] = [await one.predict(raw), await one.predict(floatImages)];
    expect(p.map(({ index }) => index)).toEqual(q.map(({ index }) => index));
    const [first, second] = [
      await tinyTrainer(one).step({ images: raw, labels: [0, 1] }),
      await tinyTrainer(other).step({ images: floatImages, labels: [0, 1] }),
    ];
    expect(first.loss).toBeCloseTo(second.loss, 5);
  });

  it('as floats are taken as they are, whatever the normalization', async () => {
    const [plain, normalizing] = [await make(), await make({ normalization: { mean: [9], std: [0.1] } })];
    expect(await normalizing.forward(tinyImages(2))).toEqual(await plain.forward(tinyImages(2)));
  });

  it('may lie anywhere in a larger buffer', async () => {
    const model = await make();
    const whole = new Float32Array(64 + 9);
    whole.set(tinyImages(1).data as Float32Array, 5);
    const view = whole.subarray(5, 69);
    expect(await model.forward({ data: view, shape: [1, 1, 8, 8] })).toEqual(await model.forward(tinyImages(1)));
    const buffer = Buffer.from(rawImages([1, 1, 8, 8]).data as Uint8Array);
    expect(await model.forward({ data: buffer, shape: [1, 1, 8, 8] })).toEqual(
      await model.forward(rawImages([1, 1, 8, 8])),
    );
  });
});

test('a model without options is DenseNet-121 on the device that is there', async () => {
  const model = await DenseNet.create();
  expect(model.config).toMatchObject({ growthRate: 32, blockConfig: [6, 12, 24, 16], numClasses: 1000 });
  expect(model.device).toMatch(/^(cpu|cuda:0)$/);
  await model.dispose();
});

test('a model of one class, one channel and one layer works', async () => {
  const model = await make({ growthRate: 1, blockConfig: [1], initChannels: 1, numClasses: 1, bottleneckSize: 1 });
  expect(valuesOf(await model.forward(tinyImages(2)))).toHaveLength(2);
  expect((await model.predict(tinyImages(1)))[0]).toMatchObject({ index: 0, probability: 1 });
  await expectRefusal(
    () => model.predict(tinyImages(1), { topK: 2 }),
    'ERR_INVALID_ARGUMENT',
    'topK',
    'from 1 to 1',
    'got 2.',
  );
});
