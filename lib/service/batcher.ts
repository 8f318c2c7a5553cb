import { setMaxListeners } from 'node:events';
import { isPictureSource, MOST_PIXELS, readPicture, type PictureSource } from '../data/picture';
import { DenseNetError, isDenseNetError } from '../errors';
import { linkSignal } from '../link-signal';
import { checkImageLength } from '../model/config';
import type { DenseNet } from '../model/densenet';
import { handleOf, type ModelHandle } from '../model/handle';
import { pictureForm, predict, toSources, USUAL_TOP, type Prediction, type PredictInput } from '../model/prediction';
import { checkImages, copyTensor, joinArrays, type TensorData } from '../tensor';
import { checkInteger, checkNumber, checkOptions, checkSignal } from '../validate';
import { BatchQueue } from './batch-queue';
import { deferred } from './deferred';
import { Slots } from './slots';

/** Options of {@link createBatcher}. */
export interface BatcherOptions {
  /** Images that are computed at once at most, default 16. More take more memory. */
  maxBatch?: number;
  /**
   * Milliseconds that an image waits at most for others while the model has nothing to do, default 5. While it computes,
   * images gather anyway. With 0 only those that come within one turn of the event loop share a batch.
   */
  maxWait?: number;
  /**
   * Images that may wait at most, those that are being decoded included and those that are being computed not; default
   * 128. A request that finds no room is refused at once with `ERR_OVERLOADED`. The last in a full queue waits as long as
   * the model takes for so many images: the queue is a promise of how long a caller waits, so keep it short.
   */
  maxQueue?: number;
  /** Pictures that are decoded at once at most, default 4: so many threads libuv has for it unless told otherwise. */
  maxDecodes?: number;
  /** Width × height that a picture may claim at most, default 268,402,689; see `ERR_IMAGE_TOO_LARGE`. */
  limitInputPixels?: number;
}

/** Options of a batcher's `forward`. */
export interface BatcherCallOptions {
  /** Ends the call, which then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Options of a batcher's `predict`. */
export interface BatcherPredictOptions extends BatcherCallOptions {
  /** How many classes each prediction lists, default 5 or all when there are fewer. */
  topK?: number;
}

/** How a batcher is doing. Numbers count images unless they say otherwise, from the batcher's beginning. */
export interface BatcherStatistics {
  /** Now in the queue, those that are being decoded included. */
  waiting: number;
  /** Now being computed. */
  running: number;
  /** Batches that were computed, or tried. */
  batches: number;
  /** Images in them. */
  images: number;
  /** Images a batch, 0 before the first. */
  meanBatch: number;
  /** Requests that were refused with `ERR_OVERLOADED`. */
  refused: number;
}

interface PredictItem {
  /** 1×C×H×W. */
  image: TensorData;
  topK: number | undefined;
}

/**
 * Answers many callers with one model: the images of calls that come at the same time are computed together. `predict`
 * and `forward` take and give what the model's own do, with the same numbers. Each image is on its own: one that cannot be
 * read or computed fails its call and no other.
 *
 * A call ends early by its signal. An image that waits then leaves the queue; a batch that is being computed goes on, and
 * what it says of the image is dropped. A picture that is being decoded keeps its place in the queue until it is decoded,
 * so that callers who come and go cannot pile up work.
 *
 * Every call rejects with `ERR_DISPOSED` once the model is disposed of or the batcher closed.
 */
export class Batcher {
  readonly #handle: ModelHandle;
  readonly #maxQueue: number;
  readonly #limitInputPixels: number;
  readonly #decodes: Slots;
  readonly #predictions: BatchQueue<PredictItem, Prediction>;
  readonly #logits: BatchQueue<TensorData, Float32Array>;
  /** All that is under way, also what nobody waits for any more. */
  readonly #pending = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;
  #batches = 0;
  #images = 0;
  #refused = 0;

