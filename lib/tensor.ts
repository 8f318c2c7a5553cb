import { DenseNetError } from './errors';
import { invalidArgument, isArrayOf, typedArrayKind } from './validate';

/** The typed arrays that can carry a tensor's values. */
export type TensorArray = Float32Array | Uint8Array | Int32Array | BigInt64Array | Float64Array;

/** A tensor in JavaScript's memory: its values in row-major order, and its shape. Images are N×C×H×W. */
export interface TensorData {
  /** The values, the last axis first: as many as the product of `shape`. */
  data: TensorArray;
  /** The length of each axis, whole numbers of at least 0; empty for a scalar. */
  shape: number[];
}

const kinds = ['Float32Array', 'Uint8Array', 'Int32Array', 'BigInt64Array', 'Float64Array'];

/** The values of a shape, `1` for a scalar; not a safe integer where they are too many to count. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** The values of arrays of one kind, one after the other, in an array of that kind. */
export function joinArrays(arrays: readonly (Uint8Array | Float32Array)[]): Uint8Array | Float32Array {
  const length = arrays.reduce((sum, array) => sum + array.length, 0);
  const joined = typedArrayKind(arrays[0]) === 'Float32Array' ? new Float32Array(length) : new Uint8Array(length);
  let place = 0;
  for (const array of arrays) {
    joined.set(array, place);
    place += array.length;
  }
  return joined;
}

/**
 * Checks that a value is a tensor whose length agrees with its shape, and returns it with a shape of its own: what the
 * caller does to the given one afterwards has no effect on what was checked.
 */
export function checkTensor(name: string, value: unknown, allowed: readonly string[] = kinds): TensorData {
  if (typeof value !== 'object' || value === null) throw invalidArgument(name, 'an object { data, shape }', value);
  const { data, shape } = value as Partial<TensorData>;
  const kind = typedArrayKind(data);
  // A Node Buffer is a Uint8Array in all but name.
  if (kind === undefined || !allowed.includes(kind))
    throw invalidArgument(`${name}.data`, `a ${allowed.join(' or ')}`, data);
  if (!isArrayOf<number>(shape, (length) => Number.isSafeInteger(length) && (length as number) >= 0))
    throw invalidArgument(`${name}.shape`, 'an array of whole numbers', shape);
  const expected = elementCount(shape);
  const actual = (data as TensorArray).length;
  if (expected !== actual)
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `${name}.data has ${actual} values, but the shape [${shape.join(', ')}] has ${expected}. Make them agree.`,
    );
  return { data: data as TensorArray, shape: [...shape] };
}

/** A copy with values of its own. */
export function copyTensor({ data, shape }: TensorData): TensorData {
  const kinds = { Float32Array, Uint8Array, Int32Array, BigInt64Array, Float64Array };
  // Not slice: that of a Buffer shares its memory.
  const copied = kinds[typedArrayKind(data) as keyof typeof kinds] as new (values: TensorArray) => TensorArray;
  return { data: new copied(data), shape: [...shape] };
}

/** Checks a batch of images, N×C×H×W with N, H and W at least 1, as Float32Array or raw pixels in a Uint8Array. */
export function checkImages(name: string, value: unknown, channels?: number): TensorData {
  const images = checkTensor(name, value, ['Float32Array', 'Uint8Array']);
  const [count, depth, height, width] = images.shape;
  if (images.shape.length !== 4)
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `${name}.shape must be N×C×H×W, four lengths; got [${images.shape.join(', ')}].`,
    );
  if (!count || !depth || !height || !width)
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `${name}.shape must have no zero; got [${images.shape.join(', ')}].`,
    );
  if (channels !== undefined && depth !== channels)
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `${name} has ${depth} channels (shape [${images.shape.join(', ')}], read as N×C×H×W), but the model takes ${channels}. Convert the images, or create the model with inChannels: ${depth}.`,
    );
  return images;
}
