import { linkSignal } from '../link-signal';
import { EventBuffer, type History, type TrainingEvent } from './events';

/**
 * A training run: a promise of its history, an async iterable of its events, and a way to end it. Leaving the loop
 * over the events does not end the run.
 */
export interface TrainingRun extends PromiseLike<History>, AsyncIterable<TrainingEvent> {
  /** As a promise's. */
  catch<Result = never>(
    onRejected?: ((reason: unknown) => Result | PromiseLike<Result>) | null,
  ): Promise<History | Result>;
  /** As a promise's. */
  finally(onSettled?: (() => void) | null): Promise<History>;
  /** Ends the run after the step that it is in; it rejects with an `AbortError`. The model stays usable. */
  cancel(): void;
}

/** What a run needs of whoever carries it out. */
export interface RunWork {
  /** Trains, and tells of events; resolves when the run has gone through or was stopped. */
  start(emit: (event: TrainingEvent) => void, control: AbortController): Promise<History>;
}

/** The one implementation of {@link TrainingRun}. */
export class Run implements TrainingRun {
  readonly #control = new AbortController();
  readonly #history: Promise<History>;
  readonly #buffers: EventBuffer[];
  /** Kept from the start, so that the first listener misses nothing. */
  #first: EventBuffer | undefined = new EventBuffer();
  #outcome: { failure?: { reason: unknown } } | undefined;

  constructor(work: RunWork, signal: AbortSignal | undefined) {
    this.#buffers = this.#first ? [this.#first] : [];
    const unlink = linkSignal(this.#control, signal);
    this.#history = this.#carryOut(work).finally(unlink);
  }

  async #carryOut(work: RunWork): Promise<History> {
    try {
      const emit = (event: TrainingEvent): void => this.#buffers.forEach((buffer) => buffer.push(event));
      const history = await work.start(emit, this.#control);
      this.#end({});
      return history;
    } catch (error) {
      this.#end({ failure: { reason: error } });
      throw error;
    }
  }

  #end(outcome: { failure?: { reason: unknown } }): void {
    this.#outcome = outcome;
    for (const buffer of this.#buffers) buffer.end(outcome.failure);
  }

  then<Value = History, Rejected = never>(
    onFulfilled?: ((history: History) => Value | PromiseLike<Value>) | null,
    onRejected?: ((reason: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Value | Rejected> {
    return this.#history.then(onFulfilled, onRejected);
  }

  catch<Result = never>(
    onRejected?: ((reason: unknown) => Result | PromiseLike<Result>) | null,
  ): Promise<History | Result> {
    return this.#history.catch(onRejected);
  }

  finally(onSettled?: (() => void) | null): Promise<History> {
    return this.#history.finally(onSettled);
  }

  cancel(): void {
    this.#control.abort();
  }

  [Symbol.asyncIterator](): AsyncIterator<TrainingEvent> {
    // The loop throws what the run rejects with, so nothing is lost when nobody awaits the run itself.
    this.#history.catch(() => undefined);
    const buffer = this.#first ?? new EventBuffer();
    if (this.#first === undefined) {
      if (this.#outcome === undefined) this.#buffers.push(buffer);
      else buffer.end(this.#outcome.failure);
    }
    this.#first = undefined;
    return buffer;
  }
}
