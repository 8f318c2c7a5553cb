import { checkInteger, checkNumber, checkOptions, invalidArgument, typedArrayKind } from '../validate';
import { checkDataset } from './check';
import type { ArrayDataset, Dataset, StreamedDataset } from './dataset';
import { chooseLabels } from './picture-list';
import { partition } from './split';

/**
 * Some of a data set's images, in the order of `indices`; an index may come twice. Images in memory are copied; those of
 * a streamed data set are read from it.
 *
 * @param dataset Where they come from.
 * @param indices Each from 0 to below `dataset.size`; at least one.
 * @throws DenseNetError `ERR_INVALID_ARGUMENT`.
 */
export function subset<Set extends Dataset>(dataset: Set, indices: readonly number[]): Set {
  checkDataset('dataset', dataset);
  checkIndices(indices, dataset.size);
  const labels = chooseLabels(dataset.labels, dataset.size, indices);
  const chosen = dataset.kind === 'array' ? chooseArrays(dataset, indices) : chooseReads(dataset, indices);
  const { files } = dataset;
  const own = files === undefined ? {} : { files: indices.map((index) => files[index] as string) };
  return { ...(chosen as Set), ...own, size: indices.length, labels };
}

function chooseArrays(dataset: ArrayDataset, indices: readonly number[]): ArrayDataset {
  const { data, shape } = dataset.images;
  const length = data.length / dataset.size;
  const values = length * indices.length;
  const chosen = typedArrayKind(data) === 'Uint8Array' ? new Uint8Array(values) : new Float32Array(values);
  for (const [place, index] of indices.entries())
    (chosen as Float32Array).set(data.subarray(index * length, (index + 1) * length) as Float32Array, place * length);
  const { size, labels, classes } = dataset;
  return { kind: 'array', size, labels, classes, images: { data: chosen, shape: [indices.length, ...shape.slice(1)] } };
}

function chooseReads(dataset: StreamedDataset, given: readonly number[]): StreamedDataset {
  const indices = [...given];
  return { ...dataset, read: (index, signal) => dataset.read(indices[index] as number, signal) };
}

/**
 * Two data sets from one, class by class, so that each class has the same share in both; where an image may have several
 * labels, from all of them together.
 *
 * @param dataset What is split.
 * @param fraction The first one's share, above 0 and below 1.
 * @param options `seed`: images are drawn at random by it, the same for the same seed; without it the first of each
 *   class, in order, go to the first.
 * @throws DenseNetError `ERR_INVALID_ARGUMENT`, also where one of the two would be empty.
 */
export function split<Set extends Dataset>(dataset: Set, fraction: number, options?: { seed?: number }): [Set, Set] {
  checkDataset('dataset', dataset);
  checkNumber('fraction', fraction, 0, 1, true);
  const { seed } = checkOptions('options', options, ['seed']);
  if (seed !== undefined) checkInteger('seed', seed, 0, 0xffffffff);
  const [first, second] = partition(dataset.labels, dataset.size, dataset.classes.length, fraction, seed);
  return [subset(dataset, first), subset(dataset, second)];
}

function checkIndices(indices: unknown, size: number): void {
  if (!Array.isArray(indices) || indices.length === 0)
    throw invalidArgument('indices', 'an array of at least one index', indices);
  for (const [place, index] of indices.entries()) checkInteger(`indices[${place}]`, index, 0, size - 1);
}
