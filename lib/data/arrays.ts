import { checkImages, type TensorData } from '../tensor';
import { checkNumber, checkOptions, invalidArgument, isArrayOf } from '../validate';
import { areRows, type ArrayDataset } from './dataset';
import { toClasses } from './labels';

/** What {@link fromArrays} takes. */
export interface ArrayOptions {
  /** N×C×H×W; raw pixels in a `Uint8Array`, or a `Float32Array` that is used as it is. */
  images: TensorData;
  /**
   * A class index for each image; or, where an image may have several labels or none, a `Float32Array` of N×classes
   * numbers from 0 to 1 beside `classes`.
   */
  labels: number[] | Int32Array | BigInt64Array | Uint8Array | Float32Array;
  /** The classes' names in the order of their indices; default `0`, `1`, … up to the highest label. */
  classes?: string[];
}

/**
 * A data set of images in memory. The images are not copied: do not change them while they are in use.
 *
 * @throws DenseNetError `ERR_INVALID_ARGUMENT` or `ERR_LABEL_OUT_OF_RANGE`.
 */
export function fromArrays(options: ArrayOptions): ArrayDataset {
  const { images, labels, classes } = checkOptions('options', options, ['images', 'labels', 'classes']);
  const checked = checkImages('images', images);
  const size = checked.shape[0] as number;
  if (classes !== undefined && (!isArrayOf(classes, (name) => typeof name === 'string') || classes.length === 0))
    throw invalidArgument('classes', 'an array of names, at least one', classes);
  if (areRows(labels)) return { kind: 'array', size, images: checked, ...checkTargets(labels, size, classes) };
  return { kind: 'array', size, images: checked, ...toClasses(labels, size, classes) };
}

function checkTargets(labels: Float32Array, size: number, classes: string[] | undefined) {
  if (classes === undefined)
    throw invalidArgument(
      'labels',
      'an array of numbers, an Int32Array, a BigInt64Array or a Uint8Array, or, beside classes, a Float32Array of targets',
      labels,
    );
  if (labels.length !== size * classes.length)
    throw invalidArgument('labels', `${size}×${classes.length} numbers, one an image and class`, labels);
  for (const [place, target] of labels.entries()) checkNumber(`labels[${place}]`, target, 0, 1);
  return { labels: labels.slice(), classes: [...classes] };
}
