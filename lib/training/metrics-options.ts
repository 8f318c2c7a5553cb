import { checkBoolean, checkInteger, invalidArgument, isArrayOf } from '../validate';

/** What is measured beside loss and accuracy. */
export interface MetricsOptions {
  /**
   * For each of these numbers, up to 100 of at least 1, how often the true class is among so many most probable;
   * default [1, 5].
   */
  topK?: number[];
  /** Bins of the calibration error, from 1 to 100,000, default 15. */
  calibrationBins?: number;
  /**
   * Whether the area under the ROC curve is measured. It needs the scores of all images to the end: four bytes for each
   * image and class, in native memory. `auto`, the default: where they take no more than 400 MB.
   */
  rocAuc?: 'auto' | boolean;
}

export const metricsKeys = ['topK', 'calibrationBins', 'rocAuc'] as const;

/** Checks the options, and gives them complete. */
export function checkMetricsOptions(options: MetricsOptions): Required<MetricsOptions> {
  const { topK = [1, 5], calibrationBins = 15, rocAuc = 'auto' } = options;
  if (!isArrayOf<number>(topK, (k) => Number.isInteger(k) && (k as number) >= 1) || topK.length > 100)
    throw invalidArgument('topK', 'an array of up to 100 whole numbers of at least 1', topK);
  checkInteger('calibrationBins', calibrationBins, 1, 100_000);
  if (rocAuc !== 'auto') checkBoolean('rocAuc', rocAuc);
  return { topK: [...topK], calibrationBins, rocAuc };
}
