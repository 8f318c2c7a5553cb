import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { cannotRead, DenseNetError } from '../errors';

/** Bytes that a parser reads piece by piece: a file's, or a buffer's. */
export interface ByteSource {
  /** What messages call it: the file's path. */
  readonly name: string;
  /** Bytes in all. */
  readonly size: number;
  /**
   * Exactly these bytes; a range that does not lie within the source is `ERR_FILE_FORMAT`. With a `target` of at least
   * that length they may come in it, which spares a loop over a large file the memory of each piece.
   */
  read(offset: number, length: number, target?: Buffer): Promise<Buffer>;
}

/** The one error for a file that is damaged, or is not what it seems to be. */
export function damaged(source: { readonly name: string }, format: string, fault: string, cause?: unknown) {
  return new DenseNetError(
    'ERR_FILE_FORMAT',
    `${source.name} cannot be read as a ${format} file: ${fault}. Nothing was taken from it; get or save the file anew.`,
    { cause },
  );
}

function checkRange(source: ByteSource, offset: number, length: number): void {
  if (offset >= 0 && length >= 0 && offset + length <= source.size) return;
  throw new DenseNetError(
    'ERR_FILE_FORMAT',
    `${source.name} ends at byte ${source.size}, but something in it points to bytes ${offset} to ${offset + length}; it was cut short or damaged.`,
  );
}

/** A source over bytes that are in memory. */
export function bufferSource(bytes: Buffer, name = 'the buffer'): ByteSource {
  const source: ByteSource = {
    name,
    size: bytes.length,
    // Not an async function: what it throws must reject, not escape, all the same.
    read: (offset, length) =>
      Promise.resolve().then(() => {
        checkRange(source, offset, length);
        return bytes.subarray(offset, offset + length);
      }),
  };
  return source;
}

/**
 * Opens a file as a source for as long as `use` runs.
 *
 * @throws DenseNetError `ERR_FILE` when it cannot be read, and whatever `use` throws.
 */
export async function withFileSource<Result>(
  path: string,
  use: (source: ByteSource) => Promise<Result>,
): Promise<Result> {
  let file: FileHandle;
  try {
    // Without O_NONBLOCK a named pipe would be waited for until somebody writes to it.
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw cannotRead(path, error);
  }
  try {
    const status = await file.stat();
    if (!status.isFile()) throw new DenseNetError('ERR_FILE', `${path} is not a regular file.`);
    return await use(fileSource(path, file, status.size));
  } catch (error) {
    throw error instanceof DenseNetError ? error : cannotRead(path, error);
  } finally {
    await file.close();
  }
}

function fileSource(path: string, file: FileHandle, size: number): ByteSource {
  const source: ByteSource = {
    name: path,
    size,
    read: async (offset, length, target) => {
      checkRange(source, offset, length);
      const bytes = target?.subarray(0, length) ?? Buffer.allocUnsafe(length);
      for (let done = 0; done < length;) {
        const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
        if (bytesRead === 0) throw new DenseNetError('ERR_FILE', `${path} became shorter while it was read.`);
        done += bytesRead;
      }
      return bytes;
    },
  };
  return source;
}
