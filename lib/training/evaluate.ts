import type { Dataset } from '../data/dataset';
import { indexNames } from '../data/labels';
import { DenseNetError } from '../errors';
import type { ModelHandle } from '../model/handle';
import type { NativeDataset, NativeModel } from '../native';
import { checkInteger, checkOptions, checkSignal } from '../validate';
import { checkDataset } from './check-dataset';
import { nativeTopK, toEvaluation, type Evaluation } from './evaluation';
import { checkMetricsOptions, metricsKeys, type MetricsOptions } from './metrics-options';
import { runStoppable, withSignal } from './stoppable';

/** Options of `DenseNet.evaluate` and `Trainer.evaluate`. */
export interface EvaluateOptions extends MetricsOptions {
  /** Images at once, at least 1, default 64. */
  batchSize?: number;
  /** Ends the evaluation after the batch that it is in; it rejects with the signal's reason. */
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
  const several = multiLabel(checkDataset(handle.config, 'data', data).rows);
  const native = target();
  let labels: readonly string[] = [];
  const job = (dataset: NativeDataset) => {
    // Those of this moment: a call behind this one may change them while it runs.
    const { classes, numClasses } = handle.config;
    labels = classes ?? indexNames(numClasses);
    return native.evaluate(dataset, batchSize, {
      multiLabel: several,
      topK: nativeTopK(topK),
      calibrationBins,
      rocAuc: rocAuc === 'auto' ? data.size * numClasses * 4 <= AUTO_SCORE_BYTES : rocAuc,
    });
  };
  const found = await withSignal(signal, (control) => runStoppable(handle, [data], { batchSize, control }, job));
  if (found === undefined) throw new DenseNetError('ERR_DISPOSED', 'the model was disposed of during the evaluation.');
  return toEvaluation(found, labels, several ? [] : topK);
}
