import { checkImages, type TensorData } from '../tensor';
import { checkInteger, checkNumber, checkOptions, invalidArgument, isArrayOf, typedArrayKind } from '../validate';
import { checkDataset } from './check';
import type { ArrayDataset, Dataset } from './dataset';
import { toIndices } from './labels';
import { chooseLabels } from './picture-list';
import { partition } from './split';

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
  if (typedArrayKind(labels) === 'Float32Array')
    return { kind: 'array', size, images: checked, ...checkTargets(labels as Float32Array, size, classes) };
  const most = (classes?.length ?? 1_000_000) - 1;
  const indices = toIndices(labels, labels, size, {
    list: 'an array of numbers, an Int32Array, a BigInt64Array or a Uint8Array',
    label: `a whole number from 0 to ${most}`,
    accepts: (label) => label >= 0 && label <= most,
  });
  const highest = indices.reduce((most, label) => Math.max(most, label), 0);
  const names = classes ?? Array.from({ length: highest + 1 }, (_, index) => String(index));
  return { kind: 'array', size, images: checked, labels: indices, classes: [...names] };
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

/**
 * Some of a data set's images, in the order of `indices`; an index may come twice. The images are copied.
 *
 * @param dataset Where they come from.
 * @param indices Each from 0 to below `dataset.size`; at least one.
 */
export function subset(dataset: Dataset, indices: readonly number[]): ArrayDataset {
  checkDataset(dataset);
  checkIndices(indices, dataset.size);
  const { data, shape } = dataset.images;
  const length = data.length / dataset.size;
  const values = length * indices.length;
  const chosen = typedArrayKind(data) === 'Uint8Array' ? new Uint8Array(values) : new Float32Array(values);
  for (const [place, index] of indices.entries())
    (chosen as Float32Array).set(data.subarray(index * length, (index + 1) * length) as Float32Array, place * length);
  const images = { data: chosen, shape: [indices.length, ...shape.slice(1)] };
  const labels = chooseLabels(dataset.labels, dataset.size, indices);
  return { kind: 'array', size: indices.length, images, labels, classes: dataset.classes };
}

/**
 * Two data sets from one, class by class, so that each class has the same share in both; where an image may have several
 * labels, from all of them together.
 *
 * @param dataset What is split.
 * @param fraction The first one's share, above 0 and below 1.
 * @param options `seed`: images are drawn at random by it, the same for the same seed; without it the first of each
 *   class, in order, go to the first.
 */
export function split(dataset: Dataset, fraction: number, options?: { seed?: number }): [ArrayDataset, ArrayDataset] {
  checkDataset(dataset);
  checkNumber('fraction', fraction, 0, 1, true);
  const { seed } = checkOptions('options', options, ['seed']);
  if (seed !== undefined) checkInteger('seed', seed, 0, 0xffffffff);
  const [first, second] = partition(dataset.labels, dataset.classes.length, fraction, seed);
  return [subset(dataset, first), subset(dataset, second)];
}

function checkIndices(indices: unknown, size: number): void {
  if (!Array.isArray(indices) || indices.length === 0)
    throw invalidArgument('indices', 'an array of at least one index', indices);
  for (const [place, index] of indices.entries()) checkInteger(`indices[${place}]`, index, 0, size - 1);
}
