import type { NativeScheduleOptions } from '../native';
import { DenseNetError } from '../errors';
import {
  checkBoolean,
  checkInteger,
  checkNumber,
  checkOneOf,
  checkOptions,
  checkPositive,
  invalidArgument,
} from '../validate';

/** The time before a schedule begins, as torch's LinearLR or ConstantLR in front of it in a SequentialLR. */
export interface WarmUpOptions {
  /** How long, in the schedule's intervals, at least 1. */
  length: number;
  /** The first rate as a share of the schedule's first, above 0 and at most 1, default 1/3. */
  start?: number;
  /** `linear`, the default: in a straight line up to the schedule's first rate. `constant`: at `start` all along. */
  type?: 'linear' | 'constant';
}

/** What every schedule takes. */
export interface IntervalOptions {
  /**
   * What lengths are counted in, and how often the rate changes: an `epoch`, the default, or an optimizer `step`, the
   * default of `onecycle`.
   */
  interval?: 'epoch' | 'step';
  /** A warm-up in front; a number is the length of a linear one. Default none. `onecycle` has one of its own. */
  warmup?: number | WarmUpOptions;
}

/** The 1cycle policy (Smith and Topin, 2018), as torch's OneCycleLR; the optimizer's `lr` is the highest rate. */
export interface OneCycleOptions extends IntervalOptions {
  /** Which schedule: the 1cycle policy. */
  type: 'onecycle';
  /** Intervals; default the whole run. */
  length?: number;
  /** The share of the length in which the rate rises, from 0 to 1, default 0.3. */
  rising?: number;
  /** The first rate is `lr` divided by this, at least 1, default 25. */
  startDivisor?: number;
  /** The last rate is the first divided by this, at least 1, default 10,000. */
  endDivisor?: number;
  /** The form of rise and fall, default `cosine`. */
  shape?: 'cosine' | 'linear';
  /** Falls to the first rate in as long as it rose, and then to the last; default false. */
  threePhases?: boolean;
  /**
   * Whether the momentum (Adam's first beta) falls while the rate rises, and the other way round; default true where the
   * optimizer has one.
   */
  cycleMomentum?: boolean;
  /** The momentum at the highest rate, from 0 to below 1, default 0.85. */
  lowMomentum?: number;
  /** The momentum at the start and the end, from 0 to below 1, default 0.95. */
  highMomentum?: number;
}

/** Lowers the rate when a value has stopped getting better, as torch's ReduceLROnPlateau. Always by epochs. */
export interface PlateauOptions extends Pick<IntervalOptions, 'warmup'> {
  /** Which schedule: one that waits for a value to stop getting better. */
  type: 'plateau';
  /** Epochs alone. */
  interval?: 'epoch';
  /** The rate is multiplied by this, from 0 to below 1, default 0.1. */
  gamma?: number;
  /** Epochs without improvement that are let pass, default 10. */
  patience?: number;
  /** What counts as an improvement, at least 0, default 1e-4. */
  threshold?: number;
  /** Whether the threshold is a share of the best value, the default, or a difference from it. */
  thresholdMode?: 'relative' | 'absolute';
  /** Epochs after a change that do not count, default 0. */
  cooldown?: number;
  /** The lowest rate, default 0. */
  minLr?: number;
  /** A smaller change of the rate is not made, default 1e-8. */
  eps?: number;
  /** What is watched, of the validation data where there are any and else of the training data; default `loss`. */
  monitor?: 'loss' | 'top1';
}

/** How the learning rate changes, as in torch.optim.lr_scheduler. Schedules without a length span the whole run. */
export type ScheduleOptions =
  | ({ type: 'constant' } & IntervalOptions)
  /** Times `gamma` (default 0.1) after every `stepSize` intervals. */
  | ({
      type: 'step';
      /** At least 1. */
      stepSize: number;
      /** At least 0, default 0.1. */
      gamma?: number;
    } & IntervalOptions)
  /** Times `gamma` (default 0.1) after each of these numbers of intervals. */
  | ({
      type: 'multistep';
      /** Each at least 1; at least one. */
      milestones: number[];
      /** At least 0, default 0.1. */
      gamma?: number;
    } & IntervalOptions)
  /** Times `gamma` after every interval. */
  | ({
      type: 'exponential';
      /** Above 0. */
      gamma: number;
    } & IntervalOptions)
  /** Half a cosine down to `minLr` (default 0), over `length` intervals. */
  | ({
      type: 'cosine';
      /** At least 1, default what the warm-up leaves of the run. */
      length?: number;
      /** At least 0, default 0. */
      minLr?: number;
    } & IntervalOptions)
  /**
   * Half a cosine down to `minLr` (default 0) over `period` intervals, and then again from the top, each `periodFactor`
   * (default 1) times as long as the one before (Loshchilov and Hutter, 2017).
   */
  | ({
      type: 'cosineRestarts';
      /** At least 1. */
      period: number;
      /** A whole number of at least 1, default 1. */
      periodFactor?: number;
      /** At least 0, default 0. */
      minLr?: number;
    } & IntervalOptions)
  /** (1 − t/length)^`power` of the rate, `power` default 1, over `length` intervals. */
  | ({
      type: 'polynomial';
      /** At least 1, default what the warm-up leaves of the run. */
      length?: number;
      /** Above 0, default 1. */
      power?: number;
    } & IntervalOptions)
  | OneCycleOptions
  | PlateauOptions;

