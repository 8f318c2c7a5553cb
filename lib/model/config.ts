import { DenseNetError } from '../errors';
import {
  checkBoolean,
  checkInteger,
  checkNames,
  checkNumber,
  checkOneOf,
  checkOptions,
  checkPositive,
  invalidArgument,
  show,
} from '../validate';
import { variantNames, variants, type Variant } from './variants';

/** How raw pixels become the network's input: scaled to [0, 1], minus `mean`, divided by `std`, channel by channel. */
export interface Normalization {
  /** One number a channel, on the scale [0, 1]. */
  mean: number[];
  /** One number above 0 a channel, on the scale [0, 1]. */
  std: number[];
}

/** Everything that decides a network's shape and how it reads pictures. Saved with the weights. */
export interface ModelConfig {
  /** k: the channels that each layer adds (paper, section 3), at least 1, default 32. */
  growthRate: number;
  /** The layers of each block (table 1): 1 to 16 blocks of 1 to 10,000 layers, default [6, 12, 24, 16]. */
  blockConfig: number[];
  /** Channels before the first block, at least 1, default 64. */
  initChannels: number;
  /** DenseNet-B: a 1×1 convolution before each 3×3 (section 3, "Bottleneck layers"); default true. */
  bottleneck: boolean;
  /** The 1×1 convolution gives this many times `growthRate` channels, from 1 to 1,000, default 4. */
  bottleneckSize: number;
  /**
   * θ: the share of channels that a transition keeps, above 0 and at most 1, default 0.5 (section 3, "Compression").
   */
  compression: number;
  /** The share of values that dropout sets to zero in training, from 0 to below 1, default 0. */
  dropRate: number;
  /**
   * Dropout after the last convolution of a `layer` (torchvision, the default) or after every `convolution` (the
   * authors' code).
   */
  dropPlacement: 'layer' | 'convolution';
  /**
   * `imagenet`, the default: 7×7 convolution of stride 2, BN, ReLU, max pooling. `cifar`: one 3×3 convolution of
   * stride 1.
   */
  stem: 'imagenet' | 'cifar';
  /** Channels of the images: 1 for grey, 3 for RGB, the default; any number of at least 1 for arrays. */
  inChannels: number;
  /** Classes that the classifier tells apart, at least 1; default as many as `classes` names, else 1,000. */
  numClasses: number;
  /**
   * `fan-out`, the default: Kaiming-normal by fan-out, classifier N(0, 0.01). `torchvision`: Kaiming-normal by fan-in.
   */
  initialization: 'fan-out' | 'torchvision';
  /**
   * How raw pixels (`Uint8Array`) are normalised; `null` only scales them to [0, 1]. Floats are taken as they are.
   * Default: ImageNet's with the ImageNet stem and three channels, else `null`.
   */
  normalization: Normalization | null;
  /** The classes' names in the order of their indices; `null`, the default, where they are not known. */
  classes: string[] | null;
  /**
   * The [height, width] that pictures are brought to before they are classified, each from 1 to 65,535; `null` keeps
   * their own. Default: [224, 224] with the ImageNet stem and three channels, else `null`.
   */
  imageSize: [number, number] | null;
  /**
   * The length that a picture's shorter side gets before its middle is cut out, from 1 to 65,535; `null` stretches it
   * to `imageSize`. Default: 256 where `imageSize` is left at [224, 224], else `null`.
   */
  resizeSize: number | null;
  /** How pictures are resized, always antialiased; default `bilinear`. */
  interpolation: 'bilinear' | 'bicubic';
}

const defaults: ModelConfig = {
  ...variants.densenet121,
  blockConfig: [...variants.densenet121.blockConfig],
  bottleneckSize: 4,
  dropRate: 0,
  dropPlacement: 'layer',
  initialization: 'fan-out',
  normalization: null,
  classes: null,
  imageSize: null,
  resizeSize: null,
  interpolation: 'bilinear',
};

/**
 * What torchvision does to pictures before its DenseNets see them: the shorter side to 256, the middle 224×224, and the
 * mean and deviation of ImageNet's pixels. The default of models with the ImageNet stem and three channels.
 */
