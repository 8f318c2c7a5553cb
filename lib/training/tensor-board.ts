import { mkdir, open, type FileHandle } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileError } from '../errors';
import { checkPath } from '../validate';
import type { TrainingCallback } from './callbacks';
import { restartRecord, scalarRecord, versionRecord } from './event-file';
import type { Metrics, RunPlace } from './events';
import { isRunStart, runStart } from './rewind';

/** Files that this process has begun, so that no two have one name. */
let files = 0;

/**
 * Writes a run for TensorBoard: `tensorboard --logdir FOLDER`. Everything stands at the number of optimizer steps since the
 * run's first: after steps, those that there was time for, `step/loss`, `step/learning_rate` and `step/images_per_second`;
 * after epochs `loss/train`, `top1/train`, the same of the validation data, and `epoch`. After a resume TensorBoard drops
 * what earlier files have of later steps than the checkpoint's.
 *
 * @param folder Where; each run writes a new file there.
 * @returns A callback for `Trainer.fit`. The run rejects with `ERR_FILE` when the file cannot be written.
 */
export function tensorBoard(folder: string): TrainingCallback {
  const target = path.resolve(checkPath('folder', folder));
  let file: FileHandle | undefined;
  let from: RunPlace = runStart;
  /** Steps of an epoch; undefined before the first event. */
  let steps: number | undefined;
  const attempt = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      // A callback that has failed is not called again, so nobody else would close it.
      await file?.close().catch(() => undefined);
      throw fileError(target, error);
    }
  };
  const now = (): number => Date.now() / 1000;
  const write = (epoch: number, step: number, all: number, scalars: Record<string, number>): Promise<void> =>
    attempt(async () => {
      const placeOf = (place: RunPlace): number => (place.epoch - 1) * all + place.step;
      const records = [scalarRecord(now(), placeOf({ epoch, step }), scalars)];
      if (steps === undefined && !isRunStart(from)) records.unshift(restartRecord(now(), placeOf(from) + 1));
      steps = all;
      await file?.appendFile(Buffer.concat(records));
    });
  return {
    onStart: (plan) =>
      attempt(async () => {
        ({ from } = plan);
        steps = undefined;
        await mkdir(target, { recursive: true });
        files += 1;
        const name = `events.out.tfevents.${Math.floor(now())}.${os.hostname()}.${process.pid}.${files}`;
        file = await open(path.join(target, name), 'ax');
        await file.appendFile(versionRecord(now()));
      }),
    onStep: ({ epoch, step, steps: all, loss, learningRate, imagesPerSecond }) =>
      write(epoch, step, all, {
        'step/loss': loss,
        'step/learning_rate': learningRate,
        'step/images_per_second': imagesPerSecond,
      }),
    onEpoch: ({ epoch, train, validation }) => {
      // A run that goes on after the last step of an epoch has taken none yet.
      const all = steps ?? from.step;
      return write(epoch, all, all, {
        ...named('train', train),
        ...(validation === undefined ? {} : named('validation', validation)),
        epoch,
      });
    },
    onEnd: () => attempt(async () => file?.close()),
  };
}

function named(data: string, { loss, top1 }: Metrics): Record<string, number> {
  return { [`loss/${data}`]: loss, [`top1/${data}`]: top1 };
}
