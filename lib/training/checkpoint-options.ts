import path from 'node:path';
import type { NativeCheckpointPlan } from '../native';
import { checkInteger, checkOneOf, checkOptions, checkPath, invalidArgument } from '../validate';

/** Which checkpoints a run writes; each is everything that the run needs to go on, see `Trainer.resume`. */
export interface CheckpointOptions {
  /** Where they go; made where it is missing. One run at a time writes there. */
  folder: string;
  /** Epochs between two, at least 0, default 1; the last epoch always has one. 0: none at the end of epochs. */
  every?: number;
  /** Optimizer steps between two within an epoch, at least 0, default 0: none. */
  everySteps?: number;
  /** How many are kept, the newest ones, at least 1, default 3. */
  keepLast?: number;
  /**
   * Whether the best epoch is kept too, as `best.safetensors`: by the `loss` or `top1` of the validation data (or of the
   * training data without any). True, the default with validation data, is `loss`.
   */
  best?: boolean | 'loss' | 'top1';
}

/** Checked options; the rest is added when the run begins. */
export type ResolvedCheckpoint = Omit<NativeCheckpointPlan, 'continues' | 'metadata'>;

export function resolveCheckpoint(options: CheckpointOptions, hasValidation: boolean): ResolvedCheckpoint {
  if (typeof options !== 'object' || (options as unknown) === null)
    throw invalidArgument('checkpoint', "an object such as { folder: 'runs/one' }", options);
  const keys = ['folder', 'every', 'everySteps', 'keepLast', 'best'] as const;
  const {
    folder,
    every = 1,
    everySteps = 0,
    keepLast = 3,
    best = hasValidation,
  } = checkOptions('checkpoint', options, keys);
  return {
    folder: path.resolve(checkPath('checkpoint.folder', folder)),
    every: checkInteger('checkpoint.every', every, 0),
    everySteps: checkInteger('checkpoint.everySteps', everySteps, 0),
    keepLast: checkInteger('checkpoint.keepLast', keepLast, 1),
    best: typeof best === 'boolean' ? (best ? 'loss' : 'none') : checkOneOf('checkpoint.best', best, ['loss', 'top1']),
  };
}
