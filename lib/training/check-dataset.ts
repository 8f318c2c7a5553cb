import { checkDataset as checkFields } from '../data/check';
import { areRows, type Dataset } from '../data/dataset';
import { checkImageLength, type ModelConfig } from '../model/config';
import { invalidArgument } from '../validate';

/** What a model needs to know of a data set. */
export interface CheckedDataset {
  /** N×C×H×W. */
  shape: number[];
  /** Whether each image has a number a class, and not the index of one. */
  rows: boolean;
}

/** Checks that a model of this configuration can take a data set. */
export function checkDataset(config: ModelConfig, name: string, dataset: Dataset): CheckedDataset {
  const shape = checkFields(name, dataset, config.inChannels);
  checkImageLength(config, shape);
  const { labels, size } = dataset;
  const { numClasses } = config;
  const rows = areRows(labels);
  if (rows && labels.length !== size * numClasses)
    throw invalidArgument(
      `${name}.labels`,
      `an Int32Array of ${size} class indices, one an image, or a Float32Array of ${size}×${numClasses} numbers`,
      labels,
    );
  return { shape, rows };
}
