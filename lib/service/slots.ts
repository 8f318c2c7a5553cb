import { deferred, type Deferred } from './deferred';

/** Lets so many at once do something; the others wait for their turn, in the order in which they came. */
export class Slots {
  readonly #most: number;
  readonly #waiting = new Set<Deferred<void>>();
  #taken = 0;

  /** @param most Slots that there are. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Those that wait and those that have a slot. */
  get size(): number {
    return this.#waiting.size + this.#taken;
  }

  /**
   * Takes a slot, as soon as one is free. It has to be given back by {@link Slots.free}.
   *
   * @param signal Ends the waiting; the call then rejects with its reason, and there is no slot to give back.
   */
  async take(signal: AbortSignal | undefined): Promise<void> {
    if (this.#taken < this.#most) {
      this.#taken += 1;
      return;
    }
    const turn = deferred<void>(signal, () => this.#waiting.delete(turn));
    this.#waiting.add(turn);
    await turn.promise;
  }

  /** Gives a slot back: to the next that waits, or to nobody. */
  free(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#taken -= 1;
      return;
    }
    this.#waiting.delete(next);
    next.resolve();
  }
}
