import { checkTransforms, shapeAfter, toNative, type Transform } from '../data/transform';
import type { Dataset } from '../data/dataset';
import path from 'node:path';
import { DenseNetError, toDenseNetError } from '../errors';
import { checkImageLength, finalLength } from '../model/config';
import type { DenseNet } from '../model/densenet';
import { handleOf, type ModelHandle } from '../model/handle';
import { stagesOf } from '../model/stages';
import { safetensorsPieces } from '../model/weights';
import type {
  NativeCheckpointPlan,
  NativeDataset,
  NativeFitPlan,
  NativeTrainer,
  NativeTrainerOptions,
} from '../native';
import { checkImages } from '../tensor';
import {
  checkBoolean,
  checkInteger,
  checkOptions,
  checkPath,
  checkSignal,
  invalidArgument,
  isSignal,
  typedArrayKind,
} from '../validate';
import { configToMetadata } from '../weights/config-metadata';
import { checkLabelKind, checkLabels, type LabelledBatch } from './batch';
import { checkpointMetadata } from './checkpoint-metadata';
import { resolveCheckpoint, type CheckpointOptions, type ResolvedCheckpoint } from './checkpoint-options';
import { checkCallbacks, withCallbacks, type TrainingCallback } from './callbacks';
import { checkDataset } from './check-dataset';
import { resolveEarlyStopping, type EarlyStoppingOptions } from './early-stopping';
import { evaluate, type EvaluateOptions } from './evaluate';
import type { Evaluation } from './evaluation';
import type { EarlyStoppingEvent, EpochEvent, History, TrainingEvent } from './events';
import { isBinary } from './loss-options';
import { resolveTrainerOptions, type TrainerOptions } from './options';
import { findLearningRate, resolveRateSearch, type RateCurve, type RateSearchOptions } from './rate-finder';
import { resumeFrom, type ResumeReport } from './resume';
import { Run, type TrainingRun } from './run';
import { checkUnfreezing, type Unfreezing } from './unfreezing';
import { prepareDataset, type PreparedDataset } from './upload';

/** The result of {@link Trainer.step}. */
export interface StepResult {
  /** The mean loss of the batch, before the step. */
  loss: number;
  /** Images whose most probable class was the true one; with a binary loss, all of whose labels were decided right. */
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
  /** Ends the run when it no longer gets better, and brings the best epoch back; default: it goes through. */
  earlyStopping?: EarlyStoppingOptions;
  /** What follows the run from beside it, such as {@link jsonLines} and {@link tensorBoard}; default none. */
  callbacks?: TrainingCallback[];
  /** The checkpoints that the run writes, also when it is ended in the middle; default none. */
  checkpoint?: CheckpointOptions;
  /** Ends the run after the step that it is in; the run rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Checked options of a run, complete. */
interface CheckedFit extends Omit<NativeFitPlan, 'checkpoint'>, Pick<FitOptions, 'validation' | 'signal'> {
  callbacks: TrainingCallback[];
  checkpoint?: ResolvedCheckpoint;
}

/** What `cacheFeatures: 'auto'` keeps at most, bytes. */
const AUTO_CACHE_BYTES = 2e9;

/**
 * Trains one model. The work runs on the model's own native thread.
 *
 * Every call rejects with a {@link DenseNetError}: `ERR_DISPOSED` when the model is, `ERR_BUSY` while a run trains it,
 * `ERR_LABEL_OUT_OF_RANGE`, `ERR_NON_FINITE_INPUT`, `ERR_INPUT_TOO_SMALL`, `ERR_OUT_OF_MEMORY`, `ERR_CUDA_OOM`; and
 * `ERR_NON_FINITE_LOSS` in the very step in which loss or gradients become NaN or infinite, which is not taken.
 */
export class Trainer {
  readonly #handle: ModelHandle;
  readonly #options: NativeTrainerOptions;
  #native: NativeTrainer | undefined;
  /** Where the next run goes on; undefined for a new run. */
  #resumed: ResumeReport | undefined;

