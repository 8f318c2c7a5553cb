import type { NativeOptimizerOptions } from '../native';
import {
  checkBoolean,
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
  /** At least 0, default the optimizer's. 0 keeps the parameters, but costs their gradients: `freeze` does not. */
  lr?: number;
  /** At least 0, default the optimizer's. */
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
  /** Whether weight decay is for batch norms' parameters and biases too; default true, as in PyTorch. */
  decayNormsAndBiases?: boolean;
}

/** Stochastic gradient descent, as torch.optim.SGD. */
export interface SgdOptions extends GroupOptions {
  /** Which optimizer: stochastic gradient descent. */
  type: 'sgd';
  /** Learning rate, above 0. */
  lr: number;
  /** From 0 to below 1, default 0. */
  momentum?: number;
  /** The share of a gradient that momentum leaves out, from 0 to below 1, default 0. */
  dampening?: number;
  /** Nesterov's momentum; needs a momentum above 0 and no dampening. Default false. */
  nesterov?: boolean;
  /** L2 penalty, at least 0, default 0. */
  weightDecay?: number;
}

/** Adam (Kingma and Ba, 2015), or AdamW (Loshchilov and Hutter, 2019), as in torch.optim. */
export interface AdamOptions extends GroupOptions {
  /** Which optimizer: `adamw` decays the weights apart from the gradient. */
  type: 'adam' | 'adamw';
  /** Learning rate, above 0, default 0.001. */
  lr?: number;
  /** Decay of the running moments, each from 0 to below 1, default [0.9, 0.999]. */
  betas?: [number, number];
  /** Added to the root of the second moment, above 0, default 1e-8. */
  eps?: number;
  /** At least 0; default 0, and 0.01 for AdamW. */
  weightDecay?: number;
  /** Divides by the largest second moment so far (Reddi et al., 2018); default false. */
  amsgrad?: boolean;
}

/** RMSprop (Hinton, 2012), as torch.optim.RMSprop. */
export interface RmsPropOptions extends GroupOptions {
  /** Which optimizer: RMSprop. */
  type: 'rmsprop';
  /** Learning rate, above 0, default 0.01. */
  lr?: number;
  /** Decay of the running mean of squares, from 0 to below 1, default 0.99. */
  alpha?: number;
  /** Added to the root of the mean, above 0, default 1e-8. */
  eps?: number;
  /** From 0 to below 1, default 0. */
  momentum?: number;
  /** Divides by the standard deviation of the gradient instead of the root of its mean square; default false. */
  centered?: boolean;
  /** At least 0, default 0. */
  weightDecay?: number;
}

/** An optimizer and its options, as those of torch.optim. */
export type OptimizerOptions = SgdOptions | AdamOptions | RmsPropOptions;

type Rates = Pick<NativeOptimizerOptions, 'lr' | 'weightDecay'>;

/** What a field has that was not given, or that an optimizer does not use. */
const defaults = {
  momentum: 0,
  dampening: 0,
  nesterov: false,
  betas: [0.9, 0.999],
  eps: 1e-8,
  amsgrad: false,
  alpha: 0.99,
  centered: false,
} as const;

type OwnFields = Omit<NativeOptimizerOptions, 'groups' | 'decayNormsAndBiases'>;

/** Checked options, every field given, as the native optimizer takes them; see `resolveTrainerOptions`. */
export function resolveOptimizer(
  optimizer: OptimizerOptions | undefined,
  stages: readonly string[][],
  checkPrefix: (prefix: string) => void,
): NativeOptimizerOptions {
  if (typeof optimizer !== 'object' || (optimizer as unknown) === null)
    throw invalidArgument('optimizer', "an object such as { type: 'sgd', lr: 0.1 }", optimizer);
  checkOneOf('optimizer.type', optimizer.type, ['sgd', 'adam', 'adamw', 'rmsprop']);
  const fields = resolveFields(optimizer);
  const { decayNormsAndBiases = true } = optimizer;
  checkBoolean('optimizer.decayNormsAndBiases', decayNormsAndBiases);
  return { ...fields, decayNormsAndBiases, groups: resolveGroups(optimizer, fields, stages, checkPrefix) };
}

