import { createWriteStream } from 'node:fs';
import { mkdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import { Transform, Writable, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { crc32 } from 'node:zlib';
import { openPromise, type Entry, type ZipFile } from 'yauzl';
import { DenseNetError, isDenseNetError, reasonOf } from '../../errors';
import { moreRoom } from './bytes';

/** Where an entry goes, relative to the folder that is filled; nothing for what is left out. */
export type Choose = (name: string) => string | undefined;

export interface UnpackOptions {
  signal?: AbortSignal | undefined;
  /** Gets the bytes that were written since its last call. */
  progress?: ((bytes: number) => void) | undefined;
}

/** What the chosen entries of an archive or wheel will take. */
export async function unpackedBytes(file: string, choose: Choose): Promise<number> {
  let bytes = 0;
  await forEachEntry(file, (_, entry) => {
    if (choose(entry.fileName) !== undefined) bytes += entry.uncompressedSize;
    return Promise.resolve();
  });
  return bytes;
}

/**
 * Unpacks the chosen entries of an archive or wheel, and checks each against its checksum.
 *
 * @throws DenseNetError `ERR_FILE_FORMAT` for a file that is damaged or not whole, `ERR_FILE` where the disk is full.
 */
export async function unpack(file: string, folder: string, choose: Choose, options: UnpackOptions = {}): Promise<void> {
  const made = new Set<string>(); // folders; a wheel has thousands of files in few
  await forEachEntry(file, async (zip, entry) => {
    const chosen = choose(entry.fileName);
    options.signal?.throwIfAborted();
    if (chosen === undefined || entry.fileName.endsWith('/')) return;
    const place = path.join(folder, chosen);
    if (!made.has(path.dirname(place))) await mkdir(path.dirname(place), { recursive: true });
    made.add(path.dirname(place));
    const checksum = new Checksum(options.progress);
    const source = await zip.openReadStreamPromise(entry);
    const ending = options.signal === undefined ? {} : { signal: options.signal };
    if (isLink(entry)) {
      const parts: Buffer[] = [];
      await pipeline(source, checksum, collect(parts), ending);
      await link(entry, Buffer.concat(parts).toString(), place);
    } else await pipeline(source, checksum, createWriteStream(place), ending);
    if (checksum.sum !== entry.crc32)
      throw new Error(`its entry ${entry.fileName} does not have the checksum that it gives`);
  }).catch((error: unknown) => {
    options.signal?.throwIfAborted();
    throw error;
  });
}

/** Counts bytes and sums them up on their way. */
class Checksum extends Transform {
  sum = 0;

  constructor(private readonly progress: ((bytes: number) => void) | undefined) {
    super();
  }

  override _transform(chunk: Buffer, _: BufferEncoding, callback: TransformCallback): void {
    this.sum = crc32(chunk, this.sum);
    this.progress?.(chunk.length);
    callback(null, chunk);
  }
}

function collect(parts: Buffer[]): Writable {
  return new Writable({
    write(chunk: Buffer, _, callback) {
      parts.push(chunk);
      callback();
    },
  });
}

async function forEachEntry(file: string, visit: (zip: ZipFile, entry: Entry) => Promise<void>): Promise<void> {
  let zip: ZipFile | undefined;
  try {
    // Names that lead out of the folder are refused by yauzl itself.
    zip = await openPromise(file, { lazyEntries: true, autoClose: false });
    for await (const entry of zip.eachEntry()) await visit(zip, entry);
  } catch (error) {
    throw explain(file, error);
  } finally {
    zip?.close();
  }
}

function explain(file: string, error: unknown): unknown {
  if (isDenseNetError(error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  const reason = reasonOf(error);
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new DenseNetError('ERR_FILE', `the disk is full: ${reason}. ${moreRoom}`, { cause: error });
  if (code !== undefined && code.startsWith('E') && !code.startsWith('ERR_'))
    return new DenseNetError('ERR_FILE', `${file} cannot be unpacked: ${reason}`, { cause: error });
  return new DenseNetError(
    'ERR_FILE_FORMAT',
    `${file} is damaged, not whole (half of a download?) or no ZIP archive: ${reason}. Fetch it again.`,
    { cause: error },
  );
}

/** Unix's file type is in the upper half of the attributes, where the archive was made on Unix. */
function isLink({ versionMadeBy, externalFileAttributes }: Entry): boolean {
  return versionMadeBy >> 8 === 3 && (externalFileAttributes >>> 16) >> 12 === 0o12;
}

async function link({ fileName }: Entry, target: string, place: string): Promise<void> {
  if (path.isAbsolute(target) || target.split(/[/\\]/).includes('..'))
    throw new Error(`its entry ${fileName} is a link that leads out of its folder`);
  await symlink(target, place);
}
