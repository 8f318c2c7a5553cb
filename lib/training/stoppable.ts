import type { Dataset } from '../data/dataset';
import { toDenseNetError } from '../errors';
import type { ModelHandle } from '../model/handle';
import type { NativeDataset } from '../native';
import { prepareDataset, type PreparedDataset } from './upload';

/** Native work that can be ended. */
interface StoppableJob<Result> {
  /** Undefined when it was ended. */
  result: Promise<Result | undefined>;
  stop(): void;
}

/**
 * Work on a data set that a signal ends: it then rejects with the signal's reason. An image that cannot be read ends it too.
 *
 * @param batchSize Images at once.
 * @returns What the work came to; undefined when the model was disposed of meanwhile.
 */
export async function runStoppable<Result>(
  handle: ModelHandle,
  data: Dataset,
  { batchSize, signal }: { batchSize: number; signal: AbortSignal | undefined },
  start: (dataset: NativeDataset) => StoppableJob<Result>,
): Promise<Result | undefined> {
  signal?.throwIfAborted();
  let stop = (): void => undefined;
  const end = (): void => stop();
  signal?.addEventListener('abort', end, { once: true });
  const failures: unknown[] = [];
  const onFailure = (reason: unknown): void => {
    failures.push(reason);
    stop();
  };
  let prepared: PreparedDataset | undefined;
  try {
    const result = await handle.callPrepared(
      async () => (prepared = await prepareDataset(handle.core, data, { batchSize, onFailure, signal })),
      (_, dataset) => {
        const job = start(dataset.native);
        stop = () => job.stop();
        return job.result;
      },
    );
    signal?.throwIfAborted();
    if (failures.length > 0) throw toDenseNetError(failures[0]);
    return result;
  } finally {
    signal?.removeEventListener('abort', end);
    prepared?.close();
  }
}
