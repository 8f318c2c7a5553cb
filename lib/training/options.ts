import type { NativeTrainerOptions } from '../native';
import { checkBoolean, checkInteger, checkNumber, checkOneOf, checkOptions, invalidArgument } from '../validate';

/** Stochastic gradient descent, as torch.optim.SGD. */
export interface SgdOptions {
  type: 'sgd';
  /** Learning rate, above 0. */
  lr: number;
  /** From 0 to below 1, default 0. */
  momentum?: number;
  /** Nesterov's momentum; needs a momentum above 0. Default false. */
  nesterov?: boolean;
  /** L2 penalty, at least 0, default 0. */
  weightDecay?: number;
}

/** Adam (Kingma and Ba, 2015), or AdamW (Loshchilov and Hutter, 2019), as in torch.optim. */
export interface AdamOptions {
  type: 'adam' | 'adamw';
  /** Learning rate, above 0, default 0.001. */
  lr?: number;
  /** Decay of the running moments, each from 0 to below 1, default [0.9, 0.999]. */
  betas?: [number, number];
  /** Default 1e-8. */
  eps?: number;
  /** At least 0; default 0, and 0.01 for AdamW. */
  weightDecay?: number;
}

export type OptimizerOptions = SgdOptions | AdamOptions;

/** How the learning rate changes after each epoch, as in torch.optim.lr_scheduler. */
export type ScheduleOptions =
  | { type: 'constant' }
  /** Times `gamma` (default 0.1) after every `stepSize` epochs. */
  | { type: 'step'; stepSize: number; gamma?: number }
  /** Half a cosine down to `minLr` (default 0), over `epochs` (default: the whole run). */
  | { type: 'cosine'; epochs?: number; minLr?: number };

/** Options of `Trainer`. */
export interface TrainerOptions {
  optimizer: OptimizerOptions;
  /** Default: the learning rate stays. */
  schedule?: ScheduleOptions;
  /** The share of probability spread over all classes, from 0 to below 1, default 0 (Szegedy et al., 2016). */
  labelSmoothing?: number;
  /** Decides the order of images, augmentation and dropout; without it they come from libtorch's own generator. */
  seed?: number;
}

/** Checked options, complete, as the native trainer takes them. */
export function resolveTrainerOptions(options: TrainerOptions): NativeTrainerOptions {
  const given = checkOptions('options', options, ['optimizer', 'schedule', 'labelSmoothing', 'seed']);
  const { labelSmoothing = 0, seed } = given;
  checkNumber('labelSmoothing', labelSmoothing, 0, 1, true);
  if (seed !== undefined) checkInteger('seed', seed, 0);
  return {
    optimizer: resolveOptimizer(given.optimizer),
    schedule: resolveSchedule(given.schedule ?? { type: 'constant' }),
    labelSmoothing,
    seed,
  };
}

function resolveOptimizer(optimizer: OptimizerOptions | undefined): object {
  if (typeof optimizer !== 'object' || (optimizer as unknown) === null)
    throw invalidArgument('optimizer', "an object such as { type: 'sgd', lr: 0.1 }", optimizer);
  const type = checkOneOf('optimizer.type', optimizer.type, ['sgd', 'adam', 'adamw']);
  return type === 'sgd' ? resolveSgd(optimizer as SgdOptions) : resolveAdam(optimizer as AdamOptions);
}

function checkRate(lr: unknown): number {
  const rate = checkNumber('optimizer.lr', lr, 0);
  if (rate === 0) throw invalidArgument('optimizer.lr', 'above 0', rate);
  return rate;
}

function resolveSgd(options: SgdOptions): object {
  const {
    lr,
    momentum = 0,
    nesterov = false,
    weightDecay = 0,
  } = checkOptions('optimizer', options, ['type', 'lr', 'momentum', 'nesterov', 'weightDecay']);
  checkRate(lr);
  checkNumber('optimizer.momentum', momentum, 0, 1, true);
  checkBoolean('optimizer.nesterov', nesterov);
  checkNumber('optimizer.weightDecay', weightDecay, 0);
  if (nesterov && momentum === 0)
    throw invalidArgument('optimizer.momentum', 'above 0 when nesterov is true', momentum);
  return { type: 'sgd', lr, momentum, nesterov, weightDecay };
}

function resolveAdam(options: AdamOptions): object {
  const {
    type,
    lr = 1e-3,
    betas = [0.9, 0.999],
    eps = 1e-8,
    weightDecay = options.type === 'adamw' ? 0.01 : 0,
  } = checkOptions('optimizer', options, ['type', 'lr', 'betas', 'eps', 'weightDecay']);
  checkRate(lr);
  if (!Array.isArray(betas) || betas.length !== 2)
    throw invalidArgument('optimizer.betas', 'an array of two numbers', betas);
  betas.forEach((beta, index) => checkNumber(`optimizer.betas[${index}]`, beta, 0, 1, true));
  if (checkNumber('optimizer.eps', eps, 0) === 0) throw invalidArgument('optimizer.eps', 'above 0', eps);
  checkNumber('optimizer.weightDecay', weightDecay, 0);
  return { type, lr, betas: [...betas], eps, weightDecay };
}

function resolveSchedule(schedule: ScheduleOptions): object {
  if (typeof schedule !== 'object' || (schedule as unknown) === null)
    throw invalidArgument('schedule', "an object such as { type: 'cosine' }", schedule);
  checkOneOf('schedule.type', schedule.type, ['constant', 'step', 'cosine']);
  switch (schedule.type) {
    case 'constant':
      checkOptions('schedule', schedule, ['type']);
      return { type: 'constant' };
    case 'step': {
      const { stepSize, gamma = 0.1 } = checkOptions('schedule', schedule, ['type', 'stepSize', 'gamma']);
      checkInteger('schedule.stepSize', stepSize, 1);
      checkNumber('schedule.gamma', gamma, 0);
      return { type: 'step', stepSize, gamma };
    }
    case 'cosine': {
      const { epochs, minLr = 0 } = checkOptions('schedule', schedule, ['type', 'epochs', 'minLr']);
      if (epochs !== undefined) checkInteger('schedule.epochs', epochs, 1);
      checkNumber('schedule.minLr', minLr, 0);
      return { type: 'cosine', epochs: epochs ?? 0, minLr };
    }
  }
}
