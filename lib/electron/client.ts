/**
 * The page's side of a bridge: `libtorch-densenet/electron/client`. It imports nothing of Node's and nothing native, so it
 * runs in a renderer and in a sandboxed preload script.
 */
import { DenseNetError } from '../densenet-error';
import type { CreateOptions } from '../model/densenet';
import type { Prediction, PredictOptions } from '../model/prediction';
import type { LoadWeightsOptions, SaveWeightsOptions } from '../model/weights';
import type { TensorData } from '../tensor';
import type { EvaluateOptions } from '../training/evaluate';
import type { Evaluation } from '../training/evaluation';
import { Run, type TrainingRun } from '../training/run';
import type { LoadReport } from '../weights/fit';
import { checkObject, compactData, compactPictures, compactTensor, isSignal } from './arguments';
import { Caller } from './caller';
import type { BridgePort } from './port';
import type { BridgeData, Grant, HostInfo, LoadModelOptions, ModelFacts, TrainOptions } from './protocol';

export { DenseNetError } from '../densenet-error';
export * from './both';
export type { TrainingRun } from '../training/run';

/** What every call takes that can be ended. */
export interface Stoppable {
  /** Ends the call; it rejects with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * A connection to a host. Its calls reject with the {@link DenseNetError}s of the library's own, and with
 *
 * - `ERR_HOST_GONE` when the host's process ends: at once, for every call that waits, and for every later one;
 * - `ERR_NOT_GRANTED` for a grant that the app has not given out, or not for that use;
 * - `ERR_INVALID_ARGUMENT` for what is larger than the host allows, `ERR_BUSY` for more calls at once.
 */
export class DenseNetClient {
  readonly #caller: Caller;

  /** Use {@link connect}. */
  constructor(port: BridgePort) {
    this.#caller = new Caller(port);
  }

  /** Whether the host is there, as far as is known. */
  get connected(): boolean {
    return this.#caller.connected;
  }

  /** Resolves when the host is gone, with the error that calls reject with. */
  get gone(): Promise<DenseNetError> {
    return this.#caller.gone;
  }

  /**
   * Says that the host is gone, where the app knows it before the channel tells.
   *
   * @param why Such as `it ended with code 9`; part of the error's message.
   */
  lost(why = 'the app says so'): void {
    this.#caller.lose(why);
  }

  /** Ends the connection. The host then gives up its models; calls that wait reject with `ERR_DISPOSED`. */
  close(): void {
    this.#caller.close();
  }

  /** Loads libtorch in the host, if that is not done yet, and says what it runs on. */
  info(): Promise<HostInfo> {
    return this.#caller.call('info', {});
  }

  /** As `DenseNet.create`. */
  async createModel(options: CreateOptions = {}): Promise<RemoteModel> {
    return new RemoteModel(this.#caller, await this.#caller.call('createModel', { options }));
  }

  /**
   * As `DenseNet.load`.
   *
   * @param grant For reading a file that `save` wrote.
   */
  async loadModel(grant: Grant, options: LoadModelOptions = {}): Promise<RemoteModel> {
    return new RemoteModel(this.#caller, await this.#caller.call('loadModel', { grant, options }));
  }
}

/**
 * Connects to a host.
 *
 * @param port One end of a channel, such as `overMessagePort(port)`.
 */
export function connect(port: BridgePort): DenseNetClient {
  return new DenseNetClient(port);
}

/** A model that lives in the host. Its calls are those of `DenseNet` and `Trainer`, and reject as {@link DenseNetClient}'s. */
export class RemoteModel {
  readonly #caller: Caller;
  readonly #facts: ModelFacts;
  #disposed = false;

  /** Use {@link DenseNetClient.createModel} or {@link DenseNetClient.loadModel}. */
  constructor(caller: Caller, facts: ModelFacts) {
    this.#caller = caller;
    this.#facts = facts;
  }

  /** The configuration, complete. */
  get config(): ModelFacts['config'] {
    return structuredClone(this.#facts.config);
  }

  /** Where it computes: `cpu`, `cuda:0`, … */
  get device(): string {
    return this.#facts.device;
  }

  get parameterCount(): number {
    return this.#facts.parameterCount;
  }

  get trainableParameterCount(): number {
    return this.#facts.trainableParameterCount;
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
   * As `DenseNet.predict`, also while the model is being trained.
   *
   * @param images Images N×C×H×W as arrays, or encoded pictures (PNG, JPEG, …), each the bytes of a file.
   */
  async predict(images: TensorData | Uint8Array[], options?: PredictOptions & Stoppable): Promise<Prediction[]> {
    const { signal, ...rest } = checkObject('options', options);
    const sent = Array.isArray(images) ? compactPictures(images) : compactTensor(images);
    return this.#caller.call('predict', { model: this.#id(), images: sent, options: rest }, { signal });
  }

  /** As `DenseNet.forward`: the logits, N×numClasses. */
  async forward(input: TensorData, options?: Stoppable): Promise<TensorData> {
    const { signal } = checkObject('options', options);
    return this.#caller.call('forward', { model: this.#id(), input: compactTensor(input) }, { signal });
  }

  /**
   * As `Trainer.fit`: a promise of the run's history, and an async iterable of its events. The host sends an event when
   * this side has taken the one before, so a page that is busy gets the newest step and every epoch.
   */
  train(data: BridgeData, options: TrainOptions): TrainingRun {
    const start: ConstructorParameters<typeof Run>[0]['start'] = async (emit, control) => {
      const { signal, validation, ...rest } = checkObject('options', options);
      if (signal !== undefined && !isSignal(signal))
        throw new DenseNetError('ERR_INVALID_ARGUMENT', 'signal must be an AbortSignal.');
      const held = validation === undefined ? {} : { validation: compactData(validation) };
      const sent = { ...rest, ...held } as Omit<TrainOptions, 'signal'>;
      const args = { model: this.#id(), data: compactData(data), options: sent };
      return this.#caller.call('train', args, { signal: control.signal, onEvent: emit });
    };
    const signal: unknown = (options as TrainOptions | null | undefined)?.signal;
    // A signal that is none makes the run reject, like every other bad argument.
    return new Run({ start }, isSignal(signal) ? signal : undefined);
  }

  /** As `DenseNet.evaluate`. */
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

  /** Gives the model's memory back, and ends a run that trains it. Later calls reject with `ERR_DISPOSED`. */
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