  /**
   * @param model What is trained.
   * @param options How. Checked at once.
   * @throws DenseNetError `ERR_INVALID_ARGUMENT` or `ERR_DISPOSED`.
   */
  constructor(model: DenseNet, options: TrainerOptions) {
    this.#handle = handleOf(model);
    this.#handle.assertUsable();
    const { config } = this.#handle;
    this.#options = resolveTrainerOptions(options, {
      stages: stagesOf(config),
      numClasses: config.numClasses,
      checkPrefix: (prefix) => this.#handle.checkPrefix(prefix),
    });
  }

  /** One optimizer step on a batch, at the optimizer's own learning rate: a schedule belongs to {@link Trainer.fit}. */
  async step(batch: LabelledBatch): Promise<StepResult> {
    this.#handle.assertIdle('step');
    const { images, labels } = checkOptions('batch', batch, ['images', 'labels']);
    const { inChannels, numClasses } = this.#handle.config;
    const checked = checkImages('images', images, inChannels);
    const { shape } = checked;
    this.#checkTrainable(shape, shape[0] ?? 0);
    const classes = checkLabels(labels, shape[0] ?? 0, numClasses);
    checkLabelKind('labels', this.#options.loss, classes.shape.length === 2);
    this.#checkWeights();
    const trainer = this.#attach();
    const kept = this.#handle.keep(checked);
    const keptClasses = this.#handle.keep(classes);
    return this.#handle.call(() => trainer.step(kept, keptClasses));
  }

  /**
   * Trains on a data set. The run begins at once; bad arguments make it reject. After {@link Trainer.resume} it goes on
   * where the saved run stopped, given the same data and options, and ends where that would have ended.
   */
  fit(data: Dataset, options: FitOptions): TrainingRun {
    const signal: unknown = (options as FitOptions | undefined)?.signal;
    // A signal that is none makes the run reject, like every other bad argument.
    const work = {
      start: (emit: (event: TrainingEvent) => void, control: AbortController) =>
        this.#fit(data, options, emit, control),
    };
    return new Run(work, isSignal(signal) ? signal : undefined);
  }

  /**
   * Writes everything that decides how training goes on: weights, optimizer, schedule, averages, gradient scale, random
   * generators and the place in the epoch. Also between two steps of a run, and after one that was ended. `DenseNet.load`
   * reads the file too, and takes the model alone.
   *
   * @param file Where; it appears whole and verified, or not at all.
   * @throws DenseNetError `ERR_FILE`.
   */
  async save(file: string): Promise<void> {
    this.#handle.assertUsable();
    const target = path.resolve(checkPath('path', file));
    const trainer = this.#attach();
    await this.#handle.call(() => trainer.save(target, checkpointMetadata(this.#handle.config, this.#options)));
  }

  /**
   * Takes a checkpoint, so that the next `fit` goes on from it.
   *
   * @param place A file that `save` or a run wrote, or a run's `checkpoint.folder`: of that the newest that is whole.
   * @returns Where it goes on, and which damaged checkpoints were passed over.
   * @throws DenseNetError `ERR_FILE`; `ERR_FILE_FORMAT` when it is damaged; `ERR_CHECKPOINT_MISMATCH` when it is of another
   *   model, precision, optimizer or version. Model and trainer are then as they were.
   */
  async resume(place: string): Promise<ResumeReport> {
    this.#handle.assertIdle('resume');
    const from = path.resolve(checkPath('path', place));
    const trainer = this.#attach();
    const report = await this.#handle.callAlone(() => resumeFrom(from, this.#handle, trainer, this.#options));
    this.#resumed = report;
    return report;
  }

  /**
   * Writes the weights that evaluation uses, with the model's configuration: the average of `ema` or `swa` where there
   * is one, and otherwise the model's own. For `DenseNet.load`, `loadWeights` and Python.
   *
   * @throws DenseNetError `ERR_FILE`.
   */
  async saveWeights(file: string): Promise<void> {
    this.#handle.assertUsable();
    const target = path.resolve(checkPath('path', file));
    const trainer = this.#attach();
    await this.#handle.call(() =>
      trainer.saveWeights(target, safetensorsPieces(this.#handle, configToMetadata(this.#handle.config))),
    );
  }

  /** Puts the average of `ema` or `swa` into the model, for good. False when there is none yet. */
  async adoptAverage(): Promise<boolean> {
    this.#handle.assertIdle('adoptAverage');
    const trainer = this.#attach();
    return this.#handle.call(() => trainer.adoptAverage());
  }

  /**
   * Goes once over a data set in evaluation mode, without augmentation; with the averaged weights where the trainer has
   * any (`ema`, or `swa` after the run).
   */
  async evaluate(data: Dataset, options?: EvaluateOptions): Promise<Evaluation> {
    const several = (rows: boolean): boolean => {
      checkLabelKind('data.labels', this.#options.loss, rows);
      return isBinary(this.#options.loss);
    };
    return evaluate(this.#handle, data, options, several, () => this.#attach());
  }

  /**
   * Looks for a learning rate: trains for a few steps at rates that grow, with an optimizer of its own kind, and puts
   * everything back (Smith, "Cyclical Learning Rates for Training Neural Networks", 2017). Model and trainer are as they
   * were, also when it was ended or failed.
   *
   * @param data What `fit` would be given.
   * @param options See {@link RateSearchOptions}.
   * @throws DenseNetError As `fit`; a loss that runs away ends the search and is no error.
   */
  async findLearningRate(data: Dataset, options?: RateSearchOptions): Promise<RateCurve> {
    this.#handle.assertIdle('findLearningRate');
    const { signal, ...search } = resolveRateSearch(options);
    const shape = this.#checkDataset('data', data);
    this.#checkTrainable(shape, Math.min(search.batchSize, data.size));
    this.#checkWeights();
    const smallestBatch = this.#finalPixels(shape) === 1 ? 2 : 1;
    return findLearningRate(this.#handle, this.#attach(), data, { ...search, smallestBatch }, signal);
  }

  async #fit(
    data: Dataset,
    options: FitOptions,
    emit: (event: TrainingEvent) => void,
    control: AbortController,
  ): Promise<History> {
    this.#handle.assertIdle('fit');
    const { signal, callbacks, ...plan } = this.#checkFit(data, options);
    checkSignal('signal', signal);
    control.signal.throwIfAborted();
    return withCallbacks(callbacks, plan, control, (tell) => {
      const tellAll = (event: TrainingEvent): void => {
        emit(event);
        tell(event);
      };
      return this.#train(data, plan, tellAll, control);
    });
  }

  async #train(
    data: Dataset,
    { validation, checkpoint, ...plan }: Omit<CheckedFit, 'signal' | 'callbacks'>,
    emit: (event: TrainingEvent) => void,
    control: AbortController,
  ): Promise<History> {
    this.#handle.assertIdle('fit');
    let finish = (): void => undefined;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    this.#handle.run = {
      end: (reason) => {
        control.abort(reason);
        return finished;
      },
    };
    // Epochs that a resumed run does not go through again.
    const before = (this.#resumed?.epoch ?? 1) - 1;
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
      let earlyStopping: EarlyStoppingEvent | undefined;
      let started = 0;
      const stop = (): void => trainer.stop();
      control.signal.addEventListener('abort', stop, { once: true });
      const completed = await this.#handle
        .callPrepared(
          async () => ({ train: await prepare(data), held: validation && (await prepare(validation)) }),
          (_, { train, held }) => {
            started = performance.now();
            return trainer.fit(train, held, { ...plan, checkpoint: this.#planCheckpoints(checkpoint) }, (event) => {
              if (event.type === 'epoch') epochs.push(event);
              if (event.type === 'earlyStopping') earlyStopping = event;
              reached = Math.max(reached, event.epoch, before);
              emit(event);
            });
          },
        )
        .finally(() => control.signal.removeEventListener('abort', stop));
      reached = Math.max(reached, before);
      if (!completed) control.signal.throwIfAborted();
      const seconds = (performance.now() - started) / 1000;
      return { epochs, seconds, ...(earlyStopping === undefined ? {} : { earlyStopping }) };
    } catch (error) {
      throw control.signal.aborted && error === control.signal.reason ? error : toDenseNetError(error);
    } finally {
      for (const one of prepared) one.close();
      for (const { epoch, prefix } of plan.unfreezing) if (epoch <= reached) this.#handle.setTrainable(prefix, true);
      if (reached > 0) this.#resumed = undefined;
      this.#handle.run = undefined;
      finish();
    }
  }

  #checkFit(data: Dataset, options: FitOptions): CheckedFit {
    const given = checkOptions('options', options, [
      'epochs',
      'batchSize',
      'validation',
      'shuffle',
      'augment',
      'unfreeze',
      'cacheFeatures',
      'earlyStopping',
      'callbacks',
      'checkpoint',
      'signal',
    ]);
    const { epochs, batchSize, validation, shuffle = true, augment, cacheFeatures = 'auto', signal } = given;
    const { checkpoint } = given;
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
    this.#checkWeights();
    return {
      epochs,
      batchSize,
      order: shuffle === 'balanced' ? shuffle : shuffle ? 'shuffled' : 'given',
      // A single image whose last feature map is one pixel gives batch norm nothing to take statistics of.
      smallestBatch: this.#finalPixels(trained) === 1 ? 2 : 1,
      augmentations: toNative(augmentations),
      unfreezing: checkUnfreezing(given.unfreeze, (prefix) => this.#handle.checkPrefix(prefix)),
      earlyStopping: resolveEarlyStopping(given.earlyStopping),
      callbacks: checkCallbacks(given.callbacks),
      featureCacheBytes: cacheFeatures === 'auto' ? AUTO_CACHE_BYTES : cacheFeatures ? Number.MAX_SAFE_INTEGER : 0,
      ...(checkpoint === undefined ? {} : { checkpoint: resolveCheckpoint(checkpoint, validation !== undefined) }),
      ...(validation === undefined ? {} : { validation }),
      ...(signal === undefined ? {} : { signal }),
    };
  }

  #planCheckpoints(checkpoint: ResolvedCheckpoint | undefined): NativeCheckpointPlan | undefined {
    if (checkpoint === undefined) return undefined;
    const continues = this.#resumed !== undefined && path.dirname(this.#resumed.path) === checkpoint.folder;
    return { ...checkpoint, continues, metadata: checkpointMetadata(this.#handle.config, this.#options) };
  }

  #checkDataset(name: string, dataset: Dataset): number[] {
    const { shape, rows } = checkDataset(this.#handle.config, name, dataset);
    checkLabelKind(`${name}.labels`, this.#options.loss, rows);
    return shape;
  }

  /** Weights of classes that the model no longer has would reach past its logits. */
  #checkWeights(): void {
    const { numClasses } = this.#handle.config;
    const { length } = this.#options.loss.weight;
    if (length === 0 || length === numClasses) return;
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `the trainer has weights of ${length} classes, and the model has ${numClasses} since its classifier was replaced. Make a new trainer.`,
    );
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
