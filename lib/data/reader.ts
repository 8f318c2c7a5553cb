import { checkNames, checkOptions, invalidArgument } from '../validate';
import { checkDataset } from './check';
import { areRows, type StreamedDataset } from './dataset';
import { toIndices } from './labels';

/** What {@link fromReader} takes: the fields of a {@link StreamedDataset}. */
export interface ReaderOptions extends Omit<StreamedDataset, 'kind' | 'labels' | 'skipped' | 'files' | 'dtype'> {
  /** A class index for each image; or a `Float32Array` of size × classes numbers from 0 to 1. */
  labels: readonly number[] | Int32Array | Float32Array;
  /** Default `uint8`. */
  dtype?: 'uint8' | 'float32';
}

/**
 * A data set whose images a function of yours reads, each when a run comes to it: from a database, an archive, over the
 * network. As PyTorch's map-style data sets.
 *
 * @throws DenseNetError `ERR_INVALID_ARGUMENT` or `ERR_LABEL_OUT_OF_RANGE`.
 */
export function fromReader(options: ReaderOptions): StreamedDataset {
  const keys = ['size', 'imageShape', 'dtype', 'labels', 'classes', 'read'] as const;
  const { size, imageShape, dtype = 'uint8', labels, classes, read } = checkOptions('options', options, keys);
  const names = checkNames('classes', classes);
  const several = areRows(labels);
  const most = names.length - 1;
  const dataset: StreamedDataset = {
    kind: 'streamed',
    size,
    imageShape: Array.isArray(imageShape) ? ([...imageShape] as [number, number, number]) : imageShape,
    dtype,
    labels: several
      ? labels.slice()
      : toIndices(labels, labels, size, {
          list: 'an array of numbers or an Int32Array',
          label: `a whole number from 0 to ${most}`,
          accepts: (label) => label >= 0 && label <= most,
        }),
    classes: names,
    read,
  };
  checkDataset('options', dataset);
  if (several && labels.length !== size * names.length)
    throw invalidArgument('labels', `a Float32Array of ${size}×${names.length} targets`, labels);
  return dataset;
}
