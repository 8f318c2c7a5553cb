import type { Dataset } from '../data/dataset';
import { DenseNetError, toDenseNetError } from '../errors';
import type { NativeRunOptions } from '../native';
import { loadNative } from '../runtime/load';
import { checkImages, elementCount, type TensorData } from '../tensor';
import { evaluate, type EvaluateOptions } from '../training/evaluate';
import type { Evaluation } from '../training/evaluation';
import { checkInteger, checkNames, checkOneOf, checkOptions, checkPath, checkString } from '../validate';
import type { LoadReport } from '../weights/fit';
import { findPretrained, pretrainedKeys, type PretrainedName, type PretrainedOptions } from '../weights/hub';
import { imagenetClasses } from './imagenet';
import {
  parseWeights,
  readWeights,
  takeWeights,
  writeWeights,
  type LoadWeightsOptions,
  type SaveWeightsOptions,
} from './weights';
import { checkImageLength, configKeys, resolveConfig, type ModelConfig } from './config';
import { fill } from './fill';
import { checkOutputStride, checkTaps, featureInfo, type FeatureInfo, type FeatureOptions } from './feature-info';
import { attachHandle, ModelHandle } from './handle';
import { gradCam, type GradCamOptions, type HeatMap } from './grad-cam';
import type { CreateOptions } from './create-options';
import { checkDevice, checkRunOptions, runKeys, type Device } from './run-options';
import { predict, type Prediction, type PredictInput, type PredictOptions } from './prediction';
import { storedConfig } from './stored-config';
import { checkImageSize, summarize, type Summary, type SummaryOptions } from './summary';
import { withFileSource } from '../weights/byte-source';

