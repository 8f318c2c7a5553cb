import type { TensorData } from '../tensor';
import { typedArrayKind } from '../validate';

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
  /** The file of each image, where they are pictures. */
  readonly files?: readonly string[];
}

/**
 * Labelled images, all in memory.
 *
 * Images stay as they were given: a `Uint8Array` holds raw pixels, which the model scales to [0, 1] and normalises
 * (see `normalization` of `DenseNet.create`); a `Float32Array` is used as it is.
 */
export interface ArrayDataset extends LabelledImages {
  /** Which kind of data set. */
  readonly kind: 'array';
  /** N×C×H×W. */
  readonly images: TensorData;
}

/**
 * Labelled images that need not fit into memory: each is read when a run comes to it, some ahead of the step that needs
 * it. An epoch reads each image once, in the epoch's own order.
 */
export interface StreamedDataset extends LabelledImages {
  /** Which kind of data set. */
  readonly kind: 'streamed';
  /** C×H×W, of every image. */
  readonly imageShape: readonly [number, number, number];
  /** `uint8` for raw pixels, `float32` for floats that are used as they are. */
  readonly dtype: 'uint8' | 'float32';
  /**
   * Reads an image: C·H·W values. Several reads run at once.
   *
   * @param index From 0 to below `size`.
   * @param signal Aborted when nobody needs the image any longer.
   * @returns `undefined` leaves the image out of this pass. What it rejects with ends the run.
   */
  read(index: number, signal: AbortSignal): Promise<Uint8Array | Float32Array | undefined>;
}

/** Whether labels are a row of numbers an image, so that an image may have several labels; not one class index each. */
export function areRows(labels: unknown): labels is Float32Array {
  return typedArrayKind(labels) === 'Float32Array';
}

/** Whatever `Trainer.fit` and `Trainer.evaluate` take. */
export type Dataset = ArrayDataset | StreamedDataset;
