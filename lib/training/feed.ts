import type { StreamedDataset } from '../data/dataset';
import { DenseNetError } from '../errors';
import type { NativeDataset, NativeFeedEvent } from '../native';
import { elementCount } from '../tensor';
import { show, typedArrayKind } from '../validate';

/** Reads at once: twice what libuv's pool of four threads works on, so that it never waits for the next. */
const READS_AT_ONCE = 8;

/** Batches that may be ready, or on their way, ahead of the one that is needed. */
const BATCHES_AHEAD = 2;

/**
 * Reads a streamed data set's images in the order that a run asks for, a bounded number ahead of the step that needs
 * them. JavaScript only passes bytes on; decoding happens in the threads of whoever reads.
 */
export class Feed {
  readonly #dataset: StreamedDataset;
  readonly #ahead: number;
  readonly #onFailure: (reason: unknown) => void;
  readonly #kind: string;
  readonly #values: number;
  #native: NativeDataset | undefined;
  #control = new AbortController();
  #pass = 0;
  #order: number[] = [];
  #next = 0;
  #taken = 0;
  #reading = 0;

  /**
   * @param batchSize Images a step.
   * @param onFailure Told once why an image could not be read; the feed then stands still.
   */
  constructor(dataset: StreamedDataset, batchSize: number, onFailure: (reason: unknown) => void) {
    this.#dataset = dataset;
    // One more, since a small rest joins the batch before it.
    this.#ahead = (BATCHES_AHEAD + 1) * batchSize + 1;
    this.#onFailure = onFailure;
    this.#kind = dataset.dtype === 'uint8' ? 'Uint8Array' : 'Float32Array';
    this.#values = elementCount(dataset.imageShape);
  }

  /** What the native side asks for is passed here. */
  readonly listen = (event: NativeFeedEvent): void => {
    if ('order' in event) this.#begin(event.pass, event.order);
    else if (event.pass === this.#pass) this.#taken = event.taken;
    this.#pump();
  };

  /** Where images go from now on. */
  attach(native: NativeDataset): void {
    this.#native = native;
  }

  /** Ends what is being read, and lets go of the native side. */
  close(): void {
    this.#control.abort();
    this.#native?.endFeed();
    this.#native = undefined;
  }

  #begin(pass: number, order: number[]): void {
    this.#control.abort();
    this.#control = new AbortController();
    this.#pass = pass;
    this.#order = order;
    this.#next = 0;
    this.#taken = 0;
  }

  #pump(): void {
    while (
      this.#native !== undefined &&
      this.#reading < READS_AT_ONCE &&
      this.#next < Math.min(this.#order.length, this.#taken + this.#ahead)
    ) {
      void this.#read(this.#pass, this.#next);
      this.#next += 1;
    }
  }

  async #read(pass: number, place: number): Promise<void> {
    const { signal } = this.#control;
    const index = this.#order[place] as number;
    this.#reading += 1;
    try {
      const image = await this.#dataset.read(index, signal);
      if (signal.aborted) return;
      this.#native?.feedImage(pass, place, image === undefined ? undefined : this.#bytesOf(image, index));
    } catch (error) {
      if (signal.aborted || this.#native === undefined) return;
      this.close();
      this.#onFailure(error);
    } finally {
      this.#reading -= 1;
      this.#pump();
    }
  }

  #bytesOf(image: Uint8Array | Float32Array, index: number): Uint8Array {
    if (typedArrayKind(image) !== this.#kind || image.length !== this.#values)
      throw new DenseNetError(
        'ERR_INVALID_ARGUMENT',
        `the data set's read(${index}) must give a ${this.#kind} of ${this.#values} values ` +
          `(${this.#dataset.imageShape.join('×')}), or undefined; got ${show(image)}.`,
      );
    return new Uint8Array(image.buffer, image.byteOffset, image.byteLength);
  }
}
