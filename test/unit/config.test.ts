import { DenseNet, variantNames, type CreateOptions, type ModelConfig } from '../../lib';
import { checkConfig, finalLength, resolveConfig, smallestLength } from '../../lib/model/config';
import { expectRefusal, floats, modelMaker, rawImages, valuesOf, wrong } from './support';

const make = modelMaker();

describe('a configuration', () => {
  it('is that of DenseNet-121 for ImageNet where nothing is given', () => {
    expect(resolveConfig({})).toMatchObject({
      growthRate: 32,
      blockConfig: [6, 12, 24, 16],
      initChannels: 64,
      bottleneck: true,
      bottleneckSize: 4,
      compression: 0.5,
      dropRate: 0,
      dropPlacement: 'layer',
      stem: 'imagenet',
      inChannels: 3,
      numClasses: 1000,
      initialization: 'fan-out',
      classes: null,
    });
  });

  it.each([
    [
      'cifar-bc-100-12',
      { growthRate: 12, blockConfig: [16, 16, 16], initChannels: 24, bottleneck: true, compression: 0.5 },
    ],
    ['cifar-40-12', { growthRate: 12, blockConfig: [12, 12, 12], initChannels: 16, bottleneck: false, compression: 1 }],
    [
      'densenet161',
      { growthRate: 48, blockConfig: [6, 12, 36, 24], initChannels: 96, bottleneck: true, compression: 0.5 },
    ],
  ] as const)('of the variant %s is the paper’s', (variant, expected) => {
    expect(resolveConfig({ variant })).toMatchObject({
      ...expected,
      stem: variant.startsWith('cifar') ? 'cifar' : 'imagenet',
      numClasses: variant.startsWith('cifar') ? 10 : 1000,
    });
  });

  it('takes single fields in the place of the variant’s, and leaves the rest', () => {
    const config = resolveConfig({ variant: 'densenet169', numClasses: 7, dropRate: 0.2 });
    expect(config).toEqual({ ...resolveConfig({ variant: 'densenet169' }), numClasses: 7, dropRate: 0.2 });
  });

  it('takes a field that is undefined for one that is not given', () => {
    const options = { variant: undefined, growthRate: undefined, classes: undefined };
    expect(resolveConfig(wrong(options))).toEqual(resolveConfig({}));
  });

  it('has as many classes as there are names, where only the names are given', () => {
    expect(resolveConfig({ classes: ['cat', 'dog', 'eel'] }).numClasses).toBe(3);
  });

  it('is a copy: what is changed in the given one afterwards changes nothing', () => {
    const given = { blockConfig: [2, 3], normalization: { mean: [0, 0, 0], std: [1, 1, 1] }, classes: ['a', 'b'] };
    const config = resolveConfig(given);
    given.blockConfig.push(9);
    given.normalization.mean[0] = 5;
    given.classes[0] = 'z';
    expect(config.blockConfig).toEqual([2, 3]);
    expect(config.normalization).toEqual({ mean: [0, 0, 0], std: [1, 1, 1] });
    expect(config.classes).toEqual(['a', 'b']);
  });

  it('of every variant passes its own check', () => {
    for (const variant of variantNames) {
      const config = resolveConfig({ variant });
      expect(checkConfig(config)).toEqual(config);
    }
  });

  it('with a field that there is not is refused, and the nearest is named', async () => {
    const config = { ...resolveConfig({}), growthrate: 12 };
    const texts = ['"growthrate"', 'growthRate', 'Did you mean "growthRate"?'];
    await expectRefusal(() => checkConfig(config), 'ERR_INVALID_ARGUMENT', ...texts);
    await expectRefusal(() => DenseNet.create(wrong({ growthrate: 12 })), 'ERR_INVALID_ARGUMENT', ...texts);
  });
});

describe('an unknown variant is refused with ERR_UNKNOWN_VARIANT', () => {
  it.each([
    ['densenet112', 'densenet121'],
    ['DenseNet169', 'densenet169'],
    ['densenet264-48', 'densenet264-k48'],
    ['cifar-bc-100', 'cifar-bc-100-12'],
  ])('%s: did you mean %s?', async (given, nearest) => {
    const texts = [`got "${given}"`, `Did you mean "${nearest}"?`, ...variantNames];
    await expectRefusal(() => resolveConfig(wrong({ variant: given })), 'ERR_UNKNOWN_VARIANT', ...texts);
    await expectRefusal(() => DenseNet.create(wrong({ variant: given })), 'ERR_UNKNOWN_VARIANT', ...texts);
  });

  it.each([[121], [null], [''], ['toString'], ['__proto__'], [['densenet121']]])('%p', async (given) => {
    await expectRefusal(() => resolveConfig(wrong({ variant: given })), 'ERR_UNKNOWN_VARIANT', 'got ');
  });

  it('without a guess where no name is near', async () => {
    await expect(DenseNet.create(wrong({ variant: 'resnet' }))).rejects.toThrow(/got "resnet"\.$/);
  });
});

