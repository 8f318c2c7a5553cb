import type { TensorData } from '../tensor';

/**
 * Labelled images, all in memory.
 *
 * Images stay as they were given: a `Uint8Array` holds raw pixels, which the model scales to [0, 1] and normalises
 * (see `normalization` of `DenseNet.create`); a `Float32Array` is used as it is.
 */
export interface ArrayDataset {
  readonly kind: 'array';
  /** How many images there are, at least 1. */
  readonly size: number;
  /** N×C×H×W. */
  readonly images: TensorData;
  /** A class index for each image, each in [0, classes.length). */
  readonly labels: Int32Array;
  /** The classes' names, in the order of their indices. */
  readonly classes: readonly string[];
}

/** Whatever `Trainer.fit` and `Trainer.evaluate` take. */
export type Dataset = ArrayDataset;
