import { DenseNetError, toDenseNetError } from '../errors';
import type { NativeRunOptions } from '../native';
import { loadNative } from '../runtime/load';
import { checkImages, elementCount, type TensorData } from '../tensor';
import { checkInteger, checkOneOf, checkOptions, checkString, didYouMean, invalidArgument, show } from '../validate';
import {
  readWeights,
  writeWeights,
  type LoadReport,
  type LoadWeightsOptions,
  type SaveWeightsOptions,
} from './weights';
import { checkImageLength, configFromFile, configKeys, resolveConfig, type ModelConfig } from './config';
import { attachHandle, ModelHandle } from './handle';
import type { Variant } from './variants';
import { readSafetensors } from '../weights/safetensors';
import { metadataToConfig } from '../weights/config-metadata';

/** Where a model computes. `auto`: CUDA where it works, otherwise the CPU (`runtimeInfo()` says why). */
export type Device = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`;

/** Options of {@link DenseNet.create}: a variant, single fields of the configuration, or both. */
export interface CreateOptions extends Partial<ModelConfig> {
  /** A known configuration, default `densenet121`; single fields given beside it take its place. */
  variant?: Variant;
  /** Default `auto`. */
  device?: Device;
  /**
   * What computes, default `auto`: the engine, which takes a dense block and what follows it as one operator, and module
   * by module what it does not cover. `reference`: everything module by module, as the paper draws it. The numbers are
   * the same up to rounding. Not saved with the model.
   */
  implementation?: 'auto' | 'reference';
  /**
   * What the engine keeps of a training step's forward pass for its backward pass. `fast`: the outputs of the 1×1
   * convolutions too; `efficient`: they are computed again, in about a third of the memory; `auto`, the default: fast
   * where the free memory allows it. Not saved with the model.
   */
  memory?: 'auto' | 'fast' | 'efficient';
  /** Decides the first weights; without it they come from libtorch's own generator (see `manualSeed`). */
  seed?: number;
}

/** A class and how probable it is. */
export interface ClassProbability {
  /** The class's name, or its index as text where the model knows no names. */
  label: string;
  index: number;
  /** From 0 to 1. */
  probability: number;
}

/** What the model says of one image: its most probable class, and the runners-up. */
export interface Prediction extends ClassProbability {
  /** The `topK` most probable classes, best first; the first is the prediction itself. */
  top: ClassProbability[];
}

/**
 * A DenseNet (Huang et al., 2017) on a device.
 *
 * Long calls return promises and never block the event loop. Calls on one model run in the order in which they were
 * made. Images are N×C×H×W: a `Uint8Array` holds raw pixels, scaled to [0, 1] and normalised by the configuration's
 * `normalization`; a `Float32Array` is taken as it is.
 *
 * Every method rejects with a {@link DenseNetError}: `ERR_DISPOSED` after `dispose`, `ERR_INVALID_ARGUMENT` for a bad
 * argument, `ERR_OUT_OF_MEMORY` or `ERR_CUDA_OOM` when memory runs out.
 */
export class DenseNet {
  readonly #handle: ModelHandle;

  /** Use {@link DenseNet.create} or {@link DenseNet.load}. */
  private constructor(handle: ModelHandle) {
    this.#handle = handle;
    attachHandle(this, handle);
  }

  /**
   * Makes a model with fresh weights.
   *
   * @throws DenseNetError `ERR_UNKNOWN_VARIANT`, `ERR_INVALID_ARGUMENT`, `ERR_CUDA_UNAVAILABLE`, or one of those of
   *   `runtimeInfo`.
   */
  static async create(options?: CreateOptions): Promise<DenseNet> {
    const given = checkOptions('options', options, [
      'variant',
      'device',
      'seed',
      'implementation',
      'memory',
      ...configKeys,
    ]);
    const config = resolveConfig(given);
    return DenseNet.#make(config, checkDevice(given.device), given.seed, checkRunOptions(given));
  }

  /**
   * Loads a model from a file that carries its configuration, as {@link DenseNet.saveWeights} writes it.
   *
   * @param path A safetensors file.
   * @param options `device`, `implementation` and `memory`, as for {@link DenseNet.create}.
   * @throws DenseNetError `ERR_FILE`, `ERR_FILE_FORMAT` or `ERR_WEIGHTS_MISMATCH`.
   */
  static async load(
    path: string,
    options?: Pick<CreateOptions, 'device' | 'implementation' | 'memory'>,
  ): Promise<DenseNet> {
    checkString('path', path);
    const given = checkOptions('options', options, ['device', 'implementation', 'memory']);
    const device = checkDevice(given.device);
    const run = checkRunOptions(given);
    const { metadata } = await readSafetensors(path);
    const stored = metadataToConfig(metadata);
    if (stored === undefined)
      throw new DenseNetError(
        'ERR_FILE_FORMAT',
        `${path} holds weights but no configuration. Create the model with DenseNet.create, then call loadWeights.`,
      );
    const model = await DenseNet.#make(configFromFile(path, stored), device, undefined, run);
    try {
      await model.loadWeights(path);
    } catch (error) {
      await model.dispose();
      throw error;
    }
    return model;
  }

  static async #make(
    config: ModelConfig,
    device: Device,
    seed: number | undefined,
    run: NativeRunOptions,
  ): Promise<DenseNet> {
    if (seed !== undefined) checkInteger('seed', seed, 0);
    const native = await loadNative();
    try {
      const model = await native.createModel(config, device, seed, run);
      return new DenseNet(new ModelHandle(native, model, config, await model.describeState()));
    } catch (error) {
      throw toDenseNetError(error);
    }
  }

  /** The configuration, complete. A copy: changing it changes nothing. */
  get config(): ModelConfig {
    return structuredClone(this.#handle.config);
  }

  /** Where the model computes: `cpu`, `cuda:0`, … */
  get device(): string {
    return this.#handle.native.device;
  }

  /** Values in all parameters, those that do not learn included. */
  get parameterCount(): number {
    return this.#handle.parametersBelow('').reduce((sum, { shape }) => sum + elementCount(shape), 0);
  }

  /** Values in the parameters that learn. */
  get trainableParameterCount(): number {
    return this.#handle
      .parametersBelow('')
      .filter(({ name }) => this.#handle.isTrainable(name))
      .reduce((sum, { shape }) => sum + elementCount(shape), 0);
  }

  /** Whether {@link DenseNet.dispose} was called. */
  get disposed(): boolean {
    return this.#handle.disposed;
  }

  /**
   * The logits of images, in evaluation mode.
   *
   * @param input Images N×C×H×W.
   * @returns Float32, N×numClasses.
   * @throws DenseNetError `ERR_INPUT_TOO_SMALL`, `ERR_NON_FINITE_INPUT`.
   */
  async forward(input: TensorData): Promise<TensorData> {
    this.#checkInput('input', input);
    return this.#handle.call((native) => native.forward(input));
  }

  /**
   * What parts of the network give for images, in evaluation mode.
   *
   * @param input Images N×C×H×W.
   * @param options `taps`: names of parts below `features`, default `['norm5']`, the last before the classifier's
   *   ReLU and pooling. Others: `conv0`, `norm0`, `pool0`, `denseblock1`, `transition1`, …
   * @returns Float32, N×channels×height×width, under each name.
   */
  async features(input: TensorData, options?: { taps?: string[] }): Promise<Record<string, TensorData>> {
    this.#checkInput('input', input);
    const { taps = ['norm5'] } = checkOptions('options', options, ['taps']);
    const known = tapNames(this.#handle.config);
    if (!Array.isArray(taps) || taps.length === 0) throw invalidArgument('taps', 'an array of names', taps);
    for (const tap of taps) {
      if (known.includes(tap)) continue;
      const hint = typeof tap === 'string' ? didYouMean(tap, known) : '';
      throw new DenseNetError(
        'ERR_INVALID_ARGUMENT',
        `taps must name parts of the network, ${known.join(', ')}; got ${show(tap)}.${hint}`,
      );
    }
    return Object.fromEntries(await this.#handle.call((native) => native.features(input, taps)));
  }

  /**
   * Classifies images.
   *
   * @param images Images N×C×H×W.
   * @param options `topK`: how many classes each prediction lists, default 5 or all when there are fewer.
   * @returns One prediction an image, in order.
   */
  async predict(images: TensorData, options?: { topK?: number }): Promise<Prediction[]> {
    this.#checkInput('images', images);
    const { numClasses, classes } = this.#handle.config;
    const { topK = Math.min(5, numClasses) } = checkOptions('options', options, ['topK']);
    checkInteger('topK', topK, 1, numClasses);
    const top = await this.#handle.call((native) => native.predict(images, topK));
    return Array.from({ length: top.images }, (_, image) => {
      const ranked = Array.from({ length: topK }, (_, rank): ClassProbability => {
        const index = top.index[image * topK + rank] as number;
        return {
          label: classes?.[index] ?? String(index),
          index,
          probability: top.probability[image * topK + rank] as number,
        };
      });
      return { ...(ranked[0] as ClassProbability), top: ranked };
    });
  }

  /**
   * Takes weights from a file: all of them, or none when the file does not fit.
   *
   * @param path A safetensors file with torchvision's names.
   * @param options `strict`, default true: the file must hold every tensor of the model and no other. Otherwise what
   *   fits by name and shape is taken, and the report says what was left.
   * @throws DenseNetError `ERR_FILE`, `ERR_FILE_FORMAT`, `ERR_WEIGHTS_MISMATCH`, or `ERR_BUSY` while it is trained.
   */
  async loadWeights(path: string, options?: LoadWeightsOptions): Promise<LoadReport> {
    this.#handle.assertIdle('loadWeights');
    return readWeights(this.#handle, path, options);
  }

  /**
   * Writes weights and configuration to a file, which appears whole or not at all.
   *
   * @param path Where; a file that is there is replaced.
   * @param options `format`: `safetensors`, the default and for now the only one.
   * @throws DenseNetError `ERR_FILE`.
   */
  async saveWeights(path: string, options?: SaveWeightsOptions): Promise<void> {
    this.#handle.assertUsable();
    await writeWeights(this.#handle, path, options);
  }

  /** A copy of every parameter and buffer under torchvision's names, in PyTorch's order. */
  async stateDict(): Promise<Map<string, TensorData>> {
    return new Map(await this.#handle.call((native) => native.state()));
  }

  /** A copy of the gradients that the last training step left, under their parameters' names. */
  async gradients(): Promise<Map<string, TensorData>> {
    return new Map(await this.#handle.call((native) => native.gradients()));
  }

  /**
   * Keeps parameters as they are in training.
   *
   * @param prefix The dotted name of a part, such as `features` or `features.denseblock1`; without it, all.
   * @throws DenseNetError `ERR_INVALID_ARGUMENT` when nothing has that name, `ERR_BUSY` while the model is trained.
   */
  freeze(prefix?: string): void {
    this.#setTrainable('freeze', prefix, false);
  }

  /** Lets parameters learn again; the opposite of {@link DenseNet.freeze}. */
  unfreeze(prefix?: string): void {
    this.#setTrainable('unfreeze', prefix, true);
  }

  /**
   * Puts a new classifier with fresh weights in the place of the old one. It learns, whatever was frozen before.
   *
   * @param numClasses At least 1.
   */
  async replaceClassifier(numClasses: number): Promise<void> {
    checkInteger('numClasses', numClasses, 1, 1_000_000);
    this.#handle.assertIdle('replaceClassifier');
    const done = this.#handle.call((native) => native.replaceClassifier(numClasses, undefined));
    this.#handle.setClassifier(numClasses);
    await done;
  }

  /**
   * The bytes that a training step takes at its peak on the CPU, beyond the model at rest: activations, gradients and the
   * momentum of SGD. It is a prediction, within a tenth of what is measured for steps above some 100 MB, and follows the
   * model's `memory` option and what is frozen. `implementation: 'reference'` takes several times as much.
   *
   * @param options `batch`: images a step; `size`: their height and width, or both as [height, width].
   */
  async estimateMemory(options: { batch: number; size: number | [number, number] }): Promise<number> {
    const { batch, size } = checkOptions('options', options, ['batch', 'size']);
    checkInteger('batch', batch, 1, 1_000_000);
    const [height, width] = Array.isArray(size) ? size : [size, size];
    checkInteger('size', height, 1, 65_535);
    checkInteger('size', width, 1, 65_535);
    checkImageLength(this.#handle.config, [batch, this.#handle.config.inChannels, height, width]);
    return this.#handle.call((native) => native.estimateMemory(batch, height, width));
  }

  /**
   * Gives the model's memory back, after the calls that are queued. A training run is ended first, and rejects with
   * `ERR_DISPOSED`. Later calls reject with `ERR_DISPOSED`; calling it twice does nothing.
   */
  async dispose(): Promise<void> {
    if (this.#handle.disposed) return;
    this.#handle.disposed = true;
    const run = this.#handle.run;
    const ended = run?.end(new DenseNetError('ERR_DISPOSED', 'the model was disposed of while it was being trained.'));
    await Promise.all([ended, this.#handle.native.dispose()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #checkInput(name: string, input: TensorData): void {
    this.#handle.assertUsable();
    checkImageLength(this.#handle.config, checkImages(name, input, this.#handle.config.inChannels).shape);
  }

  #setTrainable(call: string, prefix: string | undefined, trainable: boolean): void {
    this.#handle.assertIdle(call);
    const path = prefix === undefined ? '' : checkString('prefix', prefix);
    if (this.#handle.parametersBelow(path).length === 0)
      throw new DenseNetError(
        'ERR_INVALID_ARGUMENT',
        `no parameter is named ${show(path)} or lies below it.${didYouMean(path, partNames(this.#handle))}`,
      );
    this.#handle.setTrainable(path, trainable);
    // Queued behind the calls made before; it can fail only where the whole model has failed.
    void this.#handle.native.setTrainable(path, trainable).catch(() => undefined);
  }
}

