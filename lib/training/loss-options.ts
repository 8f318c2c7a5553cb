import { DenseNetError } from '../errors';
import type { NativeLossOptions } from '../native';
import { checkNumber, checkOneOf, checkOptions, invalidArgument } from '../validate';

/**
 * What training makes small.
 *
 * - `crossEntropy`: softmax cross-entropy. Labels are class indices, or N×classes probabilities (soft targets).
 * - `focal`: the same times (1−p)^`gamma`, `gamma` at least 0 and default 2, so that easy images count less (Lin et al.,
 *   2017).
 * - `binaryCrossEntropy`: of each class by itself, where an image may have several labels or none (as CheXNet's 14
 *   findings). Labels are N×classes numbers from 0 to 1. `positiveWeights`: how much each class's positives count.
 * - `binaryFocal`: the focal form of that, as torchvision's sigmoid_focal_loss; positives count `alpha` (default 0.25)
 *   and negatives 1 − `alpha`; `null` for neither.
 */
export type LossOptions =
  | { type: 'crossEntropy' }
  | {
      type: 'focal';
      /** At least 0, default 2. */
      gamma?: number;
    }
  | {
      type: 'binaryCrossEntropy';
      /** One a class, at least 0 and not all 0, default 1. */
      positiveWeights?: number[];
    }
  | {
      type: 'binaryFocal';
      /** At least 0, default 2. */
      gamma?: number;
      /** From 0 to 1, default 0.25; `null` for none. */
      alpha?: number | null;
    };

/** A loss with its default options. */
export type LossName = LossOptions['type'];

/** Whether each class is decided by itself, so that labels have to be N×classes. */
export function isBinary(loss: NativeLossOptions): boolean {
  return loss.type === 'binaryCrossEntropy' || loss.type === 'binaryFocal';
}

const unused = { gamma: 2, alpha: -1, weight: [] as number[] };

/** Checked options, every field given, as the native loss takes them. */
export function resolveLoss(
  loss: LossName | LossOptions,
  labelSmoothing: number,
  classWeights: number[] | undefined,
  numClasses: number,
): NativeLossOptions {
  const given = typeof loss === 'string' ? ({ type: loss } as LossOptions) : loss;
  if (typeof given !== 'object' || (given as unknown) === null)
    throw invalidArgument('loss', "a name or an object such as { type: 'focal', gamma: 2 }", loss);
  const names = ['crossEntropy', 'focal', 'binaryCrossEntropy', 'binaryFocal'] as const;
  const type = checkOneOf(typeof loss === 'string' ? 'loss' : 'loss.type', given.type, names);
  checkNumber('labelSmoothing', labelSmoothing, 0, 1, true);
  const base = { ...unused, type, labelSmoothing };
  if (classWeights !== undefined && type.startsWith('binary'))
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `classWeights is for crossEntropy and focal; for ${type} use loss.positiveWeights, or leave it out.`,
    );
  const weight = classWeights === undefined ? [] : checkWeights('classWeights', classWeights, numClasses);
  switch (given.type) {
    case 'crossEntropy':
      checkOptions('loss', given, ['type']);
      return { ...base, weight };
    case 'focal': {
      const { gamma = 2 } = checkOptions('loss', given, ['type', 'gamma']);
      return { ...base, weight, gamma: checkNumber('loss.gamma', gamma, 0) };
    }
    case 'binaryCrossEntropy': {
      const { positiveWeights } = checkOptions('loss', given, ['type', 'positiveWeights']);
      if (positiveWeights === undefined) return base;
      return { ...base, weight: checkWeights('loss.positiveWeights', positiveWeights, numClasses) };
    }
    case 'binaryFocal': {
      const { gamma = 2, alpha = 0.25 } = checkOptions('loss', given, ['type', 'gamma', 'alpha']);
      return {
        ...base,
        gamma: checkNumber('loss.gamma', gamma, 0),
        alpha: alpha === null ? -1 : checkNumber('loss.alpha', alpha, 0, 1),
      };
    }
  }
}

function checkWeights(name: string, weights: unknown, numClasses: number): number[] {
  if (!Array.isArray(weights) || weights.length !== numClasses)
    throw invalidArgument(name, `an array of ${numClasses} numbers, one a class`, weights);
  const checked = Array.from(weights, (weight, index) => checkNumber(`${name}[${index}]`, weight, 0));
  if (checked.every((weight) => weight === 0)) throw invalidArgument(name, 'above 0 for one class at least', weights);
  return checked;
}
