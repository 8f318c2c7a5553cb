import { indexNames } from '../data/labels';
import { DenseNetError, toDenseNetError } from '../errors';
import type { NativeMetricsSum } from '../native';
import { loadNative } from '../runtime/load';
import { checkTensor, copyTensor, type TensorData } from '../tensor';
import { checkInteger, checkNames, checkOptions, invalidArgument } from '../validate';
import { checkLabels } from './batch';
import {
  nativeTopK,
  toEvaluation,
  toMultiLabelEvaluation,
  type Evaluation,
  type MultiLabelEvaluation,
} from './evaluation';
import { checkMetricsOptions, metricsKeys, type MetricsOptions } from './metrics-options';

/** Options of {@link ClassificationMetrics}. */
export interface ClassificationMetricsOptions extends MetricsOptions {
  /** How many classes there are, or their names. */
  classes: number | readonly string[];
}

/** Options of {@link MultiLabelMetrics}. */
export type MultiLabelMetricsOptions = Omit<ClassificationMetricsOptions, 'topK'>;

/** What both kinds of metrics share: native sums, made at the first batch. */
class StreamedMetrics {
  readonly labels: string[];
  readonly topK: number[];
  readonly #make: () => Promise<NativeMetricsSum>;
  #native: Promise<NativeMetricsSum> | undefined;
  #size = 0;

  constructor(options: ClassificationMetricsOptions, multiLabel: boolean) {
    const keys = metricsKeys.filter((key) => !multiLabel || key !== 'topK');
    const given = checkOptions('options', options, ['classes', ...keys]);
    const names = typeof given.classes === 'number' ? null : checkNames('classes', given.classes);
    const count = checkInteger('classes', names?.length ?? given.classes, 1, 1_000_000);
    const { topK, calibrationBins, rocAuc } = checkMetricsOptions(given);
    this.labels = names ?? indexNames(count);
    this.topK = topK;
    const native = { multiLabel, topK: nativeTopK(topK), calibrationBins, rocAuc: rocAuc !== false };
    this.#make = async () => new (await loadNative()).NativeMetrics(count, native);
  }

  /** Checks logits N×classes, and returns N. */
  checkLogits(logits: TensorData): number {
    const { shape } = checkTensor('logits', logits, ['Float32Array', 'Float64Array']);
    const classes = this.labels.length;
    if (shape.length !== 2 || shape[1] !== classes)
      throw invalidArgument('logits.shape', `[images, ${classes}], a column a class`, shape);
    return shape[0] as number;
  }

  async add(logits: TensorData, labels: TensorData): Promise<void> {
    // Native code copies them, but only when it is loaded.
    const kept = [copyTensor(logits), copyTensor(labels)] as const;
    try {
      this.#native ??= this.#make();
      await (await this.#native).add(...kept);
      this.#size += kept[0].shape[0] ?? 0;
    } catch (error) {
      throw toDenseNetError(error);
    }
  }

  async result() {
    const native = await this.#native;
    if (native === undefined || this.#size === 0)
      throw new DenseNetError('ERR_INVALID_ARGUMENT', 'nothing was added to the metrics. Add a batch first.');
    try {
      return await native.result();
    } catch (error) {
      throw toDenseNetError(error);
    }
  }
}

/**
 * The metrics of {@link Evaluation} for logits from anywhere, batch by batch: an ensemble, test-time augmentation, another
 * program. The sums are native, and keep no logits (but for `rocAuc`).
 *
 * @example
 * const metrics = new ClassificationMetrics({ classes: 10 });
 * await metrics.add(await model.forward(images), labels);
 * const { top1, perClass } = await metrics.result();
 */
export class ClassificationMetrics {
  readonly #metrics: StreamedMetrics;

  /** @throws DenseNetError `ERR_INVALID_ARGUMENT`. */
  constructor(options: ClassificationMetricsOptions) {
    this.#metrics = new StreamedMetrics(options, false);
  }

  /**
   * Adds a batch.
   *
   * @param logits N×classes, before the softmax.
   * @param labels The class index of each image; or a `Float32Array` N×classes, the classes' probabilities, of which the
   *   largest counts as the true one.
   * @throws DenseNetError `ERR_INVALID_ARGUMENT`, `ERR_LABEL_OUT_OF_RANGE`, `ERR_NON_FINITE_INPUT` where a logit is NaN;
   *   nothing is added then.
   */
  async add(logits: TensorData, labels: number[] | TensorData): Promise<void> {
    const images = this.#metrics.checkLogits(logits);
    await this.#metrics.add(logits, checkLabels(labels, images, this.#metrics.labels.length));
  }

  /**
   * What was found so far.
   *
   * @throws DenseNetError `ERR_INVALID_ARGUMENT` before anything was added.
   */
  async result(): Promise<Evaluation> {
    return toEvaluation(await this.#metrics.result(), this.#metrics.labels, this.#metrics.topK);
  }
}

/** The same where an image may have several labels, or none: a sigmoid a class. */
export class MultiLabelMetrics {
  readonly #metrics: StreamedMetrics;

  /** @throws DenseNetError `ERR_INVALID_ARGUMENT`. */
  constructor(options: MultiLabelMetricsOptions) {
    this.#metrics = new StreamedMetrics(options, true);
  }

  /**
   * Adds a batch.
   *
   * @param logits N×classes, before the sigmoid.
   * @param labels N×classes, each from 0 to 1; those above 0.5 apply.
   * @throws As {@link ClassificationMetrics.add}.
   */
  async add(logits: TensorData, labels: TensorData): Promise<void> {
    const images = this.#metrics.checkLogits(logits);
    const classes = this.#metrics.labels.length;
    const checked = checkTensor('labels', labels, ['Float32Array']);
    if (String(checked.shape) !== String([images, classes]))
      throw invalidArgument('labels.shape', `[${images}, ${classes}], as that of the logits`, checked.shape);
    await this.#metrics.add(logits, checked);
  }

  /**
   * What was found so far.
   *
   * @throws DenseNetError `ERR_INVALID_ARGUMENT` before anything was added.
   */
  async result(): Promise<MultiLabelEvaluation> {
    return toMultiLabelEvaluation(await this.#metrics.result(), this.#metrics.labels);
  }
}