const types = [
  'constant',
  'step',
  'multistep',
  'exponential',
  'cosine',
  'cosineRestarts',
  'onecycle',
  'polynomial',
  'plateau',
] as const;

/** What a field has that was not given, or that a schedule does not use. */
const defaults: NativeScheduleOptions = {
  type: 'constant',
  interval: 'epoch',
  warmup: { length: 0, start: 1, type: 'linear' },
  stepSize: 1,
  milestones: [],
  gamma: 0.1,
  length: 0,
  minLr: 0,
  period: 1,
  periodFactor: 1,
  power: 1,
  rising: 0.3,
  startDivisor: 25,
  endDivisor: 1e4,
  shape: 'cosine',
  threePhases: false,
  cycleMomentum: false,
  lowMomentum: 0.85,
  highMomentum: 0.95,
  patience: 10,
  cooldown: 0,
  threshold: 1e-4,
  thresholdMode: 'relative',
  eps: 1e-8,
  monitor: 'loss',
};

/** Checked options, every field given, as the native schedule takes them. `hasMomentum`: of the optimizer. */
export function resolveSchedule(schedule: ScheduleOptions, hasMomentum: boolean): NativeScheduleOptions {
  if (typeof schedule !== 'object' || (schedule as unknown) === null)
    throw invalidArgument('schedule', "an object such as { type: 'cosine' }", schedule);
  checkOneOf('schedule.type', schedule.type, types);
  const own = resolveOwn(schedule, hasMomentum);
  const { interval = schedule.type === 'onecycle' ? 'step' : 'epoch', warmup } = schedule;
  checkOneOf('schedule.interval', interval, ['epoch', 'step']);
  return { ...defaults, ...own, interval, ...(warmup !== undefined && { warmup: resolveWarmUp(warmup) }) };
}

function resolveWarmUp(warmup: number | WarmUpOptions): NativeScheduleOptions['warmup'] {
  const given = typeof warmup === 'number' ? { length: warmup } : warmup;
  if (typeof given !== 'object' || (given as unknown) === null)
    throw invalidArgument('schedule.warmup', 'a length or an object such as { length: 5, start: 0.1 }', warmup);
  const {
    length,
    start = 1 / 3,
    type = 'linear',
  } = checkOptions<WarmUpOptions>('schedule.warmup', given, ['length', 'start', 'type']);
  return {
    length: checkInteger(typeof warmup === 'number' ? 'schedule.warmup' : 'schedule.warmup.length', length, 1),
    start: checkPositive('schedule.warmup.start', start, 1),
    type: checkOneOf('schedule.warmup.type', type, ['linear', 'constant']),
  };
}

const common = ['type', 'interval', 'warmup'] as const;

function resolveOwn(schedule: ScheduleOptions, hasMomentum: boolean): Partial<NativeScheduleOptions> {
  switch (schedule.type) {
    case 'constant':
      checkOptions('schedule', schedule, common);
      return { type: 'constant' };
    case 'step': {
      const {
        type,
        stepSize,
        gamma = defaults.gamma,
      } = checkOptions('schedule', schedule, [...common, 'stepSize', 'gamma']);
      checkInteger('schedule.stepSize', stepSize, 1);
      return { type, stepSize, gamma: checkNumber('schedule.gamma', gamma, 0) };
    }
    case 'multistep': {
      const {
        type,
        milestones,
        gamma = defaults.gamma,
      } = checkOptions('schedule', schedule, [...common, 'milestones', 'gamma']);
      return { type, milestones: checkMilestones(milestones), gamma: checkNumber('schedule.gamma', gamma, 0) };
    }
    case 'exponential': {
      const { type, gamma } = checkOptions('schedule', schedule, [...common, 'gamma']);
      return { type, gamma: checkPositive('schedule.gamma', gamma) };
    }
    case 'cosine': {
      const {
        type,
        length,
        minLr = defaults.minLr,
      } = checkOptions('schedule', schedule, [...common, 'length', 'minLr']);
      return { type, length: checkLength(length), minLr: checkNumber('schedule.minLr', minLr, 0) };
    }
    case 'cosineRestarts': {
      const keys = [...common, 'period', 'periodFactor', 'minLr'] as const;
      const {
        type,
        period,
        periodFactor = defaults.periodFactor,
        minLr = defaults.minLr,
      } = checkOptions('schedule', schedule, keys);
      checkInteger('schedule.period', period, 1);
      checkInteger('schedule.periodFactor', periodFactor, 1);
      return { type, period, periodFactor, minLr: checkNumber('schedule.minLr', minLr, 0) };
    }
    case 'polynomial': {
      const {
        type,
        length,
        power = defaults.power,
      } = checkOptions('schedule', schedule, [...common, 'length', 'power']);
      return { type, length: checkLength(length), power: checkPositive('schedule.power', power) };
    }
    case 'onecycle':
      return resolveOneCycle(schedule, hasMomentum);
    case 'plateau':
      return resolvePlateau(schedule);
  }
}