function resolveFields(optimizer: OptimizerOptions): OwnFields {
  switch (optimizer.type) {
    case 'sgd':
      return resolveSgd(optimizer);
    case 'rmsprop':
      return resolveRmsProp(optimizer);
    default:
      return resolveAdam(optimizer);
  }
}

const groupKeys = ['groups', 'layerDecay', 'decayNormsAndBiases'] as const;

function resolveSgd(options: SgdOptions): OwnFields {
  const {
    lr,
    momentum = defaults.momentum,
    dampening = defaults.dampening,
    nesterov = defaults.nesterov,
    weightDecay = 0,
  } = checkOptions('optimizer', options, [
    'type',
    'lr',
    'momentum',
    'dampening',
    'nesterov',
    'weightDecay',
    ...groupKeys,
  ]);
  checkPositive('optimizer.lr', lr);
  checkNumber('optimizer.momentum', momentum, 0, 1, true);
  checkNumber('optimizer.dampening', dampening, 0, 1, true);
  checkBoolean('optimizer.nesterov', nesterov);
  checkNumber('optimizer.weightDecay', weightDecay, 0);
  if (nesterov && momentum === 0)
    throw invalidArgument('optimizer.momentum', 'above 0 when nesterov is true', momentum);
  if (nesterov && dampening > 0) throw invalidArgument('optimizer.dampening', '0 when nesterov is true', dampening);
  return { ...defaults, betas: [...defaults.betas], type: 'sgd', lr, momentum, dampening, nesterov, weightDecay };
}

function resolveAdam(options: AdamOptions): OwnFields {
  const {
    type,
    lr = 1e-3,
    betas = defaults.betas,
    eps = defaults.eps,
    weightDecay = options.type === 'adamw' ? 0.01 : 0,
    amsgrad = defaults.amsgrad,
  } = checkOptions('optimizer', options, ['type', 'lr', 'betas', 'eps', 'weightDecay', 'amsgrad', ...groupKeys]);
  checkPositive('optimizer.lr', lr);
  if (!Array.isArray(betas) || betas.length !== 2)
    throw invalidArgument('optimizer.betas', 'an array of two numbers', betas);
  for (const [index, beta] of betas.entries()) checkNumber(`optimizer.betas[${index}]`, beta, 0, 1, true);
  checkPositive('optimizer.eps', eps);
  checkNumber('optimizer.weightDecay', weightDecay, 0);
  checkBoolean('optimizer.amsgrad', amsgrad);
  return { ...defaults, type, lr, betas: [...betas], eps, weightDecay, amsgrad };
}

function resolveRmsProp(options: RmsPropOptions): OwnFields {
  const {
    lr = 0.01,
    alpha = defaults.alpha,
    eps = defaults.eps,
    momentum = defaults.momentum,
    centered = defaults.centered,
    weightDecay = 0,
  } = checkOptions('optimizer', options, [
    'type',
    'lr',
    'alpha',
    'eps',
    'momentum',
    'centered',
    'weightDecay',
    ...groupKeys,
  ]);
  checkPositive('optimizer.lr', lr);
  checkNumber('optimizer.alpha', alpha, 0, 1, true);
  checkPositive('optimizer.eps', eps);
  checkNumber('optimizer.momentum', momentum, 0, 1, true);
  checkBoolean('optimizer.centered', centered);
  checkNumber('optimizer.weightDecay', weightDecay, 0);
  return { ...defaults, betas: [...defaults.betas], type: 'rmsprop', lr, alpha, eps, momentum, centered, weightDecay };
}

function resolveGroups(
  { groups = [], layerDecay = 1 }: GroupOptions,
  { lr, weightDecay }: Rates,
  stages: readonly string[][],
  checkPrefix: (prefix: string) => void,
): NativeOptimizerOptions['groups'] {
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