export type { CreateOptions } from './create-options';

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
    if (!((handle as unknown) instanceof ModelHandle))
      throw new DenseNetError(
        'ERR_INVALID_ARGUMENT',
        'a model is made by DenseNet.create or DenseNet.load, not by `new`.',
      );
    this.#handle = handle;
    attachHandle(this, handle);
  }

  /**
   * Makes a model with fresh weights.
   *
   * @param options See {@link CreateOptions}; without any, DenseNet-121 for 1,000 classes.
   * @throws DenseNetError `ERR_UNKNOWN_VARIANT`, `ERR_INVALID_ARGUMENT`, `ERR_CUDA_UNAVAILABLE`, or one of those of
   *   `runtimeInfo`.
   */
  static async create(options?: CreateOptions): Promise<DenseNet> {
    const given = checkOptions('options', options, ['variant', 'seed', ...runKeys, ...configKeys]);
    const config = resolveConfig(given);
    return DenseNet.#make(config, checkDevice(given.device), given.seed, checkRunOptions(given));
  }

  /**
   * Loads a model from a file that carries its configuration, as {@link DenseNet.saveWeights} writes it. For a file of
   * PyTorch's own, which carries none, use {@link DenseNet.create} and {@link DenseNet.loadWeights}.
   *
   * @param path A file that `saveWeights` wrote, in either format.
   * @param options `device`, `implementation` and `memory`, as for {@link DenseNet.create}.
   * @throws DenseNetError `ERR_FILE`, `ERR_FILE_FORMAT` or `ERR_WEIGHTS_MISMATCH`.
   */
  static async load(path: string, options?: Pick<CreateOptions, (typeof runKeys)[number]>): Promise<DenseNet> {
    checkPath('path', path);
    const given = checkOptions('options', options, runKeys);
    const device = checkDevice(given.device);
    const run = checkRunOptions(given);
    return withFileSource(path, async (source) => {
      const parsed = await parseWeights(source);
      const model = await DenseNet.#make(storedConfig(path, parsed), device, undefined, run);
      return fill(model, () => takeWeights(model.#handle, path, parsed));
    });
  }

  /**
   * A model with torchvision's weights, trained on ImageNet's 1,000 classes; pictures and raw pixels are prepared as
   * torchvision prepares them. The file comes from the cache of torch's hub or this package's own, or is downloaded.
   *
   * @param name `densenet121`, `densenet161`, `densenet169` or `densenet201`.
   * @param options `device`, `implementation` and `memory`, as for {@link DenseNet.create}, and
   *   {@link PretrainedOptions}.
   * @throws DenseNetError `ERR_DOWNLOAD` when the weights cannot be had, `ERR_UNKNOWN_VARIANT`, and those of
   *   {@link DenseNet.create}.
   */
  static async fromPretrained(
    name: PretrainedName,
    options?: PretrainedOptions & Pick<CreateOptions, (typeof runKeys)[number]>,
  ): Promise<DenseNet> {
    const keys = [...runKeys, ...pretrainedKeys] as const;
    const { device, implementation = 'auto', memory = 'auto', ...hub } = checkOptions('options', options, keys);
    const place = checkDevice(device);
    const run = checkRunOptions({ implementation, memory });
    const file = await findPretrained(name, hub);
    const model = await DenseNet.create({
      variant: name,
      device: place,
      ...run,
      initialization: 'torchvision',
      classes: await imagenetClasses(),
    });
    return fill(model, () => model.loadWeights(file));
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
    const images = this.#checkInput('input', input);
    return this.#handle.call((native) => native.forward(images));
  }

  /** The parts whose output {@link DenseNet.features} can give, with their channels and strides, in their order. */
  get featureInfo(): FeatureInfo[] {
    return featureInfo(this.#handle.config);
  }

  /**
   * What parts of the network give for images, in evaluation mode: the network as a backbone.
   *
   * @param input Images N×C×H×W.
   * @param options See {@link FeatureOptions}.
   * @returns Float32, N×channels×height×width, under each name.
   * @throws DenseNetError `ERR_INVALID_ARGUMENT` for a part that there is not, `ERR_INPUT_TOO_SMALL`,
   *   `ERR_NON_FINITE_INPUT`.
   */
  async features(input: TensorData, options?: FeatureOptions): Promise<Record<string, TensorData>> {
    const images = this.#checkInput('input', input);
    const { taps = ['norm5'], outputStride } = checkOptions('options', options, ['taps', 'outputStride']);
    const wanted = checkTaps(this.#handle.config, taps);
    const stride = checkOutputStride(this.#handle.config, outputStride);
    return Object.fromEntries(await this.#handle.call((native) => native.features(images, wanted, stride)));
  }

  /**
   * Classifies images.
   *
   * @param images Images N×C×H×W as arrays; or a picture, or several, each the path of a file or its encoded bytes.
   *   Pictures are brought to the configuration's `imageSize` as `resizeSize` and `interpolation` say.
   * @param options See {@link PredictOptions}.
   * @returns One prediction an image, in order.
   * @throws DenseNetError `ERR_FILE` or `ERR_FILE_FORMAT` for a picture that cannot be read, `ERR_INPUT_TOO_SMALL`,
   *   `ERR_NON_FINITE_INPUT`.
   */
  async predict(images: PredictInput, options?: PredictOptions): Promise<Prediction[]> {
    this.#handle.assertUsable();
    return predict(this.#handle, images, options);
  }

  /**
   * Where in images the network sees a class: Grad-CAM (Selvaraju et al., 2017). Module by module, with gradients: it
   * takes about the time and the memory of a training step.
   *
   * @param images As for {@link DenseNet.predict}; pictures must come to one size.
   * @param options See {@link GradCamOptions}.
   * @returns One map an image, in order.
   * @throws DenseNetError As {@link DenseNet.predict}.
   */
  async gradCam(images: PredictInput, options?: GradCamOptions): Promise<HeatMap[]> {
    this.#handle.assertUsable();
    return gradCam(this.#handle, images, options);
  }

  /**
   * Takes weights from a file: all of them, or none when the file does not fit.
   *
   * @param path A safetensors file, or what `torch.save` wrote of a state dict (`.pth`, `.pt`), also inside a training
   *   program's checkpoint. Names may be torchvision's, old or new, timm's, MONAI's or gpleiss's. Nothing in the file is
   *   ever run.
   * @param options `strict`, default true: the file must hold every tensor of the model and no other. Otherwise what
   *   fits by name and shape is taken, and the report says what was left. `adaptInput`, `adaptClassifier`: see
   *   {@link LoadWeightsOptions}.
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
   * @param options `format`: `safetensors`, the default, or `pth` for `torch.load`.
   * @throws DenseNetError `ERR_FILE`.
   */
  async saveWeights(path: string, options?: SaveWeightsOptions): Promise<void> {
    this.#handle.assertUsable();
    await writeWeights(this.#handle, path, options);
  }

  /**
   * A copy of every parameter and buffer under torchvision's names, in PyTorch's order.
   *
   * @returns Float32, each in its PyTorch shape; `num_batches_tracked` is a `BigInt64Array` of one value, shape [].
   */
  async stateDict(): Promise<Map<string, TensorData>> {
    return new Map(await this.#handle.call((native) => native.state()));
  }

  /**
   * A copy of the gradients that the last training step left, under their parameters' names.
   *
   * @returns Float32, each in its parameter's shape; empty before the first step, and without those that do not learn.
   */
  async gradients(): Promise<Map<string, TensorData>> {
    return new Map(await this.#handle.call((native) => native.gradients()));
  }

  /**
   * Keeps parameters as they are in training.
   *
   * @param prefix The dotted name of a part, such as `features` or `features.denseblock1`; without it, all.
   * @param options `batchNorm`: what frozen batch norms normalise by. `keep`, the default: their running statistics,
   *   as in evaluation, which stay as they are, so that a frozen part is frozen wholly and gives an image the same
   *   features whatever else is in its batch. `adapt`: the batch's own, and the running ones follow, as in PyTorch.
   * @throws DenseNetError `ERR_INVALID_ARGUMENT` when nothing has that name, `ERR_BUSY` while the model is trained.
   */
  freeze(prefix?: string, options?: { batchNorm?: 'keep' | 'adapt' }): void {
    const { batchNorm = 'keep' } = checkOptions('options', options, ['batchNorm']);
    checkOneOf('batchNorm', batchNorm, ['keep', 'adapt']);
    this.#setTrainable('freeze', prefix, false, batchNorm);
  }

  /**
   * Lets parameters learn again; the opposite of {@link DenseNet.freeze}.
   *
   * @param prefix The dotted name of a part; without it, all.
   * @throws DenseNetError `ERR_INVALID_ARGUMENT` when nothing has that name, `ERR_BUSY` while the model is trained.
   */
  unfreeze(prefix?: string): void {
    this.#setTrainable('unfreeze', prefix, true);
  }

  /**
   * Puts a new classifier with fresh weights in the place of the old one. It learns, whatever was frozen before.
   *
   * @param classes The number of classes, at least 1, or their names.
   * @param options `seed` decides the weights; without it they come from libtorch's own generator.
   * @throws DenseNetError `ERR_INVALID_ARGUMENT`, `ERR_BUSY` while the model is trained.
   */
  async replaceClassifier(classes: number | readonly string[], options?: { seed?: number }): Promise<void> {
    const { seed } = checkOptions('options', options, ['seed']);
    if (seed !== undefined) checkInteger('seed', seed, 0);
    const names = typeof classes === 'number' ? null : checkNames('classes', classes);
    const count = checkInteger('classes', names?.length ?? classes, 1, 1_000_000);
    this.#handle.assertIdle('replaceClassifier');
    this.#handle.setTrainable('classifier', true);
    await this.#handle.callAlone(async (native) => {
      await native.replaceClassifier(count, seed);
      this.#handle.setClassifier(count, names);
    });
  }

  /**
   * The bytes that a training step takes at its peak on the CPU, beyond the model at rest: activations, gradients and the
   * momentum of SGD. It is a prediction, within a tenth of what is measured for steps above some 100 MB, and follows the
   * model's `memory` option and what is frozen. With `implementation: 'reference'`, which takes several times as much, it
   * is a bound that was never passed, up to twice of what is measured.
   *
   * @param options `batch`: images a step; `size`: their height and width, or both as [height, width].
   * @throws DenseNetError `ERR_INVALID_ARGUMENT`, `ERR_INPUT_TOO_SMALL`.
   */
  async estimateMemory(options: { batch: number; size: number | [number, number] }): Promise<number> {
    const { batch, size } = checkOptions('options', options, ['batch', 'size']);
    checkInteger('batch', batch, 1, 1_000_000);
    const [height, width] = checkImageSize(this.#handle.config, size);
    return this.#handle.call((native) => native.estimateMemory(batch, height, width));
  }

  /**
   * Goes once over a data set in evaluation mode, without augmentation.
   *
   * @param data Labelled images; where the labels are numbers a class, an image may have several.
   * @param options See {@link EvaluateOptions}.
   * @throws DenseNetError `ERR_BUSY` while the model is trained, `ERR_LABEL_OUT_OF_RANGE`, `ERR_NON_FINITE_INPUT`,
   *   `ERR_INPUT_TOO_SMALL`, `ERR_DISPOSED`; or the signal's reason.
   */
  async evaluate(data: Dataset, options?: EvaluateOptions): Promise<Evaluation> {
    return evaluate(this.#handle, data, options, (rows) => rows);
  }

  /**
   * The network part by part: output shapes, parameters, multiply-adds, what a training step keeps in memory, and what
   * computes it: the engine, or its modules and why. `String(await model.summary())` is a table.
   *
   * @param options See {@link SummaryOptions}.
   * @throws DenseNetError `ERR_INVALID_ARGUMENT`, `ERR_INPUT_TOO_SMALL`.
   */
  async summary(options?: SummaryOptions): Promise<Summary> {
    return summarize(this.#handle, options);
  }

  /**
   * Gives the model's memory back, after the calls that are queued. A training run is ended first, and rejects with
   * `ERR_DISPOSED`. Later calls reject with `ERR_DISPOSED`; calling it twice does nothing.
   */
  async dispose(): Promise<void> {
    if (this.#handle.disposed) return;
    this.#handle.markDisposed();
    const run = this.#handle.run;
    const ended = run?.end(new DenseNetError('ERR_DISPOSED', 'the model was disposed of while it was being trained.'));
    await Promise.all([ended, this.#handle.native.dispose()]);
  }

  /** {@link DenseNet.dispose}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  /** The images, which no later change of `input` reaches. */
  #checkInput(name: string, input: TensorData): TensorData {
    this.#handle.assertUsable();
    const images = checkImages(name, input, this.#handle.config.inChannels);
    checkImageLength(this.#handle.config, images.shape);
    return this.#handle.keep(images);
  }

  #setTrainable(
    call: string,
    prefix: string | undefined,
    trainable: boolean,
    batchNorm: 'keep' | 'adapt' = 'keep',
  ): void {
    this.#handle.assertIdle(call);
    const path = prefix === undefined ? '' : checkString('prefix', prefix);
    this.#handle.checkPrefix(path);
    this.#handle.setTrainable(path, trainable, batchNorm);
    // Queued behind the calls made before; it can fail only where the whole model has failed.
    void this.#handle
      .call((native) => native.setTrainable(path, trainable, batchNorm === 'adapt'))
      .catch(() => undefined);
  }
}
