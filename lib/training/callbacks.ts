import { DenseNetError } from '../errors';
import { didYouMean, invalidArgument, show } from '../validate';
import {
  EventBuffer,
  type CheckpointEvent,
  type EarlyStoppingEvent,
  type EpochEvent,
  type History,
  type RunPlace,
  type StepEvent,
  type TrainingEvent,
} from './events';

/** How a run ended: with its history, or with what it rejects with. */
export type RunOutcome =
  | {
      /** What the run resolves to. */
      history: History;
      /** None. */
      error?: undefined;
    }
  | {
      /** None. */
      history?: undefined;
      /** What the run rejects with: a `DenseNetError`, or the reason for which it was ended. */
      error: unknown;
    };

/** What a callback is told before a run begins. */
export interface RunPlan {
  /** Of the whole run. */
  epochs: number;
  /** Images a step. */
  batchSize: number;
  /** Where it begins: epoch 1, step 0; or the place of the checkpoint that it goes on from. */
  from: RunPlace;
}

/**
 * Follows a run from beside it: the training never waits. Events come in order; what a function returns is awaited before
 * this callback's next event, and steps that it had no time for give way to the newest. The run itself resolves or
 * rejects after its callbacks are through, so a callback must not wait for the run.
 *
 * A function that throws ends the run after the step that it is in, and the run rejects with what it threw.
 */
export interface TrainingCallback {
  /** Before anything else, once. */
  onStart?(plan: RunPlan): void | Promise<void>;
  /** After an optimizer step, unless newer ones came meanwhile. */
  onStep?(event: StepEvent): void | Promise<void>;
  /** After each epoch. */
  onEpoch?(event: EpochEvent): void | Promise<void>;
  /** After each checkpoint. */
  onCheckpoint?(event: CheckpointEvent): void | Promise<void>;
  /** At the end of a run with `earlyStopping`. */
  onEarlyStopping?(event: EarlyStoppingEvent): void | Promise<void>;
  /** After everything else, also when the run was ended or failed; not after the callback itself has failed. */
  onEnd?(outcome: RunOutcome): void | Promise<void>;
}

const names = ['onStart', 'onStep', 'onEpoch', 'onCheckpoint', 'onEarlyStopping', 'onEnd'] as const;

/** Checks the `callbacks` option of a run, and returns a copy. */
export function checkCallbacks(value: unknown): TrainingCallback[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalidArgument('callbacks', 'an array of callbacks', value);
  return Array.from(value, (item: unknown, index) => {
    const name = `callbacks[${index}]`;
    if (typeof item !== 'object' || item === null)
      throw invalidArgument(name, 'an object with functions such as onEpoch', item);
    for (const key of Object.keys(item)) {
      if (!/^on[A-Z]/.test(key) || (names as readonly string[]).includes(key)) continue;
      throw new DenseNetError(
        'ERR_INVALID_ARGUMENT',
        `${name} has a function ${show(key)} that nothing calls; those that are called are ${names.join(', ')}.${didYouMean(key, names)}`,
      );
    }
    for (const key of names) {
      const given = (item as Record<string, unknown>)[key];
      if (given !== undefined && typeof given !== 'function')
        throw invalidArgument(`${name}.${key}`, 'a function', given);
    }
    return item;
  });
}

/** Takes one callback through a run. */
class Follower {
  readonly #buffer = new EventBuffer();
  readonly #work: Promise<void>;

  constructor(
    private readonly callback: TrainingCallback,
    plan: RunPlan,
    fail: (error: unknown) => void,
  ) {
    this.#work = this.#follow(plan);
    this.#work.catch(fail);
  }

  push(event: TrainingEvent): void {
    this.#buffer.push(event);
  }

  /** Rejects with what the callback threw. */
  async end(outcome: RunOutcome): Promise<void> {
    this.#buffer.end();
    await this.#work;
    await this.callback.onEnd?.(outcome);
  }

  async #follow(plan: RunPlan): Promise<void> {
    await this.callback.onStart?.(plan);
    for await (const event of this.#buffer) {
      if (event.type === 'step') await this.callback.onStep?.(event);
      else if (event.type === 'epoch') await this.callback.onEpoch?.(event);
      else if (event.type === 'checkpoint') await this.callback.onCheckpoint?.(event);
      else await this.callback.onEarlyStopping?.(event);
    }
  }
}

/**
 * Carries out a run with its callbacks beside it.
 *
 * @param control Ends the run when a callback fails.
 * @param fit Trains, and tells of events.
 */
export async function withCallbacks(
  callbacks: readonly TrainingCallback[],
  plan: RunPlan,
  control: AbortController,
  fit: (emit: (event: TrainingEvent) => void) => Promise<History>,
): Promise<History> {
  const followers = callbacks.map((callback) => new Follower(callback, plan, (error) => control.abort(error)));
  const end = (outcome: RunOutcome) => Promise.allSettled(followers.map((follower) => follower.end(outcome)));
  let outcome: RunOutcome;
  try {
    outcome = { history: await fit((event) => followers.forEach((follower) => follower.push(event))) };
  } catch (error) {
    outcome = { error };
  }
  const failed = (await end(outcome)).find((settled) => settled.status === 'rejected');
  if (outcome.history === undefined) throw outcome.error;
  // What a callback threw is its own affair.
  // eslint-disable-next-line @typescript-eslint/only-throw-error
  if (failed !== undefined) throw failed.reason;
  return outcome.history;
}
