/**
 * The page's side of a bridge: `libtorch-densenet/electron/client`. It imports nothing of Node's and nothing native, so it
 * runs in a renderer and in a sandboxed preload script.
 *
 * @module libtorch-densenet/electron/client
 */
import { DenseNetError } from '../densenet-error';
import type { ModelConfig } from '../model/config';
import type { CreateOptions } from '../model/densenet';
import type { Prediction, PredictOptions } from '../model/prediction';
import type { LoadWeightsOptions, SaveWeightsOptions } from '../model/weights';
import type { TensorData } from '../tensor';
import type { EvaluateOptions } from '../training/evaluate';
import type { Evaluation } from '../training/evaluation';
import { Run, type TrainingRun } from '../training/run';
import type { LoadReport } from '../weights/fit';
import { checkObject, compactData, compactImages, compactTensor, isSignal } from './arguments';
import { Caller } from './caller';
import type { BridgePort } from './port';
import type { BridgeData, FreezeOptions, Grant, HostInfo, LoadModelOptions, ModelFacts, TrainOptions } from './types';

export { DenseNetError } from '../densenet-error';
export * from './both';
export type { TrainingRun } from '../training/run';

/** Options of a call that can be ended before its answer has come. */
export interface Stoppable {
  /**
   * Ends the call; it rejects with the signal's reason. The host goes through with what it has begun, and drops it; until
   * then the call counts against the host's limits.
   */
  signal?: AbortSignal;
}

/**
 * A connection to a host. Its calls reject with the {@link DenseNetError}s of the library's own, and with
 *
 * - `ERR_HOST_GONE` when the host's process ends: at once, for every call that waits, and for every later one;
 * - `ERR_NOT_GRANTED` for a grant that the app has not given out, or not for that use;
 * - `ERR_INVALID_ARGUMENT` for what cannot be sent, such as a function, or is larger than the host allows; `ERR_BUSY` for
 *   more models, calls or bytes at once than it allows: see `limits` of `serveHost`;
 * - `ERR_INVALID_MESSAGE` for arguments that are not made of plain objects, lists, numbers, texts, booleans and typed arrays
 *   alone, such as a bigint or a Map; that are deeper than 8 levels, or have more than 500,000 values outside typed
 *   arrays, or a text of more than 10,000 characters.
 */
export class DenseNetClient {
  readonly #caller: Caller;

  /** Use {@link connect}. */
  constructor(port: BridgePort) {
    this.#caller = new Caller(port);
  }

  /** Whether the host is there, as far as is known; false too after {@link DenseNetClient.close}. */
  get connected(): boolean {
    return this.#caller.connected;
  }

  /**
   * Resolves when the host is gone, with the error that calls reject with; never after {@link DenseNetClient.close}, since
   * that was the client's own doing.
   */
  get gone(): Promise<DenseNetError> {
    return this.#caller.gone;
  }

  /**
   * Says that the host is gone, where the app knows it before the channel tells. The connection ends with it.
   *
   * @param why Such as `it ended with code 9`; part of the error's message.
   */
  lost(why = 'the app says so'): void {
    this.#caller.lose(why);
  }

  /** Ends the connection: the host disposes of its models, and calls reject with `ERR_DISPOSED`, those that wait too. */
  close(): void {
    this.#caller.close();
  }

  /** As `runtimeInfo`, in the host: loads libtorch there, if that is not done yet, and says what it runs on. */
  info(): Promise<HostInfo> {
    return this.#caller.call('info', {});
  }