describe('a bad value is refused with its name, what is allowed and what was given:', () => {
  const upToMillion = 'an integer from 1 to 1000000';
  const blocks = 'an array of 1 to 16 whole numbers';
  const mean = [0.5, 0.5, 0.5];
  const std = [0.2, 0.2, 0.2];
  it.each<[keyof ModelConfig, unknown, string, string]>([
    ...(['growthRate', 'initChannels', 'inChannels', 'numClasses'] as const).flatMap(
      (field): [keyof ModelConfig, unknown, string, string][] => [
        [field, 0, upToMillion, 'got 0.'],
        [field, -3, upToMillion, 'got -3.'],
        [field, 1.5, upToMillion, 'got 1.5.'],
        [field, NaN, upToMillion, 'got NaN.'],
        [field, '12', upToMillion, 'got "12".'],
        [field, 1_000_001, upToMillion, 'got 1000001.'],
        [field, null, upToMillion, 'got null.'],
      ],
    ),
    ['bottleneckSize', 0, 'an integer from 1 to 1000', 'got 0.'],
    ['bottleneckSize', 1001, 'an integer from 1 to 1000', 'got 1001.'],
    ['bottleneck', 'yes', 'true or false', 'got "yes".'],
    ['bottleneck', 1, 'true or false', 'got 1.'],
    ['compression', 0, 'above 0 and at most 1', 'got 0.'],
    ['compression', 1.01, '1', 'got 1.01.'],
    ['compression', NaN, '1', 'got NaN.'],
    ['dropRate', 1, 'from 0 to below 1', 'got 1.'],
    ['dropRate', -0.1, 'from 0 to below 1', 'got -0.1.'],
    ['dropRate', '0.5', 'from 0 to below 1', 'got "0.5".'],
    ['dropPlacement', 'layers', '"layer", "convolution"', 'got "layers". Did you mean "layer"?'],
    ['stem', 'cifar10', '"imagenet", "cifar"', 'got "cifar10". Did you mean "cifar"?'],
    ['initialization', true, '"fan-out", "torchvision"', 'got true.'],
    ['blockConfig', [], blocks, 'got [].'],
    ['blockConfig', 6, blocks, 'got 6.'],
    ['blockConfig', '6,12', blocks, 'got "6,12".'],
    ['blockConfig', Array(17).fill(1), blocks, '17 values'],
    ['blockConfig', [6, 0], 'blockConfig[1] must be an integer from 1 to 10000', 'got 0.'],
    ['blockConfig', [10_001], 'blockConfig[0] must be an integer from 1 to 10000', 'got 10001.'],
    ['blockConfig', [6, '12'], 'blockConfig[1] must be an integer from 1 to 10000', 'got "12".'],
    ['normalization', 'imagenet', 'an object', 'got "imagenet".'],
    ['normalization', { mean }, 'normalization.std must be an array of 3 numbers', 'got undefined.'],
    ['normalization', { mean: [0.5], std }, 'normalization.mean must be an array of 3 numbers', 'got [0.5].'],
    ['normalization', { mean: [0, 0, NaN], std }, 'normalization.mean[2] must be a finite number', 'got NaN.'],
    ['normalization', { mean, std: [1, 0, 1] }, 'normalization.std[1] must be', 'above 0; got 0.'],
    ['normalization', { mean, std: [1, 1, -1] }, 'normalization.std[2] must be', 'above 0; got -1.'],
    ['normalization', { mean, std, scale: 1 }, 'the options are mean, std', '"scale"'],
    ['classes', [1, 2], 'an array of names', 'got [1, 2].'],
    ['classes', { 0: 'cat' }, 'classes must be an array of names', 'got an object.'],
    ['classes', 7, 'classes must be an array of names', 'got 7.'],
    ['classes', [], 'classes must be', 'got [].'],
    ['imageSize', [32], 'an array [height, width]', 'got [32].'],
    ['imageSize', 32, 'an array [height, width]', 'got 32.'],
    ['imageSize', [0, 32], 'imageSize[0] must be an integer from 1 to 65535', 'got 0.'],
    ['imageSize', [32, 65_536], 'imageSize[1] must be an integer from 1 to 65535', 'got 65536.'],
  ])('%s %p', async (field, value, allowed, given) => {
    const options = { [field]: value } as CreateOptions;
    await expectRefusal(() => resolveConfig(options), 'ERR_INVALID_ARGUMENT', field, allowed, given);
    await expectRefusal(() => DenseNet.create({ ...options, device: 'cpu' }), 'ERR_INVALID_ARGUMENT', field, given);
  });

  it('a range without 0 is told as one, whatever was given', async () => {
    await expectRefusal(() => resolveConfig({ compression: -0.1 }), 'ERR_INVALID_ARGUMENT', 'above 0', 'got -0.1.');
  });

  it.each<[keyof ModelConfig, unknown]>([
    ['blockConfig', new Array(3)],
    ['imageSize', new Array(2)],
    ['normalization', { mean: new Array(3), std: [1, 1, 1] }],
    ['normalization', { mean: [0, 0, 0], std: new Array(3) }],
    ['classes', new Array(3)],
  ])('%s, a list with holes (%p), like one with undefined in it', async (field, value) => {
    const options = { numClasses: 3, [field]: value };
    await expectRefusal(() => resolveConfig(wrong(options)), 'ERR_INVALID_ARGUMENT', field, 'got ');
  });

  it('names for more or fewer classes than there are are refused with both numbers', async () => {
    const options = { classes: ['a', 'b'], numClasses: 3 };
    await expectRefusal(() => resolveConfig(options), 'ERR_INVALID_ARGUMENT', 'classes has 2 names', 'numClasses is 3');
  });

  it('a compression that leaves no channel is refused with the block and its channels', async () => {
    const options = { initChannels: 1, growthRate: 1, blockConfig: [1, 1], compression: 0.4 };
    await expectRefusal(() => resolveConfig(options), 'ERR_INVALID_ARGUMENT', 'compression 0.4', '2 after block 1');
    expect(resolveConfig({ ...options, compression: 0.5 }).compression).toBe(0.5);
  });
});

