import type { ModelConfig } from './config';

/** A module of the network and what it gives. */
export interface NetworkModule {
  /** Its dotted name; where it has parameters, theirs begin with it. */
  name: string;
  kind: 'convolution' | 'batch norm' | 'pooling' | 'linear';
  /** N×C×H×W, or N×classes. */
  outputShape: number[];
}

/** A part of the network: modules that run one after the other. */
export interface NetworkPart {
  /** The dotted name of the part. */
  name: string;
  /** What it gives: that of its last module, or, of a block, its input and every layer's output joined. */
  outputShape: number[];
  modules: NetworkModule[];
}

/**
 * The parts of a network in the order in which they run, as native code has them too (`part_names`), with the shape that
 * each module gives for a batch of images.
 *
 * @param batch Images, their height and their width.
 */
export function networkParts(config: ModelConfig, [images, height, width]: [number, number, number]): NetworkPart[] {
  const { stem, blockConfig, growthRate, initChannels, compression, bottleneck, bottleneckSize, numClasses } = config;
  const parts: NetworkPart[] = [];
  let size: [number, number] = [height, width];
  const resize = (change: (length: number) => number): void => void (size = [change(size[0]), change(size[1])]);
  const half = (length: number): number => Math.ceil(length / 2);
  const shape = (channels: number): number[] => [images, channels, ...size];
  const part = (name: string, channels: number, ...modules: NetworkModule[]): number =>
    parts.push({ name: `features.${name}`, outputShape: shape(channels), modules });
  const module = (name: string, kind: NetworkModule['kind'], channels: number): NetworkModule => ({
    name: `features.${name}`,
    kind,
    outputShape: shape(channels),
  });
  let channels = initChannels;
  if (stem === 'imagenet') resize(half);
  part('conv0', channels, module('conv0', 'convolution', channels));
  if (stem === 'imagenet') {
    part('norm0', channels, module('norm0', 'batch norm', channels));
    resize(half);
    part('pool0', channels, module('pool0', 'pooling', channels));
  }
  for (const [index, layers] of blockConfig.entries()) {
    const block = `denseblock${index + 1}`;
    const modules: NetworkModule[] = [];
    for (let layer = 1; layer <= layers; layer += 1) {
      const name = `${block}.denselayer${layer}`;
      const inner = bottleneck ? bottleneckSize * growthRate : growthRate;
      modules.push(module(`${name}.norm1`, 'batch norm', channels), module(`${name}.conv1`, 'convolution', inner));
      if (bottleneck)
        modules.push(module(`${name}.norm2`, 'batch norm', inner), module(`${name}.conv2`, 'convolution', growthRate));
      channels += growthRate;
    }
    part(block, channels, ...modules);
    if (index + 1 === blockConfig.length) break;
    const transition = `transition${index + 1}`;
    const norm = module(`${transition}.norm`, 'batch norm', channels);
    channels = Math.floor(channels * compression);
    const convolution = module(`${transition}.conv`, 'convolution', channels);
    resize((length) => Math.floor(length / 2));
    part(transition, channels, norm, convolution, module(`${transition}.pool`, 'pooling', channels));
  }
  part('norm5', channels, module('norm5', 'batch norm', channels));
  const outputShape = [images, numClasses];
  parts.push({ name: 'classifier', outputShape, modules: [{ name: 'classifier', kind: 'linear', outputShape }] });
  return parts;
}
