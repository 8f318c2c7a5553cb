import type { NativeEvaluation } from '../native';
import type { Metrics } from './events';

/** How one class fared. */
export interface ClassMetrics {
  /** The class's name, or its index as text. */
  label: string;
  /** Images of this class. */
  support: number;
  /** Of the images taken for this class, the share that are of it; 0 when there are none. */
  precision: number;
  /** Of the images of this class, the share that were taken for it; 0 when there are none. */
  recall: number;
  /** The harmonic mean of precision and recall. */
  f1: number;
  /**
   * Area under the ROC curve of this class against the rest: how often an image of it has the larger score of two, one of
   * it and one not; a tie counts half. `null` where it was not asked for, or there are no two such images.
   */
  rocAuc: number | null;
}

/** Precision, recall and F1 over all classes. */
export type Average = Pick<ClassMetrics, 'precision' | 'recall' | 'f1'>;

/** How far probabilities are what they say (Guo et al., "On Calibration of Modern Neural Networks", 2017). */
export interface Calibration {
  /** The expected calibration error, equation 3: |accuracy − confidence| of each bin, weighted by its predictions. */
  error: number;
  /** Bins of equal width, by probability. */
  bins: {
    /** The bin's probabilities lie above `from`, and at most at `to`. */
    from: number;
    /** See `from`. */
    to: number;
    /** Predictions in it. */
    count: number;
    /** Their mean probability; 0 in an empty bin. */
    confidence: number;
    /** The share of them that was right; 0 in an empty bin. */
    accuracy: number;
  }[];
}

/** What every evaluation finds, whether an image has one label or several. */
export interface EvaluationDetails {
  /** In the order of the classes' indices. */
  perClass: ClassMetrics[];
  /** The plain mean over the classes. */
  macro: Average;
  /** The mean over the classes, weighted by their images. */
  weighted: Average;
  /** The mean of the classes' areas, of those that have one; `null` where none has. */
  rocAuc: number | null;
  /** How far the probabilities are what they say. */
  calibration: Calibration;
}

/** What an evaluation found. */
export interface Evaluation extends Metrics, EvaluationDetails {
  /**
   * Share of images, from 0 to 1, whose true class is among the five most probable; NaN where an image may have several
   * labels.
   */
  top5: number;
  /** The same for the `k` that were asked for; empty where an image may have several labels. */
  topK: Record<number, number>;
  /** Images by true class (row) and predicted class (column); empty where an image may have several labels. */
  confusionMatrix: number[][];
}

/** What an evaluation found where each image may have several labels. A label is predicted above a probability of 0.5. */
export interface MultiLabelEvaluation extends EvaluationDetails {
  /** Mean binary cross-entropy, over images and labels. */
  loss: number;
  /** Share of images, from 0 to 1, all of whose labels are right. */
  exactMatch: number;
  /** Images. */
  size: number;
  /** Precision, recall and F1 over all labels of all images together. */
  micro: Average;
}

/** Of the most probable classes, how many are looked at beside those that were asked for. */
const TOP = 5;

/** The `topK` of native options: what was asked for, and the five that every evaluation tells of. */
export function nativeTopK(topK: readonly number[]): number[] {
  return [...topK, TOP];
}

/** Reads the sums of a native evaluation; class by class, never image by image. */
export function toEvaluation(
  native: NativeEvaluation,
  labels: readonly string[],
  topK: readonly number[] = [],
): Evaluation {
  const { loss, top1, size, confusion } = native;
  const classes = labels.length;
  return {
    loss,
    top1,
    top5: native.topK.at(-1) ?? NaN,
    topK: Object.fromEntries(topK.map((k, index) => [k, native.topK[index] ?? 0])),
    size,
    ...details(native, labels),
    confusionMatrix:
      confusion.length === 0
        ? []
        : labels.map((_, row) => Array.from(confusion.subarray(row * classes, (row + 1) * classes))),
  };
}

/** The same where an image may have several labels. */
export function toMultiLabelEvaluation(native: NativeEvaluation, labels: readonly string[]): MultiLabelEvaluation {
  const { loss, top1, size, hits, predicted, support } = native;
  const sum = (counts: Float64Array): number => counts.reduce((total, count) => total + count, 0);
  return {
    loss,
    exactMatch: top1,
    size,
    ...details(native, labels),
    micro: average(sum(hits), sum(predicted), sum(support)),
  };
}

function details(native: NativeEvaluation, labels: readonly string[]): EvaluationDetails {
  const perClass = labels.map((label, index): ClassMetrics => {
    const support = native.support[index] ?? 0;
    const area = native.rocAuc[index] ?? NaN;
    return {
      label,
      support,
      ...average(native.hits[index] ?? 0, native.predicted[index] ?? 0, support),
      rocAuc: Number.isNaN(area) ? null : area,
    };
  });
  const areas = perClass.map(({ rocAuc }) => rocAuc).filter((area) => area !== null);
  return {
    perClass,
    macro: mean(perClass, () => 1),
    weighted: mean(perClass, ({ support }) => support),
    rocAuc: areas.length === 0 ? null : areas.reduce((sum, area) => sum + area, 0) / areas.length,
    calibration: toCalibration(native.calibration),
  };
}

function average(hits: number, predicted: number, support: number): Average {
  return {
    precision: ratio(hits, predicted),
    recall: ratio(hits, support),
    f1: ratio(2 * hits, predicted + support),
  };
}

function mean(perClass: readonly ClassMetrics[], weight: (one: ClassMetrics) => number): Average {
  const all = perClass.reduce((sum, one) => sum + weight(one), 0);
  const of = (key: keyof Average): number =>
    ratio(
      perClass.reduce((sum, one) => sum + weight(one) * one[key], 0),
      all,
    );
  return { precision: of('precision'), recall: of('recall'), f1: of('f1') };
}

function toCalibration({ error, count, confidence, accuracy }: NativeEvaluation['calibration']): Calibration {
  const bins = Array.from(count, (predictions, index) => ({
    from: index / count.length,
    to: (index + 1) / count.length,
    count: predictions,
    confidence: confidence[index] ?? 0,
    accuracy: accuracy[index] ?? 0,
  }));
  return { error, bins };
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
