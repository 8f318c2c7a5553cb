import type { TensorData } from '../tensor';

/** What every data set has. */
export interface LabelledImages {
  /** How many images there are, at least 1. */
  readonly size: number;
  /**
   * A class index for each image, each in [0, classes.length); or, where an image may have several labels or none, a
   * `Float32Array` of size × classes.length numbers from 0 to 1, image by image.
   */
  readonly labels: Int32Array | Float32Array;
  /** The classes' names, in the order of their indices. */
  readonly classes: readonly string[];
  /** With `broken: 'skip'`: why each picture that was left out was; its length is their number. */
  readonly skipped?: readonly string[];
}

/**
 * Labelled images, all in memory.
 *
 * Images stay as they were given: a `Uint8Array` holds raw pixels, which the model scales to [0, 1] and normalises
 * (see `normalization` of `DenseNet.create`); a `Float32Array` is used as it is.
 */
export interface ArrayDataset extends LabelledImages {
  readonly kind: 'array';
  /** N×C×H×W. */
  readonly images: TensorData;
}

/** Whatever `Trainer.fit` and `Trainer.evaluate` take. */
export type Dataset = ArrayDataset;
