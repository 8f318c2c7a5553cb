import type { NativeEvaluation } from '../native';
import type { Metrics } from './events';

/** How one class fared. */
export interface ClassMetrics {
  label: string;
  /** Images of this class. */
  support: number;
  /** Of the images taken for this class, the share that are of it; 0 when there are none. */
  precision: number;
  /** Of the images of this class, the share that were taken for it; 0 when there are none. */
  recall: number;
  /** The harmonic mean of precision and recall. */
  f1: number;
}

/** What an evaluation found. */
export interface Evaluation extends Metrics {
  /** Share of images, from 0 to 1, whose true class is among the five most probable. */
  top5: number;
  perClass: ClassMetrics[];
  /** Images by true class (row) and predicted class (column). */
  confusionMatrix: number[][];
}

/** Reads the counts of a native evaluation; class by class, never image by image. */
export function toEvaluation(native: NativeEvaluation, labels: readonly string[]): Evaluation {
  const { confusion, ...metrics } = native;
  const classes = labels.length;
  const confusionMatrix = labels.map((_, row) => confusion.slice(row * classes, (row + 1) * classes));
  const predicted = labels.map((_, column) => confusionMatrix.reduce((sum, row) => sum + (row[column] ?? 0), 0));
  const perClass = labels.map((label, index): ClassMetrics => {
    const row = confusionMatrix[index] ?? [];
    const hits = row[index] ?? 0;
    const support = row.reduce((sum, count) => sum + count, 0);
    const precision = ratio(hits, predicted[index] ?? 0);
    const recall = ratio(hits, support);
    return { label, support, precision, recall, f1: ratio(2 * precision * recall, precision + recall) };
  });
  return { ...metrics, perClass, confusionMatrix };
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
