import { DenseNetError } from '../errors';
import type { NativeAverageOptions, NativeTrainerOptions } from '../native';
import {
  checkBoolean,
  checkInteger,
  checkNumber,
  checkOneOf,
  checkOptions,
  checkPositive,
  invalidArgument,
} from '../validate';
import { resolveLoss, type LossName, type LossOptions } from './loss-options';
import { resolveOptimizer, type OptimizerOptions } from './optimizer-options';
import { resolveSchedule, type ScheduleOptions } from './schedule-options';

/** Stochastic weight averaging (Izmailov et al., 2018): the plain mean of the weights at the end of several epochs. */
export interface SwaOptions {
  /** The first epoch whose weights count, from 1. */
  from: number;
  /** The constant learning rate from that epoch on, above 0; default: the schedule's. */
  lr?: number;
}

/** Options of `Trainer`. */
export interface TrainerOptions {
  /** What makes a step of the gradients. */
  optimizer: OptimizerOptions;
  /** Default: the learning rate stays. */
  schedule?: ScheduleOptions;
  /** What training makes small, default `crossEntropy`. */
  loss?: LossName | LossOptions;
  /**
   * The share of probability spread over all classes (of a binary loss: over yes and no), from 0 to below 1, default 0
   * (Szegedy et al., 2016).
   */
  labelSmoothing?: number;
  /** How much each class counts, one number a class, at least 0, default 1: for `crossEntropy` and `focal`. */
  classWeights?: number[];
  /**
   * Mixes pairs of images and their labels, in a share from Beta(mixup, mixup) (Zhang et al., 2018); above 0, such as
   * 0.2. Default none. Only `fit` does; with `cutmix` too each batch takes one or the other.
   */
  mixup?: number;
  /** Puts a box of one image into another; its area is from Beta(cutmix, cutmix) (Yun et al., 2019). Default none. */
  cutmix?: number;
  /**
   * What convolutions and products compute in, default `fp32`. `bf16` and `fp16` (with a gradient scaler) are libtorch's
   * autocast; weights stay float32. Made for GPUs: on the CPU they run module by module, as does fp16 slowly, and the
   * float32 engine is faster. Evaluation is always in float32.
   */
  precision?: 'fp32' | 'bf16' | 'fp16';
  /**
   * Gives the network images with the channels last in memory, as a GPU's convolutions want them; the CPU's engine
   * always does. Default true on CUDA and false on the CPU.
   */
  channelsLast?: boolean;
  /**
   * Uses only algorithms whose sums come in a fixed order, on CUDA; the CPU's always do. An operation that has none is
   * refused with `ERR_LIBTORCH`. Default false.
   */
  deterministic?: boolean;
  /** Scales the gradients so that their norm is at most this, above 0; default no limit. */
  clipGradNorm?: number;
  /** Limits each element of the gradients to ± this, above 0; before the norm. Default no limit. */
  clipGradValue?: number;
  /**
   * Batches an optimizer step, at least 1, default 1. The step is that of one batch of all their images, except that
   * batch norm sees each batch by itself. The last step of an epoch may have fewer.
   */
  accumulate?: number;
  /**
   * An exponential moving average of weights and buffers beside them, after each step; evaluation uses it. The decay,
   * from 0 to below 1, or true for 0.999. Default none.
   */
  ema?: number | boolean;
  /** Stochastic weight averaging; default none. Not together with `ema`. */
  swa?: SwaOptions;
  /** Decides the order of images, augmentation, mixing and dropout; without it they come from libtorch's generator. */
  seed?: number;
}

const keys = [
  'optimizer',
  'schedule',
  'loss',
  'labelSmoothing',
  'classWeights',
  'mixup',
  'cutmix',
  'precision',
  'channelsLast',
  'deterministic',
  'clipGradNorm',
  'clipGradValue',
  'accumulate',
  'ema',
  'swa',
  'seed',
] as const;

/** What the options are checked against. */
export interface TrainedModel {
  /** The network's parts from the classifier to the stem, see `stagesOf`. */
  stages: readonly string[][];
  numClasses: number;
  /** Where it is, such as `cpu` or `cuda:0`. */
  device: string;
  /** Throws where no parameter lies below a prefix. */
  checkPrefix(prefix: string): void;
}

/** Checked options, complete, as the native trainer takes them. */
export function resolveTrainerOptions(options: TrainerOptions, model: TrainedModel): NativeTrainerOptions {
  const given = checkOptions('options', options, keys);
  const {
    precision = 'fp32',
    channelsLast = model.device !== 'cpu',
    deterministic = false,
    accumulate = 1,
    seed,
  } = given;
  const optimizer = resolveOptimizer(given.optimizer, model.stages, (prefix) => model.checkPrefix(prefix));
  const hasMomentum = optimizer.type.startsWith('adam') || optimizer.momentum > 0;
  const { loss = 'crossEntropy', labelSmoothing = 0, classWeights } = given;
  if (seed !== undefined) checkInteger('seed', seed, 0);
  return {
    optimizer,
    schedule: resolveSchedule(given.schedule ?? { type: 'constant' }, hasMomentum),
    loss: resolveLoss(loss, labelSmoothing, classWeights, model.numClasses),
    mixup: checkLimit('mixup', given.mixup),
    cutmix: checkLimit('cutmix', given.cutmix),
    average: resolveAverage(given.ema, given.swa),
    precision: checkOneOf('precision', precision, ['fp32', 'bf16', 'fp16']),
    channelsLast: checkBoolean('channelsLast', channelsLast),
    deterministic: checkBoolean('deterministic', deterministic),
    clipGradNorm: checkLimit('clipGradNorm', given.clipGradNorm),
    clipGradValue: checkLimit('clipGradValue', given.clipGradValue),
    accumulate: checkInteger('accumulate', accumulate, 1),
    seed,
  };
}

/** A number above 0, or 0 for none. */
function checkLimit(name: string, value: number | undefined): number {
  return value === undefined ? 0 : checkPositive(name, value);
}

function resolveAverage(ema: number | boolean | undefined, swa: SwaOptions | undefined): NativeAverageOptions {
  const none = { type: 'none', decay: 0, from: 1, lr: 0 } as const;
  if (swa !== undefined) {
    if (ema !== undefined && ema !== false)
      throw new DenseNetError('ERR_INVALID_ARGUMENT', 'ema and swa are two averages of the same weights; choose one.');
    if (typeof swa !== 'object' || (swa as unknown) === null)
      throw invalidArgument('swa', 'an object such as { from: 10 }', swa);
    const { from, lr } = checkOptions('swa', swa, ['from', 'lr']);
    return { ...none, type: 'stochastic', from: checkInteger('swa.from', from, 1), lr: checkLimit('swa.lr', lr) };
  }
  if (ema === undefined || ema === false) return none;
  const decay = ema === true ? 0.999 : checkNumber('ema', ema, 0, 1, true);
  return { ...none, type: 'exponential', decay };
}