  /**
   * As `DenseNet.create`.
   *
   * @param options As there, up to: `growthRate` and `inChannels` 1,024, 16 blocks of 256 layers, `initChannels` 8,192,
   *   `bottleneckSize` 64, 100,000 classes with names of 256 characters, `imageSize` and `resizeSize` 4,096.
   */
  async createModel(options: CreateOptions = {}): Promise<RemoteModel> {
    return new RemoteModel(this.#caller, await this.#caller.call('createModel', { options }));
  }

  /**
   * As `DenseNet.load`.
   *
   * @param grant For reading a file that `save` wrote.
   * @param options `device`, `implementation` and `memory`, as for {@link DenseNetClient.createModel}.
   */
  async loadModel(grant: Grant, options: LoadModelOptions = {}): Promise<RemoteModel> {
    return new RemoteModel(this.#caller, await this.#caller.call('loadModel', { grant, options }));
  }
}

/**
 * Connects to a host. Nothing is sent before the first call.
 *
 * @param port One end of a channel, such as `overMessagePort(port)`.
 * @throws DenseNetError `ERR_INVALID_ARGUMENT`.
 */
export function connect(port: BridgePort): DenseNetClient {
  return new DenseNetClient(port);
}

/** A model that lives in the host. Its calls are those of `DenseNet` and `Trainer`, and reject as {@link DenseNetClient}'s. */
export class RemoteModel {
  readonly #caller: Caller;
  readonly #facts: ModelFacts;
  #trainable: number;
  #disposed = false;

  /**
   * Use {@link DenseNetClient.createModel} or {@link DenseNetClient.loadModel}.
   *
   * @internal
   */
  constructor(caller: Caller, facts: ModelFacts) {
    this.#caller = caller;
    this.#facts = facts;
    this.#trainable = facts.trainableParameterCount;
  }

  /** The configuration, complete. A copy: changing it changes nothing. */
  get config(): ModelConfig {
    return structuredClone(this.#facts.config);
  }

  /** Where it computes: `cpu`, `cuda:0`, … */
  get device(): string {
    return this.#facts.device;
  }

  /** Values in all parameters. */
  get parameterCount(): number {
    return this.#facts.parameterCount;
  }

  /** Values in the parameters that learn, as they were when `freeze`, `unfreeze` or a run had last ended. */
  get trainableParameterCount(): number {
    return this.#trainable;
  }

  /** Whether {@link RemoteModel.dispose} was called. */
  get disposed(): boolean {
    return this.#disposed;
  }

  /**
   * As `DenseNet.loadWeights`.
   *
   * @param grant For reading a file of weights.
   */
  async loadWeights(grant: Grant, options: LoadWeightsOptions = {}): Promise<LoadReport> {
    return this.#caller.call('loadWeights', { model: this.#id(), grant, options });
  }

  /**
   * As `DenseNet.freeze`.
   *
   * @param prefix The dotted name of a part, such as `features`; without it, all.
   */
  async freeze(prefix?: string, options: FreezeOptions = {}): Promise<void> {
    this.#trainable = await this.#caller.call('freeze', { model: this.#id(), prefix, options });
  }

  /**
   * As `DenseNet.unfreeze`.
   *
   * @param prefix The dotted name of a part; without it, all.
   */
  async unfreeze(prefix?: string): Promise<void> {
    this.#trainable = await this.#caller.call('unfreeze', { model: this.#id(), prefix });
  }

  /**
   * As `DenseNet.predict`, also while the model is being trained.
   *
   * @param images Images N×C×H×W as arrays, or 1 to 4,096 encoded pictures (PNG, JPEG, …), each the bytes of a file; one
   *   needs no list.
   * @returns One prediction an image, in order.
   */
  async predict(
    images: TensorData | Uint8Array | Uint8Array[],
    options?: PredictOptions & Stoppable,
  ): Promise<Prediction[]> {
    const { signal, ...rest } = checkObject('options', options);
    const args = { model: this.#id(), images: compactImages(images), options: rest };
    return this.#caller.call('predict', args, { signal });
  }

  /**
   * As `DenseNet.forward`, also while the model is being trained.
   *
   * @param input Images N×C×H×W.
   * @returns The logits, Float32, N×numClasses.
   */
  async forward(input: TensorData, options?: Stoppable): Promise<TensorData> {
    const { signal } = checkObject('options', options);
    return this.#caller.call('forward', { model: this.#id(), input: compactTensor(input) }, { signal });
  }

  /**
   * As `Trainer.fit`: a promise of the run's history, and an async iterable of its events. The host sends an event when
   * this side has taken the one before, so a page that is busy gets the newest step and every epoch. Each run has a trainer
   * of its own: the optimizer and its schedule begin anew.
   *
   * @returns The run. It begins at once; bad arguments make it reject.
   */
  train(data: BridgeData, options: TrainOptions): TrainingRun {
    const start: ConstructorParameters<typeof Run>[0]['start'] = async (emit, control) => {
      const { signal, validation, ...rest } = checkObject('options', options);
      if (signal !== undefined && !isSignal(signal))
        throw new DenseNetError('ERR_INVALID_ARGUMENT', 'signal must be an AbortSignal.');
      const held = validation === undefined ? {} : { validation: compactData(validation) };
      const sent = { ...rest, ...held } as Omit<TrainOptions, 'signal'>;
      const model = this.#id();
      const args = { model, data: compactData(data), options: sent };
      try {
        return await this.#caller.call('train', args, { signal: control.signal, onEvent: emit });
      } finally {
        // A run that was ended has set parts free too. Where nobody answers, the count is of no use.
        if (sent.unfreeze !== undefined)
          this.#trainable = await this.#caller.call('countTrainable', { model }).catch(() => this.#trainable);
      }
    };
    const signal: unknown = (options as TrainOptions | null | undefined)?.signal;
    // A signal that is none makes the run reject, like every other bad argument.
    return new Run({ start }, isSignal(signal) ? signal : undefined);
  }

  /**
   * As `DenseNet.evaluate`.
   *
   * @param options As there, up to: `batchSize` 65,536, `topK` 100,000, `calibrationBins` 1,000.
   */
  async evaluate(data: BridgeData, options?: EvaluateOptions): Promise<Evaluation> {
    const { signal, ...rest } = checkObject('options', options);
    const args = { model: this.#id(), data: compactData(data), options: rest };
    return this.#caller.call('evaluate', args, { signal });
  }

  /**
   * As `DenseNet.saveWeights`.
   *
   * @param grant For writing a file.
   */
  async save(grant: Grant, options: SaveWeightsOptions = {}): Promise<void> {
    await this.#caller.call('save', { model: this.#id(), grant, options });
  }

  /**
   * Gives the model's memory back, and ends a run that trains it. Later calls reject with `ERR_DISPOSED`; calling it twice
   * does nothing.
   */
  async dispose(): Promise<void> {
    if (this.#disposed) return;
    const model = this.#id();
    this.#disposed = true;
    await this.#caller.call('dispose', { model });
  }

  #id(): number {
    if (this.#disposed) throw new DenseNetError('ERR_DISPOSED', 'the model was disposed of. Create or load another.');
    return this.#facts.model;
  }
}
