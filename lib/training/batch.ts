import { toIndices } from '../data/labels';
import { DenseNetError } from '../errors';
import type { NativeLossOptions } from '../native';
import type { TensorData } from '../tensor';
import { checkTensor } from '../tensor';
import { typedArrayKind } from '../validate';
import { isBinary } from './loss-options';

/** A batch for {@link Trainer.step}. */
export interface LabelledBatch {
  /** N×C×H×W. */
  images: TensorData;
  /**
   * The class index of each image; or a `Float32Array` N×classes of numbers from 0 to 1: probabilities, or for a binary
   * loss each class's yes or no.
   */
  labels: number[] | TensorData;
}

/**
 * Labels as they go to the native trainer; whether they are classes of the model is checked there, for every path alike.
 *
 * @throws DenseNetError `ERR_INVALID_ARGUMENT` or `ERR_LABEL_OUT_OF_RANGE`.
 */
export function checkLabels(labels: unknown, count: number, numClasses: number): TensorData {
  const tensor = Array.isArray(labels) ? undefined : (labels as Partial<TensorData> | null | undefined);
  const values: unknown = tensor === undefined ? labels : tensor?.data;
  if (typedArrayKind(values) === 'Float32Array') return checkRows(labels, count, numClasses);
  const indices = toIndices(values, labels, count, {
    list: 'an array of class indices, or { data, shape } with an Int32Array, BigInt64Array, Uint8Array or Float32Array',
    label: `a class index, a whole number from 0 to ${numClasses - 1}`,
    accepts: (label) => Math.abs(label) <= 0x7fffffff,
    tensor,
  });
  return { data: indices, shape: [count] };
}

function checkRows(labels: unknown, count: number, numClasses: number): TensorData {
  const { data, shape } = checkTensor('labels', labels, ['Float32Array']);
  if (shape.length === 2 && shape[0] === count && shape[1] === numClasses) return { data, shape };
  throw new DenseNetError(
    'ERR_INVALID_ARGUMENT',
    `labels.shape must be [${count}, ${numClasses}], a number for each image and class; got [${shape.join(', ')}].`,
  );
}

/** Refuses class indices for a loss that decides each class by itself. */
export function checkLabelKind(name: string, loss: NativeLossOptions, rows: boolean): void {
  if (rows || !isBinary(loss)) return;
  throw new DenseNetError(
    'ERR_INVALID_ARGUMENT',
    `${name} are class indices, and ${loss.type} needs a number from 0 to 1 for each image and class: a Float32Array of N×classes. Or train by crossEntropy.`,
  );
}