const imagenetPictures = {
  normalization: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  imageSize: [224, 224],
  resizeSize: 256,
} satisfies Partial<ModelConfig>;

/** The names of a configuration's fields. */
export const configKeys = Object.keys(defaults) as (keyof ModelConfig)[];

/** The largest number of channels, classes or layers that is taken for sense and not for a slip. */
const LARGEST = 1_000_000;

/** A checked configuration from a variant's name, single fields, or both; what is not given is DenseNet-121's. */
export function resolveConfig(options: Partial<ModelConfig> & { variant?: Variant | undefined }): ModelConfig {
  const variant =
    options.variant === undefined
      ? undefined
      : checkOneOf('variant', options.variant, variantNames, 'ERR_UNKNOWN_VARIANT');
  const given: Partial<ModelConfig> = {};
  for (const key of configKeys) {
    if (options[key] !== undefined) Object.assign(given, { [key]: options[key] });
  }
  const base = variant === undefined ? {} : variants[variant];
  const { stem, inChannels } = { ...defaults, ...base, ...given };
  const pictures = stem === 'imagenet' && inChannels === 3 ? imagenetPictures : {};
  const config: ModelConfig = { ...defaults, ...structuredClone(pictures), ...base, ...given };
  // Whoever gives a size, and no more, means the whole picture.
  if (given.imageSize !== undefined && given.resizeSize === undefined) config.resizeSize = null;
  // Class names decide the number of classes where it is not given itself.
  if (given.classes && given.numClasses === undefined) config.numClasses = checkNames('classes', given.classes).length;
  return checkConfig(config);
}

/** Checks every field of a configuration, also one that came from a file, and returns a copy. */
export function checkConfig(config: ModelConfig): ModelConfig {
  checkOptions('the configuration', config, configKeys);
  checkInteger('growthRate', config.growthRate, 1, LARGEST);
  checkInteger('initChannels', config.initChannels, 1, LARGEST);
  checkInteger('bottleneckSize', config.bottleneckSize, 1, 1000);
  checkInteger('inChannels', config.inChannels, 1, LARGEST);
  checkInteger('numClasses', config.numClasses, 1, LARGEST);
  checkBoolean('bottleneck', config.bottleneck);
  checkPositive('compression', config.compression, 1);
  checkNumber('dropRate', config.dropRate, 0, 1, true);
  checkOneOf('stem', config.stem, ['imagenet', 'cifar']);
  checkOneOf('dropPlacement', config.dropPlacement, ['layer', 'convolution']);
  checkOneOf('initialization', config.initialization, ['fan-out', 'torchvision']);
  checkBlocks(config);
  checkNormalization(config);
  checkClasses(config);
  checkImageSize(config);
  checkOneOf('interpolation', config.interpolation, ['bilinear', 'bicubic']);
  return structuredClone(config);
}

function checkBlocks({ blockConfig, growthRate, initChannels, compression }: ModelConfig): void {
  if (!Array.isArray(blockConfig) || blockConfig.length < 1 || blockConfig.length > 16)
    throw invalidArgument('blockConfig', 'an array of 1 to 16 whole numbers, the layers of each block', blockConfig);
  let channels = initChannels;
  // Not forEach, which skips holes.
  for (const [index, layers] of blockConfig.entries()) {
    checkInteger(`blockConfig[${index}]`, layers, 1, 10_000);
    channels += layers * growthRate;
    if (index + 1 === blockConfig.length) return;
    if (Math.floor(channels * compression) < 1)
      throw new DenseNetError(
        'ERR_INVALID_ARGUMENT',
        `compression ${compression} leaves no channel of the ${channels} after block ${index + 1}. Use a larger one.`,
      );
    channels = Math.floor(channels * compression);
  }
}

function checkNormalization({ normalization, inChannels }: ModelConfig): void {
  if (normalization === null) return;
  checkOptions('normalization', normalization, ['mean', 'std']);
  for (const key of ['mean', 'std'] as const) {
    const list: unknown = normalization[key];
    if (!Array.isArray(list) || list.length !== inChannels)
      throw invalidArgument(`normalization.${key}`, `an array of ${inChannels} numbers, one a channel`, list);
    for (const [index, value] of list.entries())
      (key === 'std' ? checkPositive : checkNumber)(`normalization.${key}[${index}]`, value);
  }
}

