import type { NativeEarlyStopping } from '../native';
import { checkBoolean, checkInteger, checkNumber, checkOneOf, checkOptions } from '../validate';

/**
 * Ends a run that no longer gets better (Prechelt, "Early Stopping — But When?", 1998). What decides is measured after
 * each epoch on the validation data, or on the training data where there are none.
 */
export interface EarlyStoppingOptions {
  /** What decides, default `loss`. */
  monitor?: 'loss' | 'top1';
  /** The run ends after so many epochs in a row without an improvement, at least 1, default 10. */
  patience?: number;
  /** What counts as an improvement: a change by more than this, default 0. */
  minDelta?: number;
  /**
   * Whether model and optimizer go back to the end of the best epoch when the run ends, early or not; default true. It
   * keeps a copy of them, in memory and in checkpoints. A run that is cut short stays where it is.
   */
  restoreBest?: boolean;
}

/** Checks the `earlyStopping` option of a run. */
export function resolveEarlyStopping(value: EarlyStoppingOptions | undefined): NativeEarlyStopping | undefined {
  if (value === undefined) return undefined;
  const keys = ['monitor', 'patience', 'minDelta', 'restoreBest'] as const;
  const {
    monitor = 'loss',
    patience = 10,
    minDelta = 0,
    restoreBest = true,
  } = checkOptions('earlyStopping', value, keys);
  checkOneOf('earlyStopping.monitor', monitor, ['loss', 'top1']);
  checkInteger('earlyStopping.patience', patience, 1);
  checkNumber('earlyStopping.minDelta', minDelta, 0);
  checkBoolean('earlyStopping.restoreBest', restoreBest);
  return { top1: monitor === 'top1', patience, minDelta, restoreBest };
}
