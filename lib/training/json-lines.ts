import { appendFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { checkBoolean, checkOptions, checkPath } from '../validate';
import { fileError, toDenseNetError } from '../errors';
import type { TrainingCallback } from './callbacks';
import type { RunPlace } from './events';
import { isBefore, isRunStart, rewindLog, runStart, type LogRecord } from './rewind';

/**
 * Keeps a run's history as JSON lines, an event a line, each with the `time` at which it was written. A file that is there
 * is gone on with. A resumed run goes on with the lines of the run that it resumes: what that one told of the time after
 * the checkpoint is dropped, so that the file has each epoch once.
 *
 * @param file Where; its folder is made.
 * @param options `steps`: whether steps are kept too, those that there was time for; default false.
 * @returns A callback for `Trainer.fit`. The run rejects with `ERR_FILE` when the file cannot be written.
 */
export function jsonLines(file: string, options?: { steps?: boolean }): TrainingCallback {
  const target = path.resolve(checkPath('file', file));
  const { steps = false } = checkOptions('options', options, ['steps']);
  checkBoolean('steps', steps);
  const attempt = async (work: Promise<unknown>): Promise<void> => {
    try {
      await work;
    } catch (error) {
      throw fileError(target, error);
    }
  };
  const write = (record: object): Promise<void> =>
    attempt(appendFile(target, `${JSON.stringify({ time: new Date().toISOString(), ...record })}\n`));
  return {
    async onStart(plan) {
      await attempt(mkdir(path.dirname(target), { recursive: true }));
      if (!isRunStart(plan.from)) await rewindLog(target, (records) => rewind(records, plan.from));
      await write({ type: 'start', ...plan });
    },
    ...(steps ? { onStep: write } : {}),
    onEpoch: write,
    onCheckpoint: write,
    onEarlyStopping: write,
    onEnd: ({ history, error }) =>
      write(
        history === undefined
          ? { type: 'end', error: toDenseNetError(error).message }
          : { type: 'end', seconds: history.seconds },
      ),
  };
}

/** Of the last run that began anew, what came before a place; all of the runs before that one. */
function rewind(records: LogRecord[], place: RunPlace): LogRecord[] {
  const first = records.findLastIndex(
    ({ type, from }) => type === 'start' && isRunStart((from ?? runStart) as RunPlace),
  );
  return records.filter(
    (record, index) => index <= first || ['start', 'end'].includes(record.type ?? '') || isBefore(record, place),
  );
}
