import { checkTransforms, type Transform } from '../data/transform';
import type { Dataset } from '../data/dataset';
import { DenseNetError } from '../errors';
import type { ModelHandle } from '../model/handle';
import type { NativeDataset, NativeRateSearch, NativeTrainer } from '../native';
import { checkInteger, checkOptions, checkPositive, checkSignal, invalidArgument } from '../validate';
import { runStoppable, withSignal } from './stoppable';

/** Options of `Trainer.findLearningRate`. */
export interface RateSearchOptions {
  /** The rate of the first step, above 0, default 1e-7. */
  lowest?: number;
  /** The rate of the last step, above `lowest`, default 10. */
  highest?: number;
  /** Steps from the one to the other, each rate larger by the same factor; at least 2, default 100. */
  steps?: number;
  /** Images a step, at least 1, default 32. Data that run out begin again. */
  batchSize?: number;
  /** A smoothed loss of so many times the least one ends the search; above 1, default 4. */
  stopFactor?: number;
  /** Random changes of the images, as in `fit`; default none. */
  augment?: Transform[];
  /** Ends the search after the step that it is in; it rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** What a search for a learning rate saw. */
export interface RateCurve {
  /** The rate of each step that was taken, rising; fewer than asked for where the loss ran away. */
  rates: number[];
  /** The loss of each step's batch, before the step. */
  losses: number[];
  /** Their exponential mean, a tenth of which is the newest. */
  smoothed: number[];
  /** The rate at which the smoothed loss fell most steeply; `null` where it never fell. */
  suggestion: number | null;
}

/** Checks the options, and gives them complete. */
export function resolveRateSearch(
  options: RateSearchOptions | undefined,
): Omit<NativeRateSearch, 'smallestBatch'> & { signal: AbortSignal | undefined } {
  const keys = ['lowest', 'highest', 'steps', 'batchSize', 'stopFactor', 'augment', 'signal'] as const;
  const given = checkOptions('options', options, keys);
  const { lowest = 1e-7, highest = 10, steps = 100, batchSize = 32, stopFactor = 4, augment, signal } = given;
  checkPositive('lowest', lowest);
  checkPositive('highest', highest);
  if (highest <= lowest) throw invalidArgument('highest', `above lowest, ${lowest}`, highest);
  checkInteger('steps', steps, 2, 1_000_000);
  checkInteger('batchSize', batchSize, 1);
  checkPositive('stopFactor', stopFactor);
  if (stopFactor <= 1) throw invalidArgument('stopFactor', 'above 1', stopFactor);
  checkSignal('signal', signal);
  return { lowest, highest, steps, batchSize, stopFactor, augmentations: checkTransforms('augment', augment), signal };
}

export async function findLearningRate(
  handle: ModelHandle,
  trainer: NativeTrainer,
  data: Dataset,
  search: NativeRateSearch,
  signal: AbortSignal | undefined,
): Promise<RateCurve> {
  const { batchSize } = search;
  const job = (dataset: NativeDataset) => trainer.findLearningRate(dataset, search);
  const found = await withSignal(signal, (control) => runStoppable(handle, [data], { batchSize, control }, job));
  if (found === undefined) throw new DenseNetError('ERR_DISPOSED', 'the model was disposed of during the search.');
  return { ...found, suggestion: found.suggestion === 0 ? null : found.suggestion };
}
