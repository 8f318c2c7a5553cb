import { readFile } from 'node:fs/promises';
import { fileError } from '../errors';
import { writeWhole } from '../write-whole';
import type { RunPlace } from './events';

/** An object of a log of JSON lines: an event, and whatever else a log may have. */
export type LogRecord = { type?: string; epoch?: number; step?: number } & Record<string, unknown>;

/** The place at which a run begins that goes on from nowhere. */
export const runStart: Readonly<RunPlace> = { epoch: 1, step: 0 };

export function isRunStart({ epoch, step }: RunPlace): boolean {
  return epoch === runStart.epoch && step === runStart.step;
}

/** Whether what an event tells of lies before a place, so that a run that goes on from there does not tell of it again. */
export function isBefore({ type, epoch = 0, step = 0 }: LogRecord, place: RunPlace): boolean {
  return epoch < place.epoch || (type === 'step' && epoch === place.epoch && step <= place.step);
}

/**
 * Drops lines of a log, and the half of one that a process left which was killed. The log is there at every moment; where
 * there is none, none is made.
 *
 * @param keep Chooses from all its lines, in order, those that stay.
 * @throws DenseNetError `ERR_FILE`.
 */
export async function rewindLog(file: string, keep: (records: LogRecord[]) => LogRecord[]): Promise<void> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileError(file, error);
  });
  if (text === undefined) return;
  const kept = keep(text.split('\n').flatMap(parse));
  await writeWhole(file, kept.map((record) => `${JSON.stringify(record)}\n`).join(''));
}

function parse(line: string): LogRecord[] {
  try {
    const record: unknown = JSON.parse(line);
    return typeof record === 'object' && record !== null ? [record as LogRecord] : [];
  } catch {
    return [];
  }
}
