import { checkImages } from '../tensor';
import { checkInteger, checkOneOf, invalidArgument, isArrayOf, typedArrayKind } from '../validate';
import { areRows, type Dataset, type LabelledImages, type StreamedDataset } from './dataset';

/**
 * Checks what a caller passes for a data set.
 *
 * @returns The shape of its images, N×C×H×W.
 */
export function checkDataset(name: string, dataset: Dataset, channels?: number): number[] {
  const kind: unknown = typeof dataset === 'object' && (dataset as unknown) !== null ? dataset.kind : undefined;
  if (kind !== 'array' && kind !== 'streamed')
    throw invalidArgument(name, 'a data set, such as one of datasets.fromArrays', dataset);
  const shape =
    dataset.kind === 'array' ? checkArray(name, dataset.images, channels) : checkStreamed(name, dataset, channels);
  checkInteger(`${name}.size`, dataset.size, shape[0] as number, shape[0]);
  checkLabels(name, dataset);
  return shape;
}

function checkArray(name: string, images: unknown, channels: number | undefined): number[] {
  return checkImages(`${name}.images`, images, channels).shape;
}

function checkStreamed(name: string, dataset: StreamedDataset, channels: number | undefined): number[] {
  const { size, imageShape, dtype } = dataset;
  checkInteger(`${name}.size`, size, 1);
  if (!Array.isArray(imageShape) || imageShape.length !== 3)
    throw invalidArgument(`${name}.imageShape`, 'C×H×W, three lengths', imageShape);
  for (const [axis, length] of imageShape.entries()) checkInteger(`${name}.imageShape[${axis}]`, length, 1, 1_000_000);
  checkOneOf(`${name}.dtype`, dtype, ['uint8', 'float32']);
  const { read } = dataset as { read: unknown };
  if (typeof read !== 'function') throw invalidArgument(`${name}.read`, 'a function', read);
  if (channels !== undefined && imageShape[0] !== channels)
    throw invalidArgument(`${name}.imageShape[0]`, `${channels}, the channels that the model takes`, imageShape[0]);
  return [size, ...(imageShape as readonly number[])];
}

function checkLabels(name: string, { labels, size, classes }: LabelledImages): void {
  if (!isArrayOf(classes, (item) => typeof item === 'string'))
    throw invalidArgument(`${name}.classes`, 'an array of names', classes);
  const several = areRows(labels) && labels.length > 0 && labels.length % size === 0;
  if (!several && (typedArrayKind(labels) !== 'Int32Array' || labels.length !== size))
    throw invalidArgument(
      `${name}.labels`,
      `an Int32Array of ${size} class indices, one an image, or a Float32Array of ${size}×classes targets`,
      labels,
    );
}
