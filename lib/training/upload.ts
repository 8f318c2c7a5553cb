import { setImmediate } from 'node:timers/promises';
import { areRows, type ArrayDataset, type Dataset } from '../data/dataset';
import { toDenseNetError } from '../errors';
import type { Native, NativeDataset } from '../native';
import { typedArrayKind } from '../validate';
import { Feed } from './feed';

/** Bytes copied before the event loop gets its turn: a few milliseconds' worth. */
const PIECE = 8 * 1024 * 1024;

/** A data set on the native side, for one run. */
export interface PreparedDataset {
  native: NativeDataset;
  /** Ends what is still being read for it. */
  close(): void;
}

/** What a data set needs to know of its run. */
export interface UploadOptions {
  batchSize: number;
  /** Told why an image of a streamed data set could not be read, in the course of the run. */
  onFailure: (reason: unknown) => void;
  signal?: AbortSignal | undefined;
}

/** Copies a data set into native memory, so that training needs nothing of JavaScript; a streamed one is fed to it. */
export async function prepareDataset(
  native: Native,
  dataset: Dataset,
  { batchSize, onFailure, signal }: UploadOptions,
): Promise<PreparedDataset> {
  try {
    if (dataset.kind === 'array')
      return { native: await uploadArrays(native, dataset, signal), close: () => undefined };
    const feed = new Feed(dataset, batchSize, onFailure);
    const shape = [dataset.size, ...dataset.imageShape];
    const target = new native.NativeDataset(shape, dataset.dtype === 'uint8', labelColumns(dataset), feed.listen);
    feed.attach(target);
    target.writeLabels(dataset.labels);
    return { native: target, close: () => feed.close() };
  } catch (error) {
    if (signal?.aborted) throw error;
    throw toDenseNetError(error);
  }
}

async function uploadArrays(native: Native, dataset: ArrayDataset, signal?: AbortSignal): Promise<NativeDataset> {
  const { data, shape } = dataset.images;
  const target = new native.NativeDataset([...shape], typedArrayKind(data) === 'Uint8Array', labelColumns(dataset));
  target.writeLabels(dataset.labels);
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  for (let offset = 0; offset < bytes.length; offset += PIECE) {
    target.writeImages(offset, bytes.subarray(offset, offset + PIECE));
    await setImmediate();
    signal?.throwIfAborted();
  }
  return target;
}

/** 0 where each image has a class index. */
function labelColumns({ labels, size }: Dataset): number {
  return areRows(labels) ? labels.length / size : 0;
}
