import type { NativeTrainerOptions } from '../native';
import {
  checkBoolean,
  checkInteger,
  checkNumber,
  checkOneOf,
  checkOptions,
  checkPositive,
  checkString,
  invalidArgument,
} from '../validate';

/** Parameters that learn at rates of their own. */
export interface ParameterGroup {
  /** The dotted name of a part, such as `features.denseblock4`; of several that fit, the longest decides. */
  prefix: string;
  /** Default: the optimizer's. 0 keeps the parameters, though it costs their gradients: `freeze` does not. */
  lr?: number;
  /** Default: the optimizer's. */
  weightDecay?: number;
}

/** What every optimizer takes. */
export interface GroupOptions {
  /** Rates of single parts; the schedule applies to each. Default none. */
  groups?: ParameterGroup[];
  /**
   * Layer-wise decay, above 0 and at most 1: the classifier learns at `lr`, and each stage before it (the last block with
   * its norm, the one before with its transition, …, the stem) at this share of the one after it. Default 1.
   */
  layerDecay?: number;
}

/** Stochastic gradient descent, as torch.optim.SGD. */
export interface SgdOptions extends GroupOptions {
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
export interface AdamOptions extends GroupOptions {
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

/**
 * Checked options, complete, as the native trainer takes them.
 *
 * @param options What the user gave.
 * @param stages The network's parts from the classifier to the stem, see `stagesOf`.
 * @param checkPrefix Throws where no parameter lies below a prefix.
 */
export function resolveTrainerOptions(
  options: TrainerOptions,
  stages: readonly string[][],
  checkPrefix: (prefix: string) => void,
): NativeTrainerOptions {
  const given = checkOptions('options', options, ['optimizer', 'schedule', 'labelSmoothing', 'seed']);
  const { labelSmoothing = 0, seed } = given;
  checkNumber('labelSmoothing', labelSmoothing, 0, 1, true);
  if (seed !== undefined) checkInteger('seed', seed, 0);
  return {
    optimizer: resolveOptimizer(given.optimizer, stages, checkPrefix),
    schedule: resolveSchedule(given.schedule ?? { type: 'constant' }),
    labelSmoothing,
    seed,
  };
}

function resolveOptimizer(
  optimizer: OptimizerOptions | undefined,
  stages: readonly string[][],
  checkPrefix: (prefix: string) => void,
): object {
  if (typeof optimizer !== 'object' || (optimizer as unknown) === null)
    throw invalidArgument('optimizer', "an object such as { type: 'sgd', lr: 0.1 }", optimizer);
  const type = checkOneOf('optimizer.type', optimizer.type, ['sgd', 'adam', 'adamw']);
  const resolved = type === 'sgd' ? resolveSgd(optimizer as SgdOptions) : resolveAdam(optimizer as AdamOptions);
  return { ...resolved, groups: resolveGroups(optimizer, resolved, stages, checkPrefix) };
}

function resolveGroups(
  { groups = [], layerDecay = 1 }: GroupOptions,
  { lr, weightDecay }: Rates,
  stages: readonly string[][],
  checkPrefix: (prefix: string) => void,
): (Rates & { prefix: string })[] {
  checkPositive('optimizer.layerDecay', layerDecay, 1);
  if (!Array.isArray(groups)) throw invalidArgument('optimizer.groups', 'an array of groups', groups);
  const decayed =
    layerDecay === 1
      ? []
      : stages.flatMap((prefixes, stage) =>
          prefixes.map((prefix) => ({ prefix, lr: lr * layerDecay ** stage, weightDecay })),
        );
  const own = Array.from(groups, (group: ParameterGroup, index) => {
    const name = `optimizer.groups[${index}]`;
    const given = checkOptions(name, group, ['prefix', 'lr', 'weightDecay']);
    checkPrefix(checkString(`${name}.prefix`, given.prefix));
    return {
      prefix: given.prefix,
      lr: checkNumber(`${name}.lr`, given.lr ?? lr, 0),
      weightDecay: checkNumber(`${name}.weightDecay`, given.weightDecay ?? weightDecay, 0),
    };
  });
  return [...decayed, ...own];
}

interface Rates {
  lr: number;
  weightDecay: number;
}

const groupKeys = ['groups', 'layerDecay'] as const;

function resolveSgd(options: SgdOptions): Rates {
  const {
    lr,
    momentum = 0,
    nesterov = false,
    weightDecay = 0,
  } = checkOptions('optimizer', options, ['type', 'lr', 'momentum', 'nesterov', 'weightDecay', ...groupKeys]);
  checkPositive('optimizer.lr', lr);
  checkNumber('optimizer.momentum', momentum, 0, 1, true);
  checkBoolean('optimizer.nesterov', nesterov);
  checkNumber('optimizer.weightDecay', weightDecay, 0);
  if (nesterov && momentum === 0)
    throw invalidArgument('optimizer.momentum', 'above 0 when nesterov is true', momentum);
  return { type: 'sgd', lr, momentum, nesterov, weightDecay } as Rates;
}

function resolveAdam(options: AdamOptions): Rates {
  const {
    type,
    lr = 1e-3,
    betas = [0.9, 0.999],
    eps = 1e-8,
    weightDecay = options.type === 'adamw' ? 0.01 : 0,
  } = checkOptions('optimizer', options, ['type', 'lr', 'betas', 'eps', 'weightDecay', ...groupKeys]);
  checkPositive('optimizer.lr', lr);
  if (!Array.isArray(betas) || betas.length !== 2)
    throw invalidArgument('optimizer.betas', 'an array of two numbers', betas);
  for (const [index, beta] of betas.entries()) checkNumber(`optimizer.betas[${index}]`, beta, 0, 1, true);
  checkPositive('optimizer.eps', eps);
  checkNumber('optimizer.weightDecay', weightDecay, 0);
  return { type, lr, betas: [...betas], eps, weightDecay } as Rates;
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