function checkClasses({ classes, numClasses }: ModelConfig): void {
  if (classes === null) return;
  checkNames('classes', classes);
  if (classes.length !== numClasses)
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `classes has ${classes.length} names, but numClasses is ${numClasses}. Give one name a class.`,
    );
}

function checkImageSize({ imageSize, resizeSize }: ModelConfig): void {
  if (resizeSize !== null) checkInteger('resizeSize', resizeSize, 1, 65_535);
  if (imageSize === null) {
    if (resizeSize !== null) throw invalidArgument('resizeSize', 'null where imageSize is', resizeSize);
    return;
  }
  if (!Array.isArray(imageSize) || imageSize.length !== 2)
    throw invalidArgument('imageSize', 'an array [height, width]', imageSize);
  for (const [index, length] of imageSize.entries()) checkInteger(`imageSize[${index}]`, length, 1, 65_535);
}

/** The values of all parameters and buffers of a network. */
export function stateLength(config: ModelConfig): number {
  const { growthRate, bottleneck, bottleneckSize, blockConfig, compression, inChannels, numClasses } = config;
  const norm = (channels: number): number => 4 * channels; // weight, bias, mean and variance; some files have no count of batches
  const width = bottleneckSize * growthRate;
  let channels = config.initChannels;
  let sum = config.stem === 'imagenet' ? 49 * inChannels * channels + norm(channels) : 9 * inChannels * channels;
  for (const [index, layers] of blockConfig.entries()) {
    for (let layer = 0; layer < layers; layer += 1) {
      sum +=
        norm(channels) +
        (bottleneck ? channels * width + norm(width) + 9 * width * growthRate : 9 * channels * growthRate);
      channels += growthRate;
    }
    if (index + 1 === blockConfig.length) break;
    const kept = Math.floor(channels * compression);
    sum += norm(channels) + channels * kept;
    channels = kept;
  }
  return sum + norm(channels) + (channels + 1) * numClasses;
}

/** The height, or the width, of the last feature map for an image of that height or width; 0 when nothing is left. */
export function finalLength(config: ModelConfig, length: number): number {
  // A convolution or pooling of stride 2 that is padded by half its kernel rounds up; average pooling rounds down.
  let rest = config.stem === 'imagenet' ? Math.ceil(Math.ceil(length / 2) / 2) : length;
  for (let transition = 1; transition < config.blockConfig.length; transition += 1) rest = Math.floor(rest / 2);
  return rest;
}

/** The smallest height and width that leave a pixel of an image: the least for which `finalLength` is 1. */
export function smallestLength({ stem, blockConfig }: ModelConfig): number {
  const pooled = 2 ** (blockConfig.length - 1); // what the transitions need
  return stem === 'imagenet' ? 4 * (pooled - 1) + 1 : pooled;
}

/** Checks that images of a shape N×C×H×W are large enough for the network. */
export function checkImageLength(config: ModelConfig, shape: readonly number[]): void {
  const [, , height = 0, width = 0] = shape;
  const smallest = smallestLength(config);
  if (height >= smallest && width >= smallest) return;
  throw new DenseNetError(
    'ERR_INPUT_TOO_SMALL',
    `the images are ${height}×${width} (height×width), and nothing would be left of them after the network's ` +
      `pooling; it takes ${smallest}×${smallest} or larger. Enlarge the images, or use fewer blocks` +
      `${config.stem === 'imagenet' ? " or stem: 'cifar'" : ''}.`,
  );
}

/** A configuration read from a file, where anything may be wrong. */
export function configFromFile(path: string, value: Record<string, unknown>): ModelConfig {
  try {
    return checkConfig({ ...defaults, ...value });
  } catch (error) {
    throw new DenseNetError(
      'ERR_FILE_FORMAT',
      `${path} has a configuration that cannot be used: ${error instanceof Error ? error.message : show(error)}`,
      { cause: error },
    );
  }
}
