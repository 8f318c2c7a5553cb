import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { DenseNetError, toDenseNetError } from '../errors';
import type { FrozenPart, ModelHandle } from '../model/handle';
import type { NativeTrainer, NativeTrainerOptions } from '../native';
import { withFileSource } from '../weights/byte-source';
import { readCheckpoint } from '../weights/checkpoint';
import { readStateDict } from '../weights/state-dict';
import type { TensorEntry } from '../weights/tensor-entry';
import { checkIsCheckpoint, checkOwner, frozenIn } from './checkpoint-metadata';

/** Where a trainer goes on. */
export interface ResumeReport {
  /** The checkpoint that was taken. */
  path: string;
  /** The epoch in which `fit` goes on, from 1. */
  epoch: number;
  /** Optimizer steps that were taken in that epoch. */
  step: number;
  /** Newer checkpoints of the folder that were damaged, and how. */
  skipped: {
    /** Of the checkpoint. */
    path: string;
    /** What is wrong with it. */
    reason: string;
  }[];
}

/** A checkpoint's name says its place in the run; the end of an epoch comes after its steps. */
const pattern = /^epoch-(\d{1,15})(?:-step-(\d{1,15}))?\.safetensors$/;

/**
 * Takes a checkpoint into a trainer: the file, or the newest of a folder that is whole.
 *
 * @throws DenseNetError `ERR_FILE`, `ERR_FILE_FORMAT` or `ERR_CHECKPOINT_MISMATCH`; nothing is changed then.
 */
export async function resumeFrom(
  place: string,
  handle: ModelHandle,
  native: NativeTrainer,
  options: NativeTrainerOptions,
): Promise<ResumeReport> {
  const skipped: ResumeReport['skipped'] = [];
  for (const file of await candidates(place)) {
    try {
      const { entries, frozen } = await readEntries(file, handle, options);
      const place = await native.resume(file, entries);
      if (frozen !== undefined) await handle.restoreFrozen(frozen, handle.native);
      return { path: file, ...place, skipped };
    } catch (thrown) {
      const error = toDenseNetError(thrown);
      // A checkpoint of another model is no damage: an older one would be of it too.
      if (file === place || !['ERR_FILE', 'ERR_FILE_FORMAT'].includes(error.code)) throw error;
      skipped.push({ path: file, reason: error.message });
    }
  }
  throw new DenseNetError(
    'ERR_FILE_FORMAT',
    [
      `none of the checkpoints in ${place} can be read:`,
      ...skipped.map(({ reason }) => `  ${reason}`),
      'Nothing was changed.',
    ].join('\n'),
  );
}

/** The file itself, or the checkpoints of a folder, the newest first. */
async function candidates(place: string): Promise<string[]> {
  const isFolder = await stat(place).then(
    (status) => status.isDirectory(),
    () => false,
  );
  if (!isFolder) return [place];
  const names = await readdir(place).catch((error: unknown) => {
    throw toDenseNetError(error, 'ERR_FILE');
  });
  const found = names.flatMap((name) => {
    const match = pattern.exec(name);
    if (match === null) return [];
    return { name, epoch: Number(match[1]), step: match[2] === undefined ? Infinity : Number(match[2]) };
  });
  if (found.length === 0)
    throw new DenseNetError(
      'ERR_FILE',
      `${place} holds no checkpoint of a run (epoch-0001.safetensors, …). Give the folder that fit's checkpoint option named.`,
    );
  return found
    .sort((a, b) => b.epoch - a.epoch || (b.step > a.step ? 1 : -1))
    .map(({ name }) => path.join(place, name));
}

async function readEntries(
  file: string,
  handle: ModelHandle,
  options: NativeTrainerOptions,
): Promise<{ entries: TensorEntry[]; frozen: FrozenPart[] | undefined }> {
  const { metadata, entries } = await withFileSource(file, async (source) => {
    const checkpoint = await readCheckpoint(source);
    checkIsCheckpoint(file, checkpoint.metadata);
    return { metadata: checkpoint.metadata, ...readStateDict(file, checkpoint, { training: true }) };
  });
  // Before anything in it is believed: a damaged one must not seem to be another model's.
  if (!(await handle.core.isVerified(file)))
    throw new DenseNetError(
      'ERR_FILE_FORMAT',
      `${file} is damaged: its contents and its checksum do not agree. Nothing was taken from it; go on from another checkpoint.`,
    );
  checkOwner(file, metadata, handle.config, options);
  return { entries, frozen: frozenIn(file, metadata) };
}
