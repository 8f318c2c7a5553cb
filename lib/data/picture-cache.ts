import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DenseNetError, reasonOf } from '../errors';
import type { SizedForm } from './picture-options';

/** Where decoded pictures are kept, so that later epochs need not decode them. */
export interface PictureCache {
  /** The pixels of a file, decoded where they are not kept yet. */
  get(file: string, decode: () => Promise<Uint8Array>): Promise<Uint8Array>;
}

/** What `cache` may be: in memory, as far as there is some; or files in a folder, which later runs find too. */
export type CacheOption =
  | 'none'
  | 'memory'
  | {
      /** Where the files go; made where it is missing. */
      folder: string;
    };

/** @throws DenseNetError `ERR_FILE` when the folder cannot be made. */
export async function makeCache(option: CacheOption, form: SizedForm): Promise<PictureCache> {
  if (option === 'none') return { get: (_, decode) => decode() };
  if (option === 'memory') return memoryCache();
  try {
    await mkdir(option.folder, { recursive: true });
  } catch (error) {
    const reason = reasonOf(error);
    throw new DenseNetError('ERR_FILE', `cache.folder ${option.folder} cannot be made: ${reason}`, { cause: error });
  }
  return folderCache(option.folder, form);
}

/** The share of the machine's memory that is left to others. */
const LEFT_FREE = 0.1;

function memoryCache(): PictureCache {
  const kept = new Map<string, Uint8Array>();
  return {
    get: async (file, decode) => {
      const found = kept.get(file);
      if (found !== undefined) return found;
      const pixels = await decode();
      if (os.freemem() > os.totalmem() * LEFT_FREE) kept.set(file, pixels);
      return pixels;
    },
  };
}

/**
 * One file a picture, named after the picture's path, size and time of change and the form it was brought to, so that a
 * picture that changes is decoded anew. It ends with the checksum of its pixels. What cannot be written, on
 * a full disk, is not kept.
 */
function folderCache(folder: string, form: SizedForm): PictureCache {
  const length = form.channels * form.size[0] * form.size[1];
  return {
    get: async (file, decode) => {
      const { size, mtimeMs } = await stat(file).catch(() => ({ size: -1, mtimeMs: 0 }));
      const name = createHash('sha256')
        .update(JSON.stringify([path.resolve(file), size, mtimeMs, form]))
        .digest('hex');
      const place = path.join(folder, `${name}.raw`);
      const found = await readKept(place, length);
      if (found !== undefined) return found;
      const pixels = await decode();
      await keep(place, pixels).catch(() => undefined);
      return pixels;
    },
  };
}

const checksum = (pixels: Uint8Array): Buffer => createHash('sha256').update(pixels).digest();

async function readKept(place: string, length: number): Promise<Uint8Array | undefined> {
  const bytes = await readFile(place).catch(() => undefined);
  if (bytes?.length !== length + 32) return undefined;
  const pixels = bytes.subarray(0, length);
  return checksum(pixels).equals(bytes.subarray(length)) ? pixels : undefined;
}

/** Whole or not at all: another run may read it meanwhile. */
async function keep(place: string, pixels: Uint8Array): Promise<void> {
  const beside = `${place}.${randomUUID()}`;
  try {
    await writeFile(beside, Buffer.concat([pixels, checksum(pixels)]));
    await rename(beside, place);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}
