import path from 'node:path';
import type { Dataset } from '../data/dataset';
import { toDenseNetError } from '../errors';
import type { DenseNet } from '../model/densenet';
import { handleOf, type ModelHandle } from '../model/handle';
import { stagesOf } from '../model/stages';
import { safetensorsPieces } from '../model/weights';
import type { NativeCheckpointPlan, NativeDataset, NativeTrainer, NativeTrainerOptions } from '../native';
import { checkImages } from '../tensor';
import { checkOptions, checkPath, checkSignal, isSignal } from '../validate';
import { configToMetadata } from '../weights/config-metadata';
import { checkLabelKind, checkLabels, type LabelledBatch } from './batch';
import { withCallbacks } from './callbacks';
import { checkpointMetadata } from './checkpoint-metadata';
import type { ResolvedCheckpoint } from './checkpoint-options';
import { evaluate, type EvaluateOptions } from './evaluate';
import type { Evaluation } from './evaluation';
import type { EarlyStoppingEvent, EpochEvent, History, RunPlace, TrainingEvent } from './events';
import { checkFit, type CheckedFit, type FitOptions } from './fit-options';
import { isBinary } from './loss-options';
import { resolveTrainerOptions, type TrainerOptions } from './options';
import { findLearningRate, resolveRateSearch, type RateCurve, type RateSearchOptions } from './rate-finder';
import { resumeFrom, type ResumeReport } from './resume';
import { runStart } from './rewind';
import { Run, type TrainingRun } from './run';
import { runStoppable } from './stoppable';
import { checkLabelled, checkLossWeights, checkTrainable, smallestBatch } from './trainable';

/** The result of {@link Trainer.step}. */
export interface StepResult {
  /** The mean loss of the batch, before the step. */
  loss: number;
  /** Images whose most probable class was the true one; with a binary loss, all of whose labels were decided right. */
  correct: number;
  /** Images in the batch. */
  size: number;
}

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
      device: this.#handle.native.device,
      checkPrefix: (prefix) => this.#handle.checkPrefix(prefix),
    });
  }

  /**
   * One optimizer step on a batch, at the optimizer's own learning rate: a schedule belongs to {@link Trainer.fit}.
   *
   * @param batch Images N×C×H×W, and what each is. Two images at least where one pixel would be left of each.
   */
  async step(batch: LabelledBatch): Promise<StepResult> {
    this.#handle.assertIdle('step');
    const { images, labels } = checkOptions('batch', batch, ['images', 'labels']);
    const { config } = this.#handle;
    const checked = checkImages('images', images, config.inChannels);
    const { shape } = checked;
    checkTrainable(config, shape, shape[0] ?? 0);
    const classes = checkLabels(labels, shape[0] ?? 0, config.numClasses);
    checkLabelKind('labels', this.#options.loss, classes.shape.length === 2);
    checkLossWeights(config, this.#options.loss);
    const trainer = this.#attach();
    const kept = this.#handle.keep(checked);
    const keptClasses = this.#handle.keep(classes);
    return this.#handle.call(() => trainer.step(kept, keptClasses));
  }

  /**
   * Trains on a data set. The run begins at once; bad arguments make it reject. After {@link Trainer.resume} it goes on
   * where the saved run stopped, given the same data and options, and ends where that would have ended.
   *
   * @param data What is trained on.
   * @param options See {@link FitOptions}.
   * @returns The run. It rejects with `ERR_LOCKED` or `ERR_FILE` where checkpoints cannot be written, `ERR_DATASET`
   *   where a picture cannot be read any longer, `ERR_CHECKPOINT_MISMATCH` where it goes on with other data; with the
   *   signal's reason where it was ended; and with what a callback threw.
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
    await this.#handle.call(() => trainer.save(target, checkpointMetadata(this.#handle, this.#options)));
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
   * @param file Where; it appears whole or not at all. A safetensors file.
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
   *
   * @param data Labelled images, for a binary loss with several labels.
   * @param options See {@link EvaluateOptions}.
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
    const { config } = this.#handle;
    const shape = checkLabelled(config, this.#options.loss, 'data', data);
    checkTrainable(config, shape, Math.min(search.batchSize, data.size));
    checkLossWeights(config, this.#options.loss);
    const plan = { ...search, smallestBatch: smallestBatch(config, shape) };
    return findLearningRate(this.#handle, this.#attach(), data, plan, signal);
  }

  async #fit(
    data: Dataset,
    options: FitOptions,
    emit: (event: TrainingEvent) => void,
    control: AbortController,
  ): Promise<History> {
    this.#handle.assertIdle('fit');
    const { signal, callbacks, ...plan } = checkFit(this.#handle, this.#options.loss, data, options);
    checkSignal('signal', signal);
    control.signal.throwIfAborted();
    const { epochs, batchSize } = plan;
    return withCallbacks(callbacks, { epochs, batchSize, from: this.#place }, control, (tell) => {
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
    const from = this.#place;
    // Epochs that a resumed run does not go through again.
    const before = from.epoch - 1;
    let reached = 0;
    let begun = false;
    try {
      const trainer = this.#attach();
      const epochs: EpochEvent[] = [];
      let earlyStopping: EarlyStoppingEvent | undefined;
      let started = 0;
      const listen = (event: TrainingEvent): void => {
        if (event.type === 'epoch') epochs.push(event);
        if (event.type === 'earlyStopping') earlyStopping = event;
        begun = true;
        reached = Math.max(reached, event.epoch, before);
        emit(event);
      };
      const job = (train: NativeDataset, held?: NativeDataset) => {
        started = performance.now();
        const run = trainer.fit(train, held, { ...plan, checkpoint: this.#planCheckpoints(checkpoint) }, listen);
        const result = run.then((completed) => {
          begun = true;
          reached = Math.max(reached, before);
          return completed || undefined;
        });
        return { result, stop: () => trainer.stop() };
      };
      const sets = validation === undefined ? [data] : [data, validation];
      await runStoppable(this.#handle, sets, { batchSize: plan.batchSize, control }, job);
      const seconds = (performance.now() - started) / 1000;
      return { from, epochs, seconds, ...(earlyStopping === undefined ? {} : { earlyStopping }) };
    } catch (error) {
      throw control.signal.aborted && error === control.signal.reason ? error : toDenseNetError(error);
    } finally {
      for (const { epoch, prefix } of plan.unfreezing) if (epoch <= reached) this.#handle.setTrainable(prefix, true);
      if (begun) this.#resumed = undefined;
      this.#handle.run = undefined;
      finish();
    }
  }

  /** Where the next run begins. */
  get #place(): RunPlace {
    const { epoch, step } = this.#resumed ?? runStart;
    return { epoch, step };
  }

  #planCheckpoints(checkpoint: ResolvedCheckpoint | undefined): NativeCheckpointPlan | undefined {
    if (checkpoint === undefined) return undefined;
    const continues = this.#resumed !== undefined && path.dirname(this.#resumed.path) === checkpoint.folder;
    return { ...checkpoint, continues, metadata: checkpointMetadata(this.#handle, this.#options) };
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
