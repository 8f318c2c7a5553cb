import { setImmediate } from 'node:timers/promises';
import type { Dataset } from '../data/dataset';
import { toDenseNetError } from '../errors';
import type { Native, NativeDataset } from '../native';

/** Bytes copied before the event loop gets its turn: a few milliseconds' worth. */
const PIECE = 8 * 1024 * 1024;

/** Copies a data set into native memory, so that training needs nothing of JavaScript. */
export async function uploadDataset(native: Native, dataset: Dataset, signal?: AbortSignal): Promise<NativeDataset> {
  const { data, shape } = dataset.images;
  try {
    const target = new native.NativeDataset([...shape], isUint8(data));
    target.writeLabels(dataset.labels as Int32Array);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    for (let offset = 0; offset < bytes.length; offset += PIECE) {
      target.writeImages(offset, bytes.subarray(offset, offset + PIECE));
      await setImmediate();
      signal?.throwIfAborted();
    }
    return target;
  } catch (error) {
    if (signal?.aborted) throw error;
    throw toDenseNetError(error);
  }
}

/** Also true of a Uint8Array from another realm. */
function isUint8(data: ArrayBufferView): boolean {
  return Object.prototype.toString.call(data) === '[object Uint8Array]';
}
