import { readFile, stat } from 'node:fs/promises';
import os from 'node:os';
import { promisify } from 'node:util';
import { constants, gunzip } from 'node:zlib';
import { cannotRead, DenseNetError, reasonOf } from '../errors';

const inflate = promisify(gunzip);

/** Compressed bytes that are looked at to learn how long a file says it is. */
const HEAD_BYTES = 4096;

/** gzip makes at most about 1,032 bytes of one. */
const MOST_EXPANSION = 1040;

/** The length of a file in bytes. It must be a regular one: a named pipe would be waited for until somebody writes to it. */
export async function regularLength(file: string): Promise<number> {
  const status = await stat(file).catch((error: unknown) => {
    throw cannotRead(file, error);
  });
  if (!status.isFile()) throw cannotRead(file, new Error('it is not a regular file'));
  return status.size;
}

/** Reads a whole file, of at most as many bytes as are free. */
export async function readWhole(file: string): Promise<Buffer> {
  try {
    checkFree(file, await regularLength(file));
    return await readFile(file);
  } catch (error) {
    throw error instanceof DenseNetError ? error : cannotRead(file, error);
  }
}

function checkFree(file: string, bytes: number): void {
  if (bytes <= os.freemem() * 0.9) return;
  throw new DenseNetError(
    'ERR_OUT_OF_MEMORY',
    `${file} would take ${(bytes / 1e9).toFixed(1)} GB, and ${(os.freemem() / 1e9).toFixed(1)} GB are free.`,
  );
}

/**
 * The bytes of a file that may be gzipped. It is never unpacked beyond what its own header says, so that a small file
 * cannot fill the memory.
 *
 * @param lengthOf The length that the unpacked file must have, from its first bytes; throws where they make no sense.
 */
export async function unpack(file: string, bytes: Buffer, lengthOf: (head: Buffer) => number): Promise<Buffer> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    const head = await inflate(bytes.subarray(0, HEAD_BYTES), {
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: HEAD_BYTES * MOST_EXPANSION,
    });
    const length = lengthOf(head);
    if (length > bytes.length * MOST_EXPANSION) throw new Error(`its header tells of ${length} bytes, which cannot be`);
    checkFree(file, length);
    return await inflate(bytes, { maxOutputLength: length + 1 });
  } catch (error) {
    if (error instanceof DenseNetError) throw error;
    const reason =
      (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
        ? 'it holds more bytes than its header says'
        : reasonOf(error);
    throw new DenseNetError('ERR_FILE_FORMAT', `${file} cannot be unpacked: ${reason}. Get the file anew.`, {
      cause: error,
    });
  }
}
