import { randomAffine, randomCrop } from '../data/transforms';
import type { CreateOptions } from '../model/densenet';
import type { TrainerOptions } from '../training/options';

/**
 * How `densenet train` trains on the digits: a DenseNet-BC small enough for a CPU, and the paper's own recipe (SGD with
 * Nesterov momentum 0.9) with a cosine schedule in place of steps.
 */
export const digitsRecipe = {
  epochs: 60,
  batchSize: 64,
  lr: 0.1,
  model: {
    growthRate: 12,
    blockConfig: [4, 4],
    initChannels: 24,
    stem: 'cifar',
    inChannels: 1,
    classes: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
    imageSize: [8, 8],
    // The mean and deviation of the training images.
    normalization: { mean: [0.3054], std: [0.3753] },
  } satisfies CreateOptions,
  /** Handwriting varies in place, slant and size; so little of each that no digit becomes another. */
  augment: [randomAffine({ degrees: 15, scale: [0.85, 1.15] }), randomCrop({ padding: 1 })],
  trainer: ({ lr, seed }: { lr: number; seed: number }): TrainerOptions => ({
    optimizer: { type: 'sgd', lr, momentum: 0.9, nesterov: true, weightDecay: 5e-4 },
    schedule: { type: 'cosine' },
    labelSmoothing: 0.1,
    seed,
  }),
} as const;

/** How `densenet train` trains on anything else: the paper's recipe with a cosine schedule; the data decide the network. */
export const defaultRecipe = {
  model: {} satisfies CreateOptions,
  augment: [],
  trainer: ({ lr, seed }: { lr: number; seed: number }): TrainerOptions => ({
    optimizer: { type: 'sgd', lr, momentum: 0.9, nesterov: true, weightDecay: 1e-4 },
    schedule: { type: 'cosine' },
    seed,
  }),
} as const;
