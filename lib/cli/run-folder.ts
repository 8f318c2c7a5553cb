import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DenseNetError } from '../errors';
import { checkInteger, checkPositive } from '../validate';

/** What decides a run, besides its data and its model. */
export interface RunSettings {
  epochs: number;
  batchSize: number;
  lr: number;
  seed: number;
}

/** Where a run's checkpoints lie. */
export function checkpointsOf(folder: string): string {
  return path.join(folder, 'checkpoints');
}

const settingsOf = (folder: string): string => path.join(folder, 'run.json');

/** Writes down what a new run is made with. A folder with the checkpoints of another is refused. */
export async function beginRun(folder: string, { epochs, batchSize, lr, seed }: RunSettings): Promise<void> {
  const left = await readdir(checkpointsOf(folder)).catch(() => []);
  if (left.some((name) => name.endsWith('.safetensors')))
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `${folder} holds a run that was interrupted. Go on with it by --resume ${folder}, choose another --out, or remove ${checkpointsOf(folder)}.`,
    );
  await writeFile(settingsOf(folder), `${JSON.stringify({ epochs, batchSize, lr, seed }, undefined, 2)}\n`);
}

/** What a run was begun with. */
export async function readRun(folder: string): Promise<RunSettings> {
  const file = settingsOf(folder);
  try {
    const { epochs, batchSize, lr, seed } = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    return {
      epochs: checkInteger('epochs', epochs, 1),
      batchSize: checkInteger('batchSize', batchSize, 2),
      lr: checkPositive('lr', lr),
      seed: checkInteger('seed', seed, 0),
    };
  } catch (error) {
    throw new DenseNetError(
      'ERR_FILE',
      `${file} does not say what run this is: ${error instanceof Error ? error.message : String(error)} --resume takes the folder that was the --out of an interrupted run.`,
      { cause: error },
    );
  }
}
