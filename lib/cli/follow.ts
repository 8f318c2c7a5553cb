import type { Dataset } from '../data/dataset';
import type { History, TrainingEvent } from '../training/events';
import type { FitOptions } from '../training/fit-options';
import type { Trainer } from '../training/trainer';
import { TrainingProgress } from './terminal';

/** How a run on the command line ended. */
export interface FollowedRun {
  /** Nothing when it was interrupted. */
  history: History | undefined;
  interrupted: boolean;
}

/**
 * Trains until the end or the first Ctrl-C (or SIGTERM), which ends the run after its step; a second one ends the process
 * at once. Shows how it gets on: a bar or lines, or, with `json`, an event a line.
 */
export async function follow(
  trainer: Trainer,
  data: Dataset,
  options: FitOptions,
  { json, onEvent }: { json: boolean; onEvent?: (event: TrainingEvent) => void },
): Promise<FollowedRun> {
  const stop = new AbortController();
  const interrupt = (): void => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  const progress = json ? undefined : new TrainingProgress(options.epochs);
  try {
    const run = trainer.fit(data, { ...options, signal: stop.signal });
    for await (const event of run) {
      onEvent?.(event);
      if (json) console.log(JSON.stringify(event));
      else if (event.type === 'step') progress?.step(event);
      else if (event.type === 'epoch') progress?.epoch(event);
    }
    return { history: await run, interrupted: false };
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    return { history: undefined, interrupted: true };
  } finally {
    progress?.stop();
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}
