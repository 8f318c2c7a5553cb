import { appendFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { checkBoolean, checkOptions, checkPath } from '../validate';
import { toDenseNetError } from '../errors';
import { fileError, type TrainingCallback } from './callbacks';

/**
 * Keeps a run's history as JSON lines, an event a line, each with the `time` at which it was written. A file that is there
 * is gone on with, so that a resumed run has one history.
 *
 * @param file Where; its folder is made.
 * @param options `steps`: whether steps are kept too, those that there was time for; default false.
 * @returns A callback for `Trainer.fit`. The run rejects with `ERR_FILE` when the file cannot be written.
 */
export function jsonLines(file: string, options?: { steps?: boolean }): TrainingCallback {
  const target = path.resolve(checkPath('file', file));
  const { steps = false } = checkOptions('options', options, ['steps']);
  checkBoolean('steps', steps);
  const write = async (record: object): Promise<void> => {
    try {
      await appendFile(target, `${JSON.stringify({ time: new Date().toISOString(), ...record })}\n`);
    } catch (error) {
      throw fileError(target, error);
    }
  };
  return {
    async onStart(plan) {
      await mkdir(path.dirname(target), { recursive: true }).catch((error: unknown) => {
        throw fileError(target, error);
      });
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
