import type { Dataset } from '../data/dataset';
import { DenseNetError, toDenseNetError } from '../errors';
import type { ModelHandle } from '../model/handle';
import type { NativeModel } from '../native';
import { checkInteger, checkOptions, checkSignal } from '../validate';
import { checkDataset } from './check-dataset';
import { nativeTopK, toEvaluation, type Evaluation } from './evaluation';
import { checkMetricsOptions, metricsKeys, type MetricsOptions } from './metrics-options';
import { prepareDataset, type PreparedDataset } from './upload';

/** Options of `DenseNet.evaluate` and `Trainer.evaluate`. */
export interface EvaluateOptions extends MetricsOptions {
  /** Images at once, default 64. */
  batchSize?: number;
  /** Ends the evaluation after the batch that it is in. */
  signal?: AbortSignal;
}

/** What `rocAuc: 'auto'` keeps at most, bytes. */
const AUTO_SCORE_BYTES = 400e6;

/**
 * Goes once over a data set in evaluation mode.
 *
 * @param multiLabel Whether an image may have several labels.
 * @param target What evaluates: the model, or its trainer.
 */
export async function evaluate(
  handle: ModelHandle,
  data: Dataset,
  options: EvaluateOptions | undefined,
  multiLabel: (rows: boolean) => boolean,
  target: () => Pick<NativeModel, 'evaluate'> = () => handle.native,
): Promise<Evaluation> {
  handle.assertIdle('evaluate');
  const given = checkOptions('options', options, ['batchSize', 'signal', ...metricsKeys]);
  const { batchSize = 64, signal } = given;
  checkInteger('batchSize', batchSize, 1);
  checkSignal('signal', signal);
  const { topK, calibrationBins, rocAuc } = checkMetricsOptions(given);
  signal?.throwIfAborted();
  const several = multiLabel(checkDataset(handle.config, 'data', data).rows);
  const native = target();
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
    const evaluation = await handle.callPrepared(
      async () => (prepared = await prepareDataset(handle.core, data, { batchSize, onFailure, signal })),
      async (_, dataset) => {
        // Those of this moment: a call behind this one may change them while it runs.
        const { classes, numClasses } = handle.config;
        const labels = classes ?? Array.from({ length: numClasses }, (_, index) => String(index));
        const job = native.evaluate(dataset.native, batchSize, {
          multiLabel: several,
          topK: nativeTopK(topK),
          calibrationBins,
          rocAuc: rocAuc === 'auto' ? data.size * numClasses * 4 <= AUTO_SCORE_BYTES : rocAuc,
        });
        stop = () => job.stop();
        return { found: await job.result, labels };
      },
    );
    signal?.throwIfAborted();
    if (failures.length > 0) throw toDenseNetError(failures[0]);
    if (evaluation.found === undefined)
      throw new DenseNetError('ERR_DISPOSED', 'the model was disposed of during the evaluation.');
    return toEvaluation(evaluation.found, evaluation.labels, several ? [] : topK);
  } finally {
    signal?.removeEventListener('abort', end);
    prepared?.close();
  }
}
