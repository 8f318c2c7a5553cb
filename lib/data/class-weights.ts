import { invalidArgument } from '../validate';
import { checkDataset } from './check';
import { areRows, type Dataset } from './dataset';

/**
 * How many images each class has; where an image may have several labels, it counts for each of them.
 *
 * @returns One count a class, in the order of their indices.
 * @throws DenseNetError `ERR_INVALID_ARGUMENT`.
 */
export function classCounts(dataset: Dataset): number[] {
  checkDataset('dataset', dataset);
  const { labels, classes } = dataset;
  const counts = Array<number>(classes.length).fill(0);
  if (!areRows(labels)) for (const label of labels) counts[label] = (counts[label] ?? 0) + 1;
  else
    for (const [place, target] of labels.entries()) {
      const label = place % classes.length;
      counts[label] = (counts[label] ?? 0) + target;
    }
  return counts;
}

/**
 * A weight for each class that lets rare classes count as much as frequent ones: images / (classes × images of the
 * class), as scikit-learn's `balanced`.
 *
 * @throws DenseNetError `ERR_INVALID_ARGUMENT` where a class has no image.
 */
export function classWeights(dataset: Dataset): number[] {
  const counts = classCounts(dataset);
  const without = dataset.classes.filter((_, label) => counts[label] === 0);
  if (without.length > 0)
    throw invalidArgument('dataset', 'a data set in which every class has an image', `none of ${without.join(', ')}`);
  return counts.map((count) => dataset.size / (counts.length * count));
}
