import type { Dataset } from '../data/dataset';
import { checkImageLength, type ModelConfig } from '../model/config';
import { checkImages } from '../tensor';
import { invalidArgument, typedArrayKind } from '../validate';

/** What a model needs to know of a data set. */
export interface CheckedDataset {
  /** N×C×H×W. */
  shape: number[];
  /** Whether each image has a number a class, and not the index of one. */
  rows: boolean;
}

/** Checks that a model of this configuration can take a data set. */
export function checkDataset(config: ModelConfig, name: string, dataset: Dataset): CheckedDataset {
  if (typeof dataset !== 'object' || (dataset as unknown) === null || (dataset.kind as unknown) !== 'array')
    throw invalidArgument(name, 'a data set, such as one of datasets.fromArrays', dataset);
  const { shape } = checkImages(`${name}.images`, dataset.images, config.inChannels);
  checkImageLength(config, shape);
  const { labels } = dataset as { labels: Int32Array | Float32Array };
  const count = shape[0] as number;
  const { numClasses } = config;
  const rows = typedArrayKind(labels) === 'Float32Array' && labels.length === count * numClasses;
  if (!rows && (typedArrayKind(labels) !== 'Int32Array' || labels.length !== count))
    throw invalidArgument(
      `${name}.labels`,
      `an Int32Array of ${count} class indices, one an image, or a Float32Array of ${count}×${numClasses} numbers`,
      labels,
    );
  return { shape, rows };
}
