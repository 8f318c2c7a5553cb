import { DenseNetError } from '../errors';
import { didYouMean, invalidArgument, show } from '../validate';
import type { ModelConfig } from './config';

/** What a part of the network gives: known before anything runs. */
export interface FeatureInfo {
  /** The part's name below `features`; a name that begins with `relu` is after the ReLU, all others are before theirs. */
  name: string;
  /** Channels of its feature maps. */
  channels: number;
  /** How many pixels of the image, in height and in width, a pixel of the feature map stands for. */
  stride: number;
}

/** Options of `DenseNet.features`. */
export interface FeatureOptions {
  /** Names of parts, see `DenseNet.featureInfo`; default `['norm5']`. */
  taps?: string[];
  /**
   * The stride of the last feature maps, for detection and segmentation: where it would grow further, transitions do not
   * pool and the convolutions after them are dilated instead. A power of two from the stem's stride to the network's own,
   * such as 8 or 16 of DenseNet-121's 32; default the network's own.
   */
  outputStride?: number;
}

/** The parts whose output can be had, in the order in which they run. */
export function featureInfo(config: ModelConfig): FeatureInfo[] {
  const { stem, blockConfig, growthRate, initChannels, compression } = config;
  const infos: FeatureInfo[] = [];
  const add = (name: string, channels: number, stride: number): number => infos.push({ name, channels, stride });
  let [channels, stride] = [initChannels, 1];
  if (stem === 'imagenet') {
    for (const name of ['conv0', 'norm0', 'relu0']) add(name, channels, 2);
    stride = 4;
    add('pool0', channels, stride);
  } else {
    add('conv0', channels, stride);
  }
  for (const [index, layers] of blockConfig.entries()) {
    channels += layers * growthRate;
    add(`denseblock${index + 1}`, channels, stride);
    if (index + 1 === blockConfig.length) break;
    channels = Math.floor(channels * compression);
    stride *= 2;
    add(`transition${index + 1}`, channels, stride);
  }
  for (const name of ['norm5', 'relu5']) add(name, channels, stride);
  return infos;
}

/** Checks the names of parts, and returns a copy. */
export function checkTaps(config: ModelConfig, taps: unknown): string[] {
  const known = featureInfo(config).map(({ name }) => name);
  if (!Array.isArray(taps) || taps.length === 0) throw invalidArgument('taps', 'an array of names', taps);
  return Array.from(taps, (tap: unknown) => {
    if (known.includes(tap as string)) return tap as string;
    const hint = typeof tap === 'string' ? didYouMean(tap, known) : '';
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `taps must name parts of the network, ${known.join(', ')}; got ${show(tap)}.${hint}`,
    );
  });
}

/** Checks an output stride; 0 stands for the network's own. */
export function checkOutputStride(config: ModelConfig, outputStride: unknown): number {
  if (outputStride === undefined) return 0;
  const first = config.stem === 'imagenet' ? 4 : 1;
  const allowed = config.blockConfig.map((_, index) => first * 2 ** index);
  if (!allowed.includes(outputStride as number))
    throw invalidArgument('outputStride', `one of ${allowed.join(', ')} for this network`, outputStride);
  return outputStride as number;
}