/** Counts the places of a window by walking over the padded line. */
function placesOf(length: number, kernel: number, stride: number, padding: number): number {
  let places = 0;
  for (let start = -padding; start + kernel <= length + padding; start += stride) places += 1;
  return places;
}

/** The last feature map's length, layer by layer as the paper has them. */
function walk(stem: 'imagenet' | 'cifar', blocks: number, length: number): number {
  let rest = stem === 'imagenet' ? placesOf(placesOf(length, 7, 2, 3), 3, 2, 1) : placesOf(length, 3, 1, 1);
  for (let block = 1; block <= blocks; block += 1) {
    rest = placesOf(rest, 3, 1, 1);
    if (block < blocks) rest = placesOf(rest, 2, 2, 0);
  }
  return rest;
}

describe.each(['imagenet', 'cifar'] as const)('with the stem %s', (stem) => {
  it('the last feature map is as long as a walk over every window says', () => {
    for (let blocks = 1; blocks <= 5; blocks += 1) {
      const config = resolveConfig({ stem, blockConfig: Array<number>(blocks).fill(2) });
      const lengths = Array.from({ length: 260 }, (_, index) => index + 1);
      expect(lengths.map((length) => finalLength(config, length))).toEqual(
        lengths.map((one) => walk(stem, blocks, one)),
      );
      expect(smallestLength(config)).toBe(lengths.find((length) => walk(stem, blocks, length) > 0));
    }
  });

  it.each([[[2]], [[2, 2]], [[1, 1, 1, 1]]])(
    'and blocks %p, the smallest image goes through and no smaller one',
    async (blockConfig) => {
      const model = await make({ stem, blockConfig });
      const least = smallestLength(model.config);
      const logits = await model.forward(rawImages([2, 1, least, least]));
      expect(logits.shape).toEqual([2, 3]);
      expect(valuesOf(logits).every(Number.isFinite)).toBe(true);
      if (least === 1) return;
      for (const [height, width] of [
        [least - 1, least],
        [least, least - 1],
        [1, 1],
      ] as const)
        await expectRefusal(
          () => model.forward(floats([1, 1, height, width], Array<number>(height * width).fill(0))),
          'ERR_INPUT_TOO_SMALL',
          `${height}×${width}`,
          `${least}×${least} or larger`,
        );
    },
  );

  it('the last feature map of real images has the told height and width', async () => {
    const model = await make({ stem, blockConfig: [1, 1, 1] });
    for (const [height, width] of [
      [16, 31],
      [33, 18],
      [40, 47],
    ] as const) {
      const { norm5 } = await model.features(rawImages([1, 1, height, width]));
      expect(norm5?.shape.slice(2)).toEqual([finalLength(model.config, height), finalLength(model.config, width)]);
    }
  });
});
