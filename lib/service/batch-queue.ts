import { deferred, type Deferred } from './deferred';

/** What a {@link BatchQueue} does with its items. */
export interface BatchPlan<Item, Result> {
  /** Items of a batch at most. */
  most: number;
  /** Milliseconds that an item waits at most for others to share its batch, while nothing is computed. */
  wait: number;
  /** Only items of one group can share a batch. */
  groupOf(item: Item): string;
  /** Computes a batch: a result for each item, in order. */
  compute(items: Item[]): Promise<Result[]>;
  /** Whether every item would fail like this, alone too. */
  failsAll(error: unknown): boolean;
}

/** An item, whoever waits for its result, and since when (milliseconds of `performance.now`). */
interface Entry<Item, Result> extends Deferred<Result> {
  readonly item: Item;
  readonly since: number;
}

/**
 * Gathers items that come one by one into batches, of which one is computed at a time; what comes meanwhile makes the next.
 * A batch is due when it is full or its oldest item has waited long enough; of several that are due, the oldest goes first.
 */
export class BatchQueue<Item, Result> {
  readonly #plan: BatchPlan<Item, Result>;
  readonly #groups = new Map<string, Set<Entry<Item, Result>>>();
  #wait: number;
  #running = 0;
  #cancelStart = (): void => undefined;

  constructor(plan: BatchPlan<Item, Result>) {
    this.#plan = plan;
    this.#wait = plan.wait;
  }

  /** Items that no batch has taken yet. */
  get waiting(): number {
    let sum = 0;
    for (const { size } of this.#groups.values()) sum += size;
    return sum;
  }

  /** Items of the batch that is being computed. */
  get running(): number {
    return this.#running;
  }

  /**
   * @param signal Not aborted yet. An item that waits leaves the queue, one that is being computed is let go of.
   * @returns What became of the item in its batch.
   */
  add(item: Item, signal: AbortSignal | undefined): Promise<Result> {
    const key = this.#plan.groupOf(item);
    const group = this.#groups.get(key) ?? new Set();
    this.#groups.set(key, group);
    const entry: Entry<Item, Result> = {
      item,
      since: performance.now(),
      ...deferred<Result>(signal, () => {
        this.#take(key, [entry]);
        this.#schedule();
      }),
    };
    group.add(entry);
    this.#schedule();
    return entry.promise;
  }

  /** From now on nothing waits for company. */
  hurry(): void {
    this.#wait = 0;
    this.#schedule();
  }

  /** Rejects all that wait. */
  fail(reason: unknown): void {
    const waiting = [...this.#groups.values()].flatMap((group) => [...group]);
    this.#groups.clear();
    for (const entry of waiting) entry.reject(reason);
    this.#schedule();
  }

  /** Takes entries out of their group; a group without any is forgotten. */
  #take(key: string, entries: Entry<Item, Result>[]): void {
    const group = this.#groups.get(key);
    for (const entry of entries) group?.delete(entry);
    if (group?.size === 0) this.#groups.delete(key);
  }

  /** Starts the next batch when it is due, unless one is being computed: its end comes back here. */
  #schedule(): void {
    this.#cancelStart();
    if (this.#running > 0) return;
    let [next, earliest] = ['', Infinity];
    for (const [key, group] of this.#groups) {
      const [oldest] = group;
      if (oldest === undefined) continue;
      const due = group.size < this.#plan.most ? oldest.since + this.#wait : oldest.since;
      if (due < earliest) [next, earliest] = [key, due];
    }
    if (earliest === Infinity) return;
    const delay = earliest - performance.now();
    // Not at once where it is due: what comes in this turn of the event loop goes with it. A timer would take a millisecond.
    if (delay > 0) {
      const timer = setTimeout(() => this.#start(next), delay);
      this.#cancelStart = () => clearTimeout(timer);
    } else {
      const immediate = setImmediate(() => this.#start(next));
      this.#cancelStart = () => clearImmediate(immediate);
    }
  }

  #start(key: string): void {
    const batch = [...(this.#groups.get(key) ?? [])].slice(0, this.#plan.most);
    this.#take(key, batch);
    this.#running = batch.length;
    void this.#compute(batch).then(() => {
      this.#running = 0;
      this.#schedule();
    });
  }

  /** A batch that fails is halved and tried again, so that what is to blame fails alone; never rejects. */
  async #compute(batch: readonly Entry<Item, Result>[]): Promise<void> {
    try {
      const results = await this.#plan.compute(batch.map(({ item }) => item));
      batch.forEach((entry, index) => entry.resolve(results[index] as Result));
    } catch (error) {
      if (batch.length === 1 || this.#plan.failsAll(error)) {
        for (const entry of batch) entry.reject(error);
        return;
      }
      const middle = Math.ceil(batch.length / 2);
      await this.#compute(batch.slice(0, middle));
      await this.#compute(batch.slice(middle));
    }
  }
}
