/** What a pass over labelled images found. */
export interface Metrics {
  /** The mean loss; of an evaluation without label smoothing and weights. */
  loss: number;
  /**
   * Share of images, from 0 to 1, whose most probable class is the true one; with a binary loss, all of whose labels are
   * decided right at 0.5.
   */
  top1: number;
  /** Images. */
  size: number;
}

/**
 * After an optimizer step. Steps of a few milliseconds come several at a time. A listener that is slower than the training
 * gets the newest of these only.
 */
export interface StepEvent {
  /** Which event. */
  type: 'step';
  /** From 1. */
  epoch: number;
  /** From 1, in the epoch. */
  step: number;
  /** Steps of the epoch. */
  steps: number;
  /** Mean of the batch. */
  loss: number;
  /** The rate of this step, of the parameters that are in no group. */
  learningRate: number;
  /** Images trained on a second, since the epoch began, or was gone on with. */
  imagesPerSecond: number;
}

/** After an epoch; never dropped. */
export interface EpochEvent {
  /** Which event. */
  type: 'epoch';
  /** From 1. */
  epoch: number;
  /** Of the batches as they were trained on, each before its own step. */
  train: Metrics;
  /** Of the validation data after the epoch, where there are any. */
  validation?: Metrics;
  /** How long it took, validation included. */
  seconds: number;
}

/** After a checkpoint was written and verified; never dropped. */
export interface CheckpointEvent {
  /** Which event. */
  type: 'checkpoint';
  /** Of the file that was written. */
  path: string;
  /** The last epoch that it has something of, from 1. */
  epoch: number;
  /** Whether this was the best epoch so far, which `best.safetensors` holds too. */
  best: boolean;
}

/** At the end of a run with `earlyStopping`, if any epoch came to a number; never dropped. */
export interface EarlyStoppingEvent {
  /** Which event. */
  type: 'earlyStopping';
  /** The last epoch that was trained, from 1. */
  epoch: number;
  /** The best one. */
  bestEpoch: number;
  /** The best one's loss, or top-1 accuracy. */
  value: number;
  /** Whether the run ended before its last epoch. */
  stopped: boolean;
  /** Whether model and optimizer are as they were after the best epoch. */
  restored: boolean;
}

/** What a run tells of itself, told apart by `type`. */
export type TrainingEvent = StepEvent | EpochEvent | CheckpointEvent | EarlyStoppingEvent;

/** A place in a run. */
export interface RunPlace {
  /** From 1. */
  epoch: number;
  /** Optimizer steps that were taken in that epoch. */
  step: number;
}

/** What a run resolves to. */
export interface History {
  /** Where the run began: epoch 1, step 0; or the place of the checkpoint that it went on from. */
  from: RunPlace;
  /**
   * One entry for each epoch that the run finished, from `from.epoch` on. The training metrics of an epoch that was gone on
   * with are those of all its steps; those of the epochs before are in what callbacks such as `jsonLines` wrote.
   */
  epochs: EpochEvent[];
  /** Of this run; what went before its checkpoint is not in it. */
  seconds: number;
  /** What `earlyStopping` came to, where the run had it. */
  earlyStopping?: EarlyStoppingEvent;
}

/**
 * Events on their way to one listener. Step events that nobody has taken yet give way to newer ones, so that a slow
 * listener costs no memory; one that waits for them gets all that arrive together.
 */
export class EventBuffer implements AsyncIterableIterator<TrainingEvent> {
  private readonly older: TrainingEvent[] = [];
  private newest: TrainingEvent[] = [];
  private readonly waiting: PromiseWithResolvers[] = [];
  private ended = false;
  private failure: { reason: unknown } | undefined;
  private arriving = false;
  /** Whether the listener waited when what is arriving began to. */
  private keepsUp = false;

  push(event: TrainingEvent): void {
    if (this.ended) return;
    if (!this.arriving) this.startArrival();
    const waiter = this.waiting.shift();
    if (waiter !== undefined) {
      waiter.resolve({ value: event, done: false });
      return;
    }
    if (!this.keepsUp && event.type === 'step' && this.newest.at(-1)?.type === 'step') this.newest.pop();
    this.newest.push(event);
  }

  /** What is pushed before JavaScript goes on to anything else arrives together. */
  private startArrival(): void {
    this.arriving = true;
    this.keepsUp = this.waiting.length > 0;
    queueMicrotask(() => (this.arriving = false));
    this.older.push(...this.newest.filter(({ type }) => type !== 'step'));
    this.newest = [];
  }

  /** No event follows. With a failure, the listener gets it after the events that are left. */
  end(failure?: { reason: unknown }): void {
    if (this.ended) return;
    this.ended = true;
    const [first, ...rest] = this.waiting.splice(0);
    if (first !== undefined && failure !== undefined) first.reject(failure.reason);
    else {
      this.failure = failure;
      first?.resolve({ value: undefined, done: true });
    }
    for (const waiter of rest) waiter.resolve({ value: undefined, done: true });
  }

  next(): Promise<IteratorResult<TrainingEvent>> {
    const event = this.older.shift() ?? this.newest.shift();
    if (event !== undefined) return Promise.resolve({ value: event, done: false });
    if (!this.ended) return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
    const failure = this.failure;
    this.failure = undefined;
    // The reason of a run that was aborted is whatever the signal's owner chose.
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
    return failure ? Promise.reject(failure.reason) : Promise.resolve({ value: undefined, done: true });
  }

  /** The listener has left its loop. */
  return(): Promise<IteratorResult<TrainingEvent>> {
    this.older.length = 0;
    this.newest.length = 0;
    this.failure = undefined;
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

interface PromiseWithResolvers {
  resolve(result: IteratorResult<TrainingEvent>): void;
  reject(reason: unknown): void;
}
