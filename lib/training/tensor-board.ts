import { mkdir, open, type FileHandle } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { checkPath } from '../validate';
import { fileError, type TrainingCallback } from './callbacks';
import { scalarRecord, versionRecord } from './event-file';
import type { Metrics } from './events';

/** Files that this process has begun, so that no two have one name. */
let files = 0;

/**
 * Writes a run for TensorBoard: `tensorboard --logdir FOLDER`. By step, those that there was time for: `step/loss`,
 * `step/learning_rate` and `step/images_per_second`; by epoch: `loss/train`, `top1/train` and the same of the validation
 * data.
 *
 * @param folder Where; each run writes a new file there.
 * @returns A callback for `Trainer.fit`. The run rejects with `ERR_FILE` when the file cannot be written.
 */
export function tensorBoard(folder: string): TrainingCallback {
  const target = path.resolve(checkPath('folder', folder));
  let file: FileHandle | undefined;
  const attempt = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      throw fileError(target, error);
    }
  };
  const write = (record: Buffer): Promise<void> => attempt(async () => file?.appendFile(record));
  const now = (): number => Date.now() / 1000;
  return {
    onStart: () =>
      attempt(async () => {
        await mkdir(target, { recursive: true });
        files += 1;
        const name = `events.out.tfevents.${Math.floor(now())}.${os.hostname()}.${process.pid}.${files}`;
        file = await open(path.join(target, name), 'ax');
        await file.appendFile(versionRecord(now()));
      }),
    onStep: ({ epoch, step, steps, loss, learningRate, imagesPerSecond }) =>
      write(
        scalarRecord(now(), (epoch - 1) * steps + step, {
          'step/loss': loss,
          'step/learning_rate': learningRate,
          'step/images_per_second': imagesPerSecond,
        }),
      ),
    onEpoch: ({ epoch, train, validation }) =>
      write(
        scalarRecord(now(), epoch, {
          ...named('train', train),
          ...(validation === undefined ? {} : named('validation', validation)),
        }),
      ),
    onEnd: () => attempt(async () => file?.close()),
  };
}

function named(data: string, { loss, top1 }: Metrics): Record<string, number> {
  return { [`loss/${data}`]: loss, [`top1/${data}`]: top1 };
}
