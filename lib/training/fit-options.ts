import type { Dataset } from '../data/dataset';
import { checkTransforms, shapeAfter, toNative, type Transform } from '../data/transform';
import type { ModelHandle } from '../model/handle';
import type { NativeFitPlan, NativeLossOptions } from '../native';
import { checkBoolean, checkInteger, checkOptions, invalidArgument, typedArrayKind } from '../validate';
import { checkCallbacks, type TrainingCallback } from './callbacks';
import { resolveCheckpoint, type CheckpointOptions, type ResolvedCheckpoint } from './checkpoint-options';
import { resolveEarlyStopping, type EarlyStoppingOptions } from './early-stopping';
import { checkLabelled, checkLossWeights, checkTrainable, smallestBatch } from './trainable';
import { checkUnfreezing, type Unfreezing } from './unfreezing';

/** Options of `Trainer.fit`. */
export interface FitOptions {
  /** How often to go through the data, at least 1. */
  epochs: number;
  /** Images a step, at least 1. The last batch of an epoch may be smaller. */
  batchSize: number;
  /** Evaluated after each epoch. */
  validation?: Dataset;
  /**
   * Whether each epoch has an order of its own; default true. `balanced`: as many images, drawn with replacement so that
   * an image of every class is as probable as of every other (as PyTorch's WeightedRandomSampler).
   */
  shuffle?: boolean | 'balanced';
  /** Random changes of the training images, in order; default none. */
  augment?: Transform[];
  /** Parts that begin to learn in the course of the run, see {@link gradualUnfreezing}; default none. */
  unfreeze?: Unfreezing[];
  /**
   * Whether the features of each image are computed once and kept while all before the classifier is frozen: head
   * training then runs at the speed of a linear layer, with the same result. They are never kept where they would change
   * from epoch to epoch (augmentation, dropout, batch norms that adapt). `auto`, the default: up to 2 GB of them.
   */
  cacheFeatures?: 'auto' | boolean;
  /** Ends the run when it no longer gets better, and brings the best epoch back; default: it goes through. */
  earlyStopping?: EarlyStoppingOptions;
  /** What follows the run from beside it, such as {@link jsonLines} and {@link tensorBoard}; default none. */
  callbacks?: TrainingCallback[];
  /** The checkpoints that the run writes, also when it is ended in the middle; default none. */
  checkpoint?: CheckpointOptions;
  /** Ends the run after the step that it is in; the run rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Checked options of a run, complete. */
export interface CheckedFit extends Omit<NativeFitPlan, 'checkpoint'>, Pick<FitOptions, 'validation' | 'signal'> {
  callbacks: TrainingCallback[];
  checkpoint?: ResolvedCheckpoint;
}

/** What `cacheFeatures: 'auto'` keeps at most, bytes. */
const AUTO_CACHE_BYTES = 2e9;

/** Checks what a run is given. */
export function checkFit(handle: ModelHandle, loss: NativeLossOptions, data: Dataset, options: FitOptions): CheckedFit {
  const given = checkOptions('options', options, [
    'epochs',
    'batchSize',
    'validation',
    'shuffle',
    'augment',
    'unfreeze',
    'cacheFeatures',
    'earlyStopping',
    'callbacks',
    'checkpoint',
    'signal',
  ]);
  const { epochs, batchSize, validation, shuffle = true, augment, cacheFeatures = 'auto', signal } = given;
  const { checkpoint } = given;
  checkInteger('epochs', epochs, 1);
  checkInteger('batchSize', batchSize, 1);
  if (shuffle !== 'balanced') checkBoolean('shuffle', shuffle);
  if (cacheFeatures !== 'auto') checkBoolean('cacheFeatures', cacheFeatures);
  const shape = checkLabelled(handle.config, loss, 'data', data);
  if (shuffle === 'balanced' && typedArrayKind(data.labels) !== 'Int32Array')
    throw invalidArgument('shuffle', 'true or false where an image may have several labels', shuffle);
  const augmentations = checkTransforms('augment', augment);
  // What the network gets; the original is checked too, since a validation set has it.
  const trained = shapeAfter(shape, augmentations);
  checkTrainable(handle.config, trained, Math.min(batchSize, data.size));
  if (validation !== undefined) checkLabelled(handle.config, loss, 'validation', validation);
  checkLossWeights(handle.config, loss);
  return {
    epochs,
    batchSize,
    order: shuffle === 'balanced' ? shuffle : shuffle ? 'shuffled' : 'given',
    smallestBatch: smallestBatch(handle.config, trained),
    augmentations: toNative(augmentations),
    unfreezing: checkUnfreezing(given.unfreeze, (prefix) => handle.checkPrefix(prefix)),
    earlyStopping: resolveEarlyStopping(given.earlyStopping),
    callbacks: checkCallbacks(given.callbacks),
    featureCacheBytes: cacheFeatures === 'auto' ? AUTO_CACHE_BYTES : cacheFeatures ? Number.MAX_SAFE_INTEGER : 0,
    ...(checkpoint === undefined ? {} : { checkpoint: resolveCheckpoint(checkpoint, validation !== undefined) }),
    ...(validation === undefined ? {} : { validation }),
    ...(signal === undefined ? {} : { signal }),
  };
}
