import { DenseNetError } from '../densenet-error';
import type { TensorData } from '../tensor';
import type { BridgeData } from './types';

// What the client does with arguments before it sends them. What they hold is for the host to check, which trusts no client.

/** Options as an object; anything else could not be taken apart. */
export function checkObject<Options extends object>(name: string, value: Options | undefined): Partial<Options> {
  if (value === undefined) return {};
  if (typeof value !== 'object' || (value as unknown) === null || Array.isArray(value))
    throw new DenseNetError('ERR_INVALID_ARGUMENT', `${name} must be an object; got ${describe(value)}.`);
  return value;
}

function describe(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`;
}

/**
 * A typed array whose memory holds nothing else. A clone takes all of the memory along that it looks into: one image of a
 * large batch would carry the batch.
 */
function compact<Value>(value: Value): Value {
  if (!ArrayBuffer.isView(value) || value.byteLength === value.buffer.byteLength) return value;
  const { constructor } = value as unknown as { constructor: new (values: unknown) => Value };
  return new constructor(value);
}

/** What is no tensor goes as it is, for the host to refuse; bare bytes above all are not taken apart. */
export function compactTensor(tensor: TensorData): TensorData {
  return isObject(tensor) && 'data' in tensor ? { ...tensor, data: compact(tensor.data) } : tensor;
}

/** What can be classified: arrays, or the bytes of encoded pictures. */
export function compactImages(images: TensorData | Uint8Array | Uint8Array[]): TensorData | Uint8Array[] {
  if (Array.isArray(images)) return images.map(compact);
  return ArrayBuffer.isView(images) ? [compact(images)] : compactTensor(images);
}

/** Data as they are sent: indices of classes as 32-bit integers, which clone at once. */
export function compactData(data: BridgeData): BridgeData {
  if (!isObject(data) || !('images' in data)) return data;
  const { images, labels } = data;
  // Not every on the array itself, which passes over holes. Other labels go as they are, for the host to refuse.
  const whole = Array.isArray(labels) && Array.from(labels).every((label) => (label | 0) === label);
  return { ...data, images: compactTensor(images), labels: whole ? Int32Array.from(labels) : compact(labels) };
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

export function isSignal(value: unknown): value is AbortSignal {
  return isObject(value) && typeof (value as AbortSignal).addEventListener === 'function';
}
