/**
 * The published DenseNets by name.
 *
 * Sources: Huang et al., "Densely Connected Convolutional Networks" (2017), table 1 (ImageNet) and table 2 (CIFAR);
 * torchvision's `densenet161`; the authors' own DenseNet-264 (k = 32 and k = 48).
 */
const imagenet = { stem: 'imagenet', bottleneck: true, compression: 0.5, inChannels: 3, numClasses: 1000 } as const;
const cifar = { stem: 'cifar', inChannels: 3, numClasses: 10 } as const;

/** A CIFAR DenseNet-BC of a depth: three equal blocks of (depth − 4) / 6 layers, 2k initial channels. */
function cifarBc(depth: number, growthRate: number) {
  const layers = (depth - 4) / 6;
  const initChannels = 2 * growthRate;
  return {
    ...cifar,
    growthRate,
    blockConfig: [layers, layers, layers],
    initChannels,
    bottleneck: true,
    compression: 0.5,
  };
}

/** A plain CIFAR DenseNet of a depth: three equal blocks of (depth − 4) / 3 layers, 16 initial channels. */
function cifarPlain(depth: number, growthRate: number) {
  const layers = (depth - 4) / 3;
  return {
    ...cifar,
    growthRate,
    blockConfig: [layers, layers, layers],
    initChannels: 16,
    bottleneck: false,
    compression: 1,
  };
}

export const variants = {
  densenet121: { ...imagenet, growthRate: 32, blockConfig: [6, 12, 24, 16], initChannels: 64 },
  densenet161: { ...imagenet, growthRate: 48, blockConfig: [6, 12, 36, 24], initChannels: 96 },
  densenet169: { ...imagenet, growthRate: 32, blockConfig: [6, 12, 32, 32], initChannels: 64 },
  densenet201: { ...imagenet, growthRate: 32, blockConfig: [6, 12, 48, 32], initChannels: 64 },
  densenet264: { ...imagenet, growthRate: 32, blockConfig: [6, 12, 64, 48], initChannels: 64 },
  'densenet264-k48': { ...imagenet, growthRate: 48, blockConfig: [6, 12, 64, 48], initChannels: 96 },
  'cifar-40-12': cifarPlain(40, 12),
  'cifar-100-12': cifarPlain(100, 12),
  'cifar-100-24': cifarPlain(100, 24),
  'cifar-bc-100-12': cifarBc(100, 12),
  'cifar-bc-190-40': cifarBc(190, 40),
  'cifar-bc-250-24': cifarBc(250, 24),
} as const;

/** The name of a known configuration: {@link variantNames} lists them. */
export type Variant = keyof typeof variants;

/** Every {@link Variant}. */
export const variantNames = Object.keys(variants) as Variant[];
