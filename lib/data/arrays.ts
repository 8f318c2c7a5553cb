import { DenseNetError } from '../errors';
import { checkImages, type TensorData } from '../tensor';
import { checkInteger, checkNumber, checkOptions, invalidArgument, isArrayOf, typedArrayKind } from '../validate';
import type { ArrayDataset, Dataset } from './dataset';
import { toIndices } from './labels';

/** What {@link fromArrays} takes. */
export interface ArrayOptions {
  /** N×C×H×W; raw pixels in a `Uint8Array`, or a `Float32Array` that is used as it is. */
  images: TensorData;
  /** A class index for each image. */
  labels: number[] | Int32Array | BigInt64Array | Uint8Array;
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
  const labels = new Int32Array(indices.length);
  indices.forEach((index, place) => {
    const image = data.subarray(index * length, (index + 1) * length);
    (chosen as Float32Array).set(image as Float32Array, place * length);
    labels[place] = dataset.labels[index] as number;
  });
  const images = { data: chosen, shape: [indices.length, ...shape.slice(1)] };
  return { kind: 'array', size: indices.length, images, labels, classes: dataset.classes };
}

/**
 * Two data sets from one, class by class, so that each class has the same share in both.
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
  const first: number[] = [];
  const second: number[] = [];
  dataset.classes.forEach((_, label) => {
    const members = Array.from(dataset.labels.keys()).filter((index) => dataset.labels[index] === label);
    if (seed !== undefined) shuffle(members, seed + label);
    // 100 × 0.29 is 28.999999999999996.
    const count = Math.floor(members.length * fraction + 1e-9);
    first.push(...members.slice(0, count));
    second.push(...members.slice(count));
  });
  if (first.length === 0 || second.length === 0)
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `fraction ${fraction} of ${dataset.size} images leaves one of the two data sets empty. Choose one nearer to 0.5.`,
    );
  const ascending = (a: number, b: number): number => a - b;
  return [subset(dataset, first.sort(ascending)), subset(dataset, second.sort(ascending))];
}

function checkIndices(indices: unknown, size: number): void {
  if (!Array.isArray(indices) || indices.length === 0)
    throw invalidArgument('indices', 'an array of at least one index', indices);
  for (const [place, index] of indices.entries()) checkInteger(`indices[${place}]`, index, 0, size - 1);
}

function checkDataset(dataset: Dataset): void {
  if (typeof dataset !== 'object' || (dataset as unknown) === null || (dataset.kind as unknown) !== 'array')
    throw invalidArgument('dataset', 'a data set, such as one of datasets.fromArrays', dataset);
  const { shape } = checkImages('dataset.images', dataset.images);
  checkInteger('dataset.size', dataset.size, shape[0] as number, shape[0]);
  if (typedArrayKind(dataset.labels) !== 'Int32Array' || dataset.labels.length !== dataset.size)
    throw invalidArgument('dataset.labels', `an Int32Array of ${dataset.size} class indices`, dataset.labels);
  if (!isArrayOf(dataset.classes, (name) => typeof name === 'string'))
    throw invalidArgument('dataset.classes', 'an array of names', dataset.classes);
}

/** Fisher and Yates's shuffle, by the generator mulberry32. */
function shuffle(items: number[], seed: number): void {
  let state = seed >>> 0;
  for (let last = items.length - 1; last > 0; last -= 1) {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    const place = ((mixed ^ (mixed >>> 14)) >>> 0) % (last + 1);
    [items[last], items[place]] = [items[place] as number, items[last] as number];
  }
}