  /** Use {@link createBatcher}. */
  constructor(model: DenseNet, options: Required<BatcherOptions>) {
    const { maxBatch, maxWait, maxQueue, maxDecodes, limitInputPixels } = options;
    this.#handle = handleOf(model);
    this.#handle.assertUsable();
    this.#maxQueue = maxQueue;
    this.#limitInputPixels = limitInputPixels;
    this.#decodes = new Slots(maxDecodes);
    // A queue that holds less than a batch would never see a full one.
    const plan = { most: Math.min(maxBatch, maxQueue), wait: maxWait, failsAll };
    this.#predictions = new BatchQueue({
      ...plan,
      groupOf: ({ image }) => groupOf(image),
      compute: (items) => this.#count(items.length, this.#classify(items)),
    });
    this.#logits = new BatchQueue({
      ...plan,
      groupOf,
      compute: (images) => this.#count(images.length, this.#forward(model, images)),
    });
    this.#handle.disposalListeners.add(this.#onDispose);
  }

  /** How it is doing now. */
  get statistics(): BatcherStatistics {
    return {
      waiting: this.#waiting,
      running: this.#predictions.running + this.#logits.running,
      batches: this.#batches,
      images: this.#images,
      meanBatch: this.#batches === 0 ? 0 : this.#images / this.#batches,
      refused: this.#refused,
    };
  }

  /**
   * Classifies images, as `DenseNet.predict` does.
   *
   * @param images Images N×C×H×W as arrays; or a picture, or several, each the path of a file or its encoded bytes. The
   *   bytes must stay as they are until the call has ended; arrays may be used again at once.
   * @param options See {@link BatcherPredictOptions}.
   * @returns One prediction an image, in order.
   * @throws DenseNetError `ERR_OVERLOADED` when the queue is full; `ERR_INVALID_ARGUMENT`, also for more images than the
   *   queue could ever take; `ERR_FILE`, `ERR_FILE_FORMAT` or `ERR_IMAGE_TOO_LARGE` for a picture that cannot be read;
   *   `ERR_INPUT_TOO_SMALL`, `ERR_NON_FINITE_INPUT`, `ERR_DISPOSED`.
   */
  async predict(images: PredictInput, options?: BatcherPredictOptions): Promise<Prediction[]> {
    const { topK, signal } = checkOptions('options', options, ['topK', 'signal']);
    if (topK !== undefined) checkInteger('topK', topK, 1, this.#handle.config.numClasses);
    const sources: readonly (PictureSource | TensorData)[] = toSources(images) ?? this.#imagesOf('images', images);
    return this.#each(sources, signal, (source, ended) => {
      const add = (image: TensorData) => this.#predictions.add({ image, topK }, ended);
      return isPictureSource(source) ? this.#read(source, ended, add) : add(source);
    });
  }

  /**
   * The logits of images, as `DenseNet.forward` gives them.
   *
   * @param input Images N×C×H×W.
   * @param options See {@link BatcherCallOptions}.
   * @returns Float32, N×numClasses.
   * @throws DenseNetError As {@link Batcher.predict}.
   */
  async forward(input: TensorData, options?: BatcherCallOptions): Promise<TensorData> {
    const { signal } = checkOptions('options', options, ['signal']);
    const images = this.#imagesOf('input', input);
    const rows = await this.#each(images, signal, (image, ended) => this.#logits.add(image, ended));
    return { data: joinArrays(rows), shape: [rows.length, (rows[0] as Float32Array).length] };
  }

  /**
   * Takes no more calls and resolves when those that were made have ended; none of them waits for company any longer.
   * The model stays as it is. Calling it twice does nothing.
   */
  close(): Promise<void> {
    this.#closed ??= this.#drain();
    return this.#closed;
  }

  /** {@link Batcher.close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #waiting(): number {
    return this.#decodes.size + this.#predictions.waiting + this.#logits.waiting;
  }

  async #drain(): Promise<void> {
    this.#predictions.hurry();
    this.#logits.hurry();
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending);
    this.#handle.disposalListeners.delete(this.#onDispose);
  }

  readonly #onDispose = (): void => {
    const reason = new DenseNetError('ERR_DISPOSED', 'the model was disposed of while images waited for it.');
    this.#predictions.fail(reason);
    this.#logits.fail(reason);
  };

  /** The images of arrays, each 1×C×H×W, which no later change of the given ones reaches. */
  #imagesOf(name: string, value: unknown): TensorData[] {
    const images = checkImages(name, value, this.#handle.config.inChannels);
    checkImageLength(this.#handle.config, images.shape);
    const { data, shape } = copyTensor(images);
    const [count = 0, ...one] = shape;
    const length = data.length / count;
    return Array.from({ length: count }, (_, index) => ({
      data: data.subarray(index * length, (index + 1) * length),
      shape: [1, ...one],
    }));
  }

  /** What becomes of each of a call's images, in order. The first that fails ends the others. */
  async #each<Source, Result>(
    sources: readonly Source[],
    signal: AbortSignal | undefined,
    start: (source: Source, signal: AbortSignal) => Promise<Result>,
  ): Promise<Result[]> {
    checkSignal('signal', signal)?.throwIfAborted();
    this.#admit(sources.length);
    const control = new AbortController();
    // Many images or calls may listen to one signal, and all let go of it: no leak, of which Node would warn.
    for (const target of [control.signal, signal]) if (target instanceof EventTarget) setMaxListeners(0, target);
    const unlink = linkSignal(control, signal);
    try {
      return await this.#track(Promise.all(sources.map((source) => start(source, control.signal))));
    } catch (error) {
      control.abort(error);
      throw error;
    } finally {
      unlink();
    }
  }

  /** Whether there is room for so many images more. Whoever asks takes it in the same turn, so it is not lost between. */
  #admit(count: number): void {
    this.#handle.assertUsable();
    if (this.#closed !== undefined)
      throw new DenseNetError('ERR_DISPOSED', 'the batcher was closed. Make another by createBatcher.');
    if (count > this.#maxQueue)
      throw new DenseNetError(
        'ERR_INVALID_ARGUMENT',
        `a call with ${count} images can never be taken: maxQueue is ${this.#maxQueue}. ` +
          'Pass fewer, or call the model itself.',
      );
    if (this.#waiting + count <= this.#maxQueue) return;
    this.#refused += 1;
    throw new DenseNetError(
      'ERR_OVERLOADED',
      `${this.#waiting} images wait for the model, and at most ${this.#maxQueue} may (maxQueue). ` +
        'Try again a little later; a server answers 503 meanwhile.',
    );
  }

  /** Decodes a picture in its turn, beside the batches, and passes it on. */
  #read<Result>(
    source: PictureSource,
    signal: AbortSignal,
    add: (image: TensorData) => Promise<Result>,
  ): Promise<Result> {
    // The caller does not wait for a decoder that works in vain, but the slot stays taken until it has ended.
    const answer = deferred<Result>(signal, () => undefined);
    const work = async (): Promise<Result> => {
      await this.#decodes.take(signal);
      let image: TensorData;
      try {
        image = await this.#decode(source, signal);
      } finally {
        this.#decodes.free();
      }
      // Meanwhile the model may be gone, or the caller. All this in the turn in which the slot was freed, so that the queue
      // is never seen with fewer images than there are.
      this.#handle.assertUsable();
      signal.throwIfAborted();
      return add(image);
    };
    void this.#track(work()).then(answer.resolve, answer.reject);
    return answer.promise;
  }

  async #decode(source: PictureSource, signal: AbortSignal): Promise<TensorData> {
    this.#handle.assertUsable();
    signal.throwIfAborted();
    const form = { ...pictureForm(this.#handle.config), limitInputPixels: this.#limitInputPixels };
    const image = await readPicture(source, form);
    checkImageLength(this.#handle.config, image.shape);
    return image;
  }

  async #classify(items: readonly PredictItem[]): Promise<Prediction[]> {
    const images = join(items.map(({ image }) => image));
    // Who said nothing gets what the model gives by itself, which may change before the batch's turn.
    const wanted = items.flatMap(({ topK }) => topK ?? []);
    const most = Math.max(...wanted, Math.min(USUAL_TOP, this.#handle.config.numClasses));
    const predictions = await predict(this.#handle, images, wanted.length === 0 ? {} : { topK: most });
    return predictions.map(({ top, ...best }, index) => ({
      ...best,
      top: top.slice(0, items[index]?.topK ?? USUAL_TOP),
    }));
  }

  async #forward(model: DenseNet, images: readonly TensorData[]): Promise<Float32Array[]> {
    const { data, shape } = await model.forward(join(images));
    const length = shape[1] as number;
    return images.map((_, index) => (data as Float32Array).slice(index * length, (index + 1) * length));
  }

  #count<Result>(images: number, batch: Promise<Result>): Promise<Result> {
    this.#batches += 1;
    this.#images += images;
    return this.#track(batch);
  }

  #track<Result>(work: Promise<Result>): Promise<Result> {
    this.#pending.add(work);
    const forget = (): boolean => this.#pending.delete(work);
    work.then(forget, forget);
    return work;
  }
}

/**
 * Lets many callers share a model, as the requests of a server do: the images of calls that come at the same time are
 * computed in batches, and a queue of limited length says at once when there are too many.
 *
 * ```js
 * const batcher = createBatcher(model, { maxBatch: 16, maxWait: 5, maxQueue: 64 });
 * const [prediction] = await batcher.predict(bytes, { topK: 3, signal });
 * await batcher.close();
 * ```
 *
 * @param model It can still be called by itself; its calls and the batcher's batches run one after another.
 * @param options See {@link BatcherOptions}.
 * @throws DenseNetError `ERR_INVALID_ARGUMENT`, `ERR_DISPOSED`.
 */
export function createBatcher(model: DenseNet, options?: BatcherOptions): Batcher {
  const keys = ['maxBatch', 'maxWait', 'maxQueue', 'maxDecodes', 'limitInputPixels'] as const;
  const {
    maxBatch = 16,
    maxWait = 5,
    maxQueue = 128,
    maxDecodes = 4,
    limitInputPixels = MOST_PIXELS,
  } = checkOptions('options', options, keys);
  return new Batcher(model, {
    maxBatch: checkInteger('maxBatch', maxBatch, 1, 65_536),
    maxWait: checkNumber('maxWait', maxWait, 0, 60_000),
    maxQueue: checkInteger('maxQueue', maxQueue, 1, 1_000_000),
    maxDecodes: checkInteger('maxDecodes', maxDecodes, 1, 1024),
    limitInputPixels: checkInteger('limitInputPixels', limitInputPixels, 1, MOST_PIXELS),
  });
}

/** Images can be computed together that have one shape and kind. */
function groupOf({ data, shape }: TensorData): string {
  return `${data.BYTES_PER_ELEMENT} ${shape.join()}`;
}

/** Images 1×C×H×W of one shape and kind as N×C×H×W. */
function join(images: readonly TensorData[]): TensorData {
  const [first] = images as [TensorData, ...TensorData[]];
  if (images.length === 1) return first;
  const data = joinArrays(images.map((image) => image.data as Uint8Array | Float32Array));
  return { data, shape: [images.length, ...first.shape.slice(1)] };
}

/** What is the model's own fault or fate, and no image's. */
function failsAll(error: unknown): boolean {
  return isDenseNetError(error) && ['ERR_DISPOSED', 'ERR_CUDA_POISONED'].includes(error.code);
}
