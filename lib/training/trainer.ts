import { checkDataset } from '../data/check';
import { checkTransforms, shapeAfter, toNative, type Transform } from '../data/transform';
import type { Dataset } from '../data/dataset';
import { toIndices } from '../data/labels';
import { DenseNetError, toDenseNetError } from '../errors';
import { checkImageLength, finalLength } from '../model/config';
import type { DenseNet } from '../model/densenet';
import { handleOf, type ModelHandle } from '../model/handle';
import { stagesOf } from '../model/stages';
import type { NativeDataset, NativeFitPlan, NativeTrainer } from '../native';
import { checkImages, type TensorData } from '../tensor';
import {
  checkBoolean,
  checkInteger,
  checkOptions,
  checkSignal,
  invalidArgument,
  isSignal,
  typedArrayKind,
} from '../validate';
import { toEvaluation, type Evaluation } from './evaluation';
import type { EpochEvent, History, TrainingEvent } from './events';
import { resolveTrainerOptions, type TrainerOptions } from './options';
import { Run, type TrainingRun } from './run';
import { checkUnfreezing, type Unfreezing } from './unfreezing';
import { prepareDataset, type PreparedDataset } from './upload';

/** A batch for {@link Trainer.step}. */
export interface LabelledBatch {
  /** N×C×H×W. */
  images: TensorData;
  /** The class index of each image. */
  labels: number[] | TensorData;
}

/** The result of {@link Trainer.step}. */
export interface StepResult {
  /** Mean cross-entropy of the batch, before the step. */
  loss: number;
  /** Images whose most probable class was the true one. */
  correct: number;
  /** Images in the batch. */
  size: number;
}

/** Options of {@link Trainer.fit}. */
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
  /** Ends the run after the step that it is in; the run rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** What `cacheFeatures: 'auto'` keeps at most, bytes. */
const AUTO_CACHE_BYTES = 2e9;

/** Options of {@link Trainer.evaluate}. */
export interface EvaluateOptions {
  /** Images at once, default 64. */
  batchSize?: number;
  /** Ends the evaluation after the batch that it is in. */
  signal?: AbortSignal;
}

/**
 * Trains one model by cross-entropy. The work runs on the model's own native thread.
 *
 * Every call rejects with a {@link DenseNetError}: `ERR_DISPOSED` when the model is, `ERR_BUSY` while a run trains it,
 * `ERR_LABEL_OUT_OF_RANGE`, `ERR_NON_FINITE_INPUT`, `ERR_INPUT_TOO_SMALL`, `ERR_NON_FINITE_LOSS`, `ERR_OUT_OF_MEMORY`,
 * `ERR_CUDA_OOM`.
 */
export class Trainer {
  readonly #handle: ModelHandle;
  readonly #options: ReturnType<typeof resolveTrainerOptions>;
  #native: NativeTrainer | undefined;

