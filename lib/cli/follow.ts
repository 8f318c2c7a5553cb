import colors from 'picocolors';
import type { Dataset } from '../data/dataset';
import type { History } from '../training/events';
import type { FitOptions } from '../training/fit-options';
import { runStart } from '../training/rewind';
import { tensorBoard } from '../training/tensor-board';
import type { Trainer } from '../training/trainer';
import { checkpointsOf, hasCheckpoints, type RunFolder } from './run-folder';
import { TrainingProgress } from './terminal';

/** How a run on the command line ended. */
export interface FollowedRun {
  /** Nothing when it was interrupted. */
  history: History | undefined;
  interrupted: boolean;
}

/** Where a run is followed to. */
export interface Following {
  /** Gets the log, TensorBoard's files and the checkpoints. */
  folder: RunFolder;
  /** Of a command that trains more than once: which time it is. */
  phase?: string;
  /** Whether the folder's run is gone on with. */
  resume: boolean;
  /** An event a line, in place of a bar or lines. */
  json: boolean;
}

/**
 * Trains until the end or the first Ctrl-C (or SIGTERM), which ends the run after its step; a second one ends the process
 * at once. Shows how it gets on, and keeps it in the run's folder.
 */
export async function follow(
  trainer: Trainer,
  data: Dataset,
  options: FitOptions,
  { folder, phase, resume, json }: Following,
): Promise<FollowedRun> {
  if (resume) await goOn(trainer, options.epochs, { folder, phase, json });
  const stop = new AbortController();
  const interrupt = (signal: NodeJS.Signals): void => {
    if (!stop.signal.aborted) {
      stop.abort();
      return;
    }
    // By the signal itself: `process.exit` would wait for the step that is going on, which may take minutes.
    progress?.stop();
    ignore();
    process.kill(process.pid, signal);
  };
  const ignore = (): void => {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  const progress = json ? undefined : new TrainingProgress(options.epochs);
  try {
    const run = trainer.fit(data, {
      ...options,
      checkpoint: { folder: checkpointsOf(folder.path, phase), best: false },
      callbacks: [tensorBoard(folder.tensorBoard(phase))],
      signal: stop.signal,
    });
    for await (const event of run) {
      const record = phase === undefined ? event : { phase, ...event };
      folder.log(record);
      if (json) console.log(JSON.stringify(record));
      else if (event.type === 'step') progress?.step(event);
      else if (event.type === 'epoch') progress?.epoch(event);
    }
    return { history: await run, interrupted: false };
  } catch (error) {
    // Not whatever fails after a Ctrl-C, such as the last checkpoint on a full disk.
    if (!stop.signal.aborted || error !== stop.signal.reason) throw error;
    return { history: undefined, interrupted: true };
  } finally {
    progress?.stop();
    ignore();
  }
}

/** Takes the newest checkpoint, and drops what the folder tells of the time after it; a phase that has none begins anew. */
async function goOn(
  trainer: Trainer,
  epochs: number,
  { folder, phase, json }: { folder: RunFolder; phase: string | undefined; json: boolean },
): Promise<void> {
  if (!(await hasCheckpoints(folder.path, phase))) return folder.rewind(runStart, phase);
  const { epoch, step, skipped } = await trainer.resume(checkpointsOf(folder.path, phase));
  for (const { reason } of skipped) console.error(colors.yellow(reason));
  if (!json && epoch <= epochs)
    console.log(`Going on in epoch ${epoch}${phase === undefined ? '' : ` (${phase})`}, after ${step} steps of it.\n`);
  await folder.rewind({ epoch, step }, phase);
}
