import type { Dataset } from '../data/dataset';
import { toDenseNetError } from '../errors';
import { linkSignal } from '../link-signal';
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
 * Native work on data sets that a controller ends: it then rejects with the controller's reason. An image that cannot be
 * read aborts the controller, with what was wrong.
 *
 * @param batchSize Images at once.
 * @returns What the work came to; undefined when the model was disposed of meanwhile.
 */
export async function runStoppable<Result>(
  handle: ModelHandle,
  data: readonly Dataset[],
  { batchSize, control }: { batchSize: number; control: AbortController },
  start: (...datasets: NativeDataset[]) => StoppableJob<Result>,
): Promise<Result | undefined> {
  const { signal } = control;
  const onFailure = (reason: unknown): void => control.abort(toDenseNetError(reason));
  let stop = (): void => undefined;
  const end = (): void => stop();
  signal.throwIfAborted();
  signal.addEventListener('abort', end, { once: true });
  const prepared: PreparedDataset[] = [];
  const prepare = async (): Promise<NativeDataset[]> => {
    for (const one of data) prepared.push(await prepareDataset(handle.core, one, { batchSize, onFailure, signal }));
    signal.throwIfAborted();
    return prepared.map(({ native }) => native);
  };
  try {
    const result = await handle.callPrepared(prepare, (_, datasets) => {
      const job = start(...datasets);
      stop = () => job.stop();
      return job.result;
    });
    if (result === undefined) signal.throwIfAborted();
    return result;
  } finally {
    signal.removeEventListener('abort', end);
    for (const one of prepared) one.close();
  }
}

/** Work with a controller that a signal aborts too, with the signal's own reason. */
export async function withSignal<Result>(
  signal: AbortSignal | undefined,
  work: (control: AbortController) => Promise<Result>,
): Promise<Result> {
  const control = new AbortController();
  const unlink = linkSignal(control, signal);
  try {
    return await work(control);
  } finally {
    unlink();
  }
}