  /**
   * @param model What is trained.
   * @param options How. Checked at once.
   * @throws DenseNetError `ERR_INVALID_ARGUMENT` or `ERR_DISPOSED`.
   */
  constructor(model: DenseNet, options: TrainerOptions) {
    this.#handle = handleOf(model);
    this.#handle.assertUsable();
    this.#options = resolveTrainerOptions(options, stagesOf(this.#handle.config), (prefix) =>
      this.#handle.checkPrefix(prefix),
    );
  }

  /** One optimizer step on a batch, at the optimizer's own learning rate: a schedule belongs to {@link Trainer.fit}. */
  async step(batch: LabelledBatch): Promise<StepResult> {
    this.#handle.assertIdle('step');
    const { images, labels } = checkOptions('batch', batch, ['images', 'labels']);
    const { inChannels, numClasses } = this.#handle.config;
    const checked = checkImages('images', images, inChannels);
    const { shape } = checked;
    this.#checkTrainable(shape, shape[0] ?? 0);
    const indices = checkLabels(labels, shape[0] ?? 0, numClasses);
    const trainer = this.#attach();
    const kept = this.#handle.keep(checked);
    return this.#handle.call(() => trainer.step(kept, { data: indices, shape: [indices.length] }));
  }

  /** Trains on a data set. The run begins at once; bad arguments make it reject. */
  fit(data: Dataset, options: FitOptions): TrainingRun {
    const signal: unknown = (options as FitOptions | undefined)?.signal;
    // A signal that is none makes the run reject, like every other bad argument.
    const work = {
      start: (emit: (event: TrainingEvent) => void, control: AbortController) =>
        this.#fit(data, options, emit, control),
    };
    return new Run(work, isSignal(signal) ? signal : undefined);
  }

  /** Goes once over a data set in evaluation mode, without augmentation. */
  async evaluate(data: Dataset, options?: EvaluateOptions): Promise<Evaluation> {
    this.#handle.assertIdle('evaluate');
    const { batchSize = 64, signal } = checkOptions('options', options, ['batchSize', 'signal']);
    checkInteger('batchSize', batchSize, 1);
    checkSignal('signal', signal);
    signal?.throwIfAborted();
    this.#checkDataset('data', data);
    const trainer = this.#attach();
    const stop = (): void => trainer.stop();
    signal?.addEventListener('abort', stop, { once: true });
    const failures: unknown[] = [];
    const onFailure = (reason: unknown): void => {
      failures.push(reason);
      stop();
    };
    let prepared: PreparedDataset | undefined;
    try {
      const evaluation = await this.#handle.callPrepared(
        async () => (prepared = await prepareDataset(this.#handle.core, data, { batchSize, onFailure, signal })),
        async (_, dataset) => {
          // Those of this moment: a call behind this one may change them while it runs.
          const { classes, numClasses } = this.#handle.config;
          const labels = classes ?? Array.from({ length: numClasses }, (_, index) => String(index));
          return { found: await trainer.evaluate(dataset.native, batchSize), labels };
        },
      );
      signal?.throwIfAborted();
      if (failures.length > 0) throw toDenseNetError(failures[0]);
      if (evaluation.found === undefined)
        throw new DenseNetError('ERR_DISPOSED', 'the model was disposed of during the evaluation.');
      return toEvaluation(evaluation.found, evaluation.labels);
    } finally {
      signal?.removeEventListener('abort', stop);
      prepared?.close();
    }
  }

  async #fit(
    data: Dataset,
    options: FitOptions,
    emit: (event: TrainingEvent) => void,
    control: AbortController,
  ): Promise<History> {
    this.#handle.assertIdle('fit');
    const { validation, signal, ...plan } = this.#checkFit(data, options);
    checkSignal('signal', signal);
    control.signal.throwIfAborted();
    let finish = (): void => undefined;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    this.#handle.run = {
      end: (reason) => {
        control.abort(reason);
        return finished;
      },
    };
    let reached = 0;
    const prepared: PreparedDataset[] = [];
    const prepare = async (dataset: Dataset): Promise<NativeDataset> => {
      const { batchSize } = plan;
      const onFailure = (reason: unknown): void => control.abort(toDenseNetError(reason));
      const made = await prepareDataset(this.#handle.core, dataset, { batchSize, onFailure, signal: control.signal });
      prepared.push(made);
      return made.native;
    };
    try {
      const trainer = this.#attach();
      const epochs: EpochEvent[] = [];
      let started = 0;
      const stop = (): void => trainer.stop();
      control.signal.addEventListener('abort', stop, { once: true });
      const completed = await this.#handle
        .callPrepared(
          async () => ({ train: await prepare(data), held: validation && (await prepare(validation)) }),
          (_, { train, held }) => {
            started = performance.now();
            return trainer.fit(train, held, plan, (event) => {
              if (event.type === 'epoch') epochs.push(event);
              reached = event.epoch;
              emit(event);
            });
          },
        )
        .finally(() => control.signal.removeEventListener('abort', stop));
      if (!completed) control.signal.throwIfAborted();
      return { epochs, seconds: (performance.now() - started) / 1000 };
    } catch (error) {
      throw control.signal.aborted && error === control.signal.reason ? error : toDenseNetError(error);
    } finally {
      for (const one of prepared) one.close();
      for (const { epoch, prefix } of plan.unfreezing) if (epoch <= reached) this.#handle.setTrainable(prefix, true);
      this.#handle.run = undefined;
      finish();
    }
  }

  #checkFit(data: Dataset, options: FitOptions): NativeFitPlan & Pick<FitOptions, 'validation' | 'signal'> {
    const given = checkOptions('options', options, [
      'epochs',
      'batchSize',
      'validation',
      'shuffle',
      'augment',
      'unfreeze',
      'cacheFeatures',
      'signal',
    ]);
    const { epochs, batchSize, validation, shuffle = true, augment, cacheFeatures = 'auto', signal } = given;
    checkInteger('epochs', epochs, 1);
    checkInteger('batchSize', batchSize, 1);
    if (shuffle !== 'balanced') checkBoolean('shuffle', shuffle);
    if (cacheFeatures !== 'auto') checkBoolean('cacheFeatures', cacheFeatures);
    const shape = this.#checkDataset('data', data);
    if (shuffle === 'balanced' && typedArrayKind(data.labels) !== 'Int32Array')
      throw invalidArgument('shuffle', 'true or false where an image may have several labels', shuffle);
    const augmentations = checkTransforms('augment', augment);
    // What the network gets; the original is checked too, since a validation set has it.
    const trained = shapeAfter(shape, augmentations);
    this.#checkTrainable(trained, Math.min(batchSize, data.size));
    if (validation !== undefined) this.#checkDataset('validation', validation);
    return {
      epochs,
      batchSize,
      order: shuffle === 'balanced' ? shuffle : shuffle ? 'shuffled' : 'given',
      // A single image whose last feature map is one pixel gives batch norm nothing to take statistics of.
      smallestBatch: this.#finalPixels(trained) === 1 ? 2 : 1,
      augmentations: toNative(augmentations),
      unfreezing: checkUnfreezing(given.unfreeze, (prefix) => this.#handle.checkPrefix(prefix)),
      featureCacheBytes: cacheFeatures === 'auto' ? AUTO_CACHE_BYTES : cacheFeatures ? Number.MAX_SAFE_INTEGER : 0,
      ...(validation === undefined ? {} : { validation }),
      ...(signal === undefined ? {} : { signal }),
    };
  }

  #checkDataset(name: string, dataset: Dataset): number[] {
    const shape = checkDataset(name, dataset, this.#handle.config.inChannels);
    if (typedArrayKind(dataset.labels) !== 'Int32Array')
      throw invalidArgument(
        `${name}.labels`,
        `an Int32Array of ${dataset.size} class indices, one an image`,
        dataset.labels,
      );
    checkImageLength(this.#handle.config, shape);
    return shape;
  }

  #finalPixels(shape: readonly number[]): number {
    const [, , height = 0, width = 0] = shape;
    const { config } = this.#handle;
    return finalLength(config, height) * finalLength(config, width);
  }

  #checkTrainable(shape: readonly number[], batch: number): void {
    checkImageLength(this.#handle.config, shape);
    if (batch * this.#finalPixels(shape) > 1) return;
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      'a batch of one image leaves one value a channel at the end of the network, of which batch norm can take no ' +
        'statistics. Train with at least 2 images a batch, or with larger images.',
    );
  }

  /** The native trainer, made at the first call that needs it. */
  #attach(): NativeTrainer {
    try {
      this.#native ??= new this.#handle.core.NativeTrainer(this.#handle.native, this.#options);
      return this.#native;
    } catch (error) {
      throw toDenseNetError(error);
    }
  }
}

/** Labels as class indices; whether they are classes of the model is checked natively, for every path alike. */
function checkLabels(labels: unknown, count: number, numClasses: number): Int32Array {
  const tensor = Array.isArray(labels) ? undefined : (labels as Partial<TensorData> | null | undefined);
  const values: unknown = tensor === undefined ? labels : tensor?.data;
  return toIndices(values, labels, count, {
    list: 'an array of class indices, or { data, shape } with an Int32Array, BigInt64Array or Uint8Array',
    label: `a class index, a whole number from 0 to ${numClasses - 1}`,
    accepts: (label) => Math.abs(label) <= 0x7fffffff,
    tensor,
  });
}
