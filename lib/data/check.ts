import { checkImages } from '../tensor';
import { checkInteger, invalidArgument, isArrayOf, typedArrayKind } from '../validate';
import type { Dataset } from './dataset';

/** Checks what a caller passes for a data set. */
export function checkDataset(dataset: Dataset): void {
  if (typeof dataset !== 'object' || (dataset as unknown) === null || (dataset.kind as unknown) !== 'array')
    throw invalidArgument('dataset', 'a data set, such as one of datasets.fromArrays', dataset);
  const { shape } = checkImages('dataset.images', dataset.images);
  checkInteger('dataset.size', dataset.size, shape[0] as number, shape[0]);
  if (!isArrayOf(dataset.classes, (name) => typeof name === 'string'))
    throw invalidArgument('dataset.classes', 'an array of names', dataset.classes);
  const { labels, size, classes } = dataset;
  const several = typedArrayKind(labels) === 'Float32Array' && labels.length === size * classes.length;
  if (!several && (typedArrayKind(labels) !== 'Int32Array' || labels.length !== size))
    throw invalidArgument(
      'dataset.labels',
      `an Int32Array of ${size} class indices, or a Float32Array of ${size}×${classes.length} targets`,
      labels,
    );
}
