import { toDenseNetError } from '../errors';
import { loadNative } from '../runtime/load';
import { checkInteger, checkNumber, checkOptions, checkPositive, invalidArgument } from '../validate';
import { resolveSchedule, type ScheduleOptions } from './schedule-options';

/** What {@link learningRates} takes. */
export interface LearningRatesOptions {
  /** The optimizer's rate, above 0. */
  lr: number;
  /** As for `Trainer`. */
  schedule: ScheduleOptions;
  /** Of the run, from 1 to 1,000,000. */
  epochs: number;
  /** Optimizer steps an epoch, from 1 to 1,000,000, default 1; of the whole run at most 10,000,000. */
  stepsPerEpoch?: number;
  /** What each epoch came to, in order: the `plateau` schedule goes by it. Default: all the same. */
  values?: number[];
}

/** Computed as `Trainer.fit` computes them. */
export interface LearningRates {
  /** Of each step of the run, in order. */
  learningRate: number[];
  /** Likewise; empty where the schedule leaves the momentum alone. */
  momentum: number[];
}

/**
 * The learning rate of every step of a run, to look at before it begins.
 *
 * @throws DenseNetError `ERR_INVALID_ARGUMENT`, or one of those of `runtimeInfo`.
 */
export async function learningRates(options: LearningRatesOptions): Promise<LearningRates> {
  const keys = ['lr', 'schedule', 'epochs', 'stepsPerEpoch', 'values'] as const;
  const { lr, schedule, epochs, stepsPerEpoch = 1, values = [] } = checkOptions('options', options, keys);
  checkPositive('lr', lr);
  checkInteger('epochs', epochs, 1, 1_000_000);
  checkInteger('stepsPerEpoch', stepsPerEpoch, 1, 1_000_000);
  checkInteger('epochs × stepsPerEpoch', epochs * stepsPerEpoch, 1, 10_000_000);
  if (!Array.isArray(values)) throw invalidArgument('values', 'an array of numbers, one an epoch', values);
  const seen = Array.from(values, (value, index) => checkNumber(`values[${index}]`, value));
  const resolved = resolveSchedule(schedule, true);
  const native = await loadNative();
  try {
    return await native.learningRates(resolved, lr, epochs, stepsPerEpoch, seen);
  } catch (error) {
    throw toDenseNetError(error);
  }
}