function checkDevice(device: unknown): Device {
  if (device === undefined) return 'auto';
  if (typeof device === 'string' && /^(auto|cpu|cuda(:\d{1,2})?)$/.test(device)) return device as Device;
  const hint = typeof device === 'string' ? didYouMean(device, ['auto', 'cpu', 'cuda', 'cuda:0']) : '';
  throw new DenseNetError(
    'ERR_INVALID_ARGUMENT',
    `device must be "auto", "cpu", "cuda" or "cuda:N"; got ${show(device)}.${hint}`,
  );
}

function checkRunOptions({
  implementation = 'auto',
  memory = 'auto',
}: Pick<CreateOptions, 'implementation' | 'memory'>): NativeRunOptions {
  checkOneOf('implementation', implementation, ['auto', 'reference']);
  checkOneOf('memory', memory, ['auto', 'fast', 'efficient']);
  return { implementation, memory };
}

/** The parts of `features` whose output can be had, in the order in which they run. */
function tapNames({ stem, blockConfig }: ModelConfig): string[] {
  const blocks = blockConfig.flatMap((_, index) => [`denseblock${index + 1}`, `transition${index + 1}`]);
  return ['conv0', ...(stem === 'imagenet' ? ['norm0', 'pool0'] : []), ...blocks.slice(0, -1), 'norm5'];
}

/** Every dotted prefix of a parameter's name. */
function partNames(handle: ModelHandle): string[] {
  const names = new Set<string>();
  for (const { name } of handle.parametersBelow('')) {
    const parts = name.split('.');
    for (let length = 1; length <= parts.length; length += 1) names.add(parts.slice(0, length).join('.'));
  }
  return [...names];
}