/** 0 stands for the whole run. */
function checkLength(length: number | undefined): number {
  return length === undefined ? 0 : checkInteger('schedule.length', length, 1);
}

function checkMilestones(milestones: unknown): number[] {
  if (!Array.isArray(milestones) || milestones.length === 0)
    throw invalidArgument('schedule.milestones', 'an array of numbers of intervals, at least one', milestones);
  return Array.from(milestones, (one, index) => checkInteger(`schedule.milestones[${index}]`, one, 1));
}

function resolveOneCycle(schedule: OneCycleOptions, hasMomentum: boolean): Partial<NativeScheduleOptions> {
  const {
    type,
    length,
    rising = defaults.rising,
    startDivisor = defaults.startDivisor,
    endDivisor = defaults.endDivisor,
    shape = defaults.shape,
    threePhases = defaults.threePhases,
    cycleMomentum = hasMomentum,
    lowMomentum = defaults.lowMomentum,
    highMomentum = defaults.highMomentum,
    warmup,
  } = checkOptions('schedule', schedule, [
    ...common,
    'length',
    'rising',
    'startDivisor',
    'endDivisor',
    'shape',
    'threePhases',
    'cycleMomentum',
    'lowMomentum',
    'highMomentum',
  ]);
  if (warmup !== undefined)
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      'schedule.warmup is not for onecycle, which rises by itself: set rising and startDivisor.',
    );
  if (checkBoolean('schedule.cycleMomentum', cycleMomentum) && !hasMomentum)
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      'schedule.cycleMomentum needs an optimizer with momentum, and this one has none. Set optimizer.momentum.',
    );
  return {
    type,
    length: checkLength(length),
    rising: checkNumber('schedule.rising', rising, 0, 1),
    startDivisor: checkNumber('schedule.startDivisor', startDivisor, 1),
    endDivisor: checkNumber('schedule.endDivisor', endDivisor, 1),
    shape: checkOneOf('schedule.shape', shape, ['cosine', 'linear']),
    threePhases: checkBoolean('schedule.threePhases', threePhases),
    cycleMomentum,
    lowMomentum: checkNumber('schedule.lowMomentum', lowMomentum, 0, 1, true),
    highMomentum: checkNumber('schedule.highMomentum', highMomentum, 0, 1, true),
  };
}

function resolvePlateau(schedule: PlateauOptions): Partial<NativeScheduleOptions> {
  const {
    type,
    interval = 'epoch',
    gamma = defaults.gamma,
    patience = defaults.patience,
    threshold = defaults.threshold,
    thresholdMode = defaults.thresholdMode,
    cooldown = defaults.cooldown,
    minLr = defaults.minLr,
    eps = defaults.eps,
    monitor = defaults.monitor,
  } = checkOptions('schedule', schedule, [
    ...common,
    'gamma',
    'patience',
    'threshold',
    'thresholdMode',
    'cooldown',
    'minLr',
    'eps',
    'monitor',
  ]);
  checkOneOf('schedule.interval', interval, ['epoch']);
  return {
    type,
    gamma: checkNumber('schedule.gamma', gamma, 0, 1, true),
    patience: checkInteger('schedule.patience', patience, 0),
    threshold: checkNumber('schedule.threshold', threshold, 0),
    thresholdMode: checkOneOf('schedule.thresholdMode', thresholdMode, ['relative', 'absolute']),
    cooldown: checkInteger('schedule.cooldown', cooldown, 0),
    minLr: checkNumber('schedule.minLr', minLr, 0),
    eps: checkNumber('schedule.eps', eps, 0),
    monitor: checkOneOf('schedule.monitor', monitor, ['loss', 'top1']),
  };
}
