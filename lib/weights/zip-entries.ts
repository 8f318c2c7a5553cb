import { crc32 } from 'node:zlib';
import { fromRandomAccessReader, RandomAccessReader, validateFileName, type Entry, type ZipFile } from 'yauzl';
import { DenseNetError, reasonOf } from '../errors';
import type { ByteSource } from './byte-source';
import { show } from '../validate';

/**
 * The entries of a ZIP archive, checked as strictly as a file of stored tensors allows. yauzl finds and reads the central
 * directory, ZIP64 included; whatever two readers could understand differently is refused here.
 */

/** Entries that an archive may have. */
export const MOST_ENTRIES = 10_000;

/** An entry's bytes as they lie in the file: entries are stored, never compressed. */
export interface ZipRecord {
  name: string;
  /** Of its first byte, from the start of the file. */
  offset: number;
  bytes: number;
  crc32: number;
}

/** A fault of an archive; the reader of the format around it adds the file's name. */
export class ZipError extends Error {}

/** Local headers that are read at once. */
const READ_AT_ONCE = 32;

/** Bit 3: checksum and lengths follow the bytes (torch writes so). Bit 11: the name is UTF-8. */
const DESCRIPTOR = 0x0008;
const ALLOWED_FLAGS = DESCRIPTOR | 0x0800;

const LOCAL_HEADER_BYTES = 30;
const IN_ZIP64 = 0xffffffff;

/**
 * Reads an archive's entries.
 *
 * @throws ZipError when anything about it is wrong or could be read in two ways.
 */
export async function readZipEntries(source: ByteSource): Promise<Map<string, ZipRecord>> {
  const { entries, start, end } = await readCentralDirectory(source);
  await checkEnd(source, end);
  const records = new Map<string, ZipRecord>();
  const spans: { from: number; to: number; name: string }[] = [];
  for (let first = 0; first < entries.length; first += READ_AT_ONCE) {
    const group = entries.slice(first, first + READ_AT_ONCE);
    const located = await Promise.all(group.map((entry) => locate(source, entry)));
    for (const { record, to, from } of located) {
      if (records.has(record.name)) throw new ZipError(`it has the entry ${show(record.name)} twice`);
      records.set(record.name, record);
      spans.push({ from, to, name: record.name });
    }
  }
  checkSpans(spans, start);
  return records;
}

/** An entry's bytes, its checksum checked. */
export async function readRecord(source: ByteSource, record: ZipRecord, limit: number): Promise<Buffer> {
  if (record.bytes > limit)
    throw new ZipError(`its entry ${show(record.name)} has ${record.bytes} bytes, and the limit is ${limit}`);
  const bytes = await source.read(record.offset, record.bytes);
  if (crc32(bytes) !== record.crc32) throw wrongChecksum(record);
  return bytes;
}

/** Checks an entry's checksum without holding its bytes. */
export async function checkRecord(source: ByteSource, record: ZipRecord): Promise<void> {
  // A piece takes about a millisecond, so that the event loop goes on between two.
  const piece = Buffer.allocUnsafe(Math.min(1024 * 1024, record.bytes));
  let sum = 0;
  for (let done = 0; done < record.bytes; done += piece.length)
    sum = crc32(await source.read(record.offset + done, Math.min(piece.length, record.bytes - done), piece), sum);
  if (sum !== record.crc32) throw wrongChecksum(record);
}

function wrongChecksum({ name }: ZipRecord): ZipError {
  return new ZipError(`its entry ${show(name)} is damaged: its bytes do not have the checksum that it gives`);
}

interface CentralDirectory {
  entries: Entry[];
  /** Of the central directory, from the start of the file. */
  start: number;
  end: number;
}

function readCentralDirectory(source: ByteSource): Promise<CentralDirectory> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      if (error instanceof DenseNetError || error instanceof ZipError) reject(error);
      else reject(new ZipError(reasonOf(error)));
    };
    const reader = new SourceReader(source, fail);
    fromRandomAccessReader(
      reader,
      source.size,
      { autoClose: false, lazyEntries: true, decodeStrings: false },
      (error, zip) => {
        if (error !== null || zip.entryCount > MOST_ENTRIES) {
          fail(error ?? new ZipError(`it has ${zip.entryCount} entries, and the limit is ${MOST_ENTRIES}`));
          return;
        }
        const start = cursorOf(zip);
        const entries: Entry[] = [];
        zip.on('error', fail);
        zip.on('entry', (entry: Entry) => {
          entries.push(entry);
          zip.readEntry();
        });
        zip.on('end', () => resolve({ entries, start, end: cursorOf(zip) }));
        zip.readEntry();
      },
    );
  });
}

/** Where yauzl reads next in the central directory; its types call this number a boolean. */
function cursorOf(zip: ZipFile): number {
  return zip.readEntryCursor as unknown as number;
}

/** Lets yauzl read from a source, some kilobytes at a time: a central directory is many small pieces in a row. */
class SourceReader extends RandomAccessReader {
  private cached: { offset: number; bytes: Buffer } = { offset: 0, bytes: Buffer.alloc(0) };

  constructor(
    private readonly source: ByteSource,
    private readonly fail: (error: unknown) => void,
  ) {
    super();
  }

  override read(
    target: Buffer,
    offset: number,
    length: number,
    position: number,
    done: (error: Error | null, count?: number) => void,
  ): void {
    // What the callback throws has nobody above it; it must reach the promise.
    this.fill(position, length)
      .then((bytes) => {
        bytes.copy(target, offset);
        done(null, length);
      })
      .catch(this.fail);
  }

  private async fill(position: number, length: number): Promise<Buffer> {
    if (!Number.isSafeInteger(position) || position + length > this.source.size)
      throw new ZipError(`its directory points to byte ${position}, and the file has ${this.source.size}`);
    const { offset, bytes } = this.cached;
    if (position < offset || position + length > offset + bytes.length) {
      const size = Math.min(Math.max(length, 65_536), this.source.size - position);
      this.cached = { offset: position, bytes: await this.source.read(position, size) };
    }
    const from = position - this.cached.offset;
    return this.cached.bytes.subarray(from, from + length);
  }

  override close(done: (error: Error | null) => void): void {
    done(null);
  }
}

/** Nothing may stand between the central directory and the records that end the archive. */
async function checkEnd(source: ByteSource, end: number): Promise<void> {
  const signature = end + 4 <= source.size ? (await source.read(end, 4)).readUInt32LE() : 0;
  if (signature === 0x06054b50) return;
  // ZIP64: a record of its own, with its length, and a locator come first.
  if (signature === 0x06064b50 && end + 76 <= source.size) {
    const record = await source.read(end, 76);
    const locator = record.subarray(56);
    if (
      record.readBigUInt64LE(4) === 44n &&
      locator.readUInt32LE() === 0x07064b50 &&
      locator.readBigUInt64LE(8) === BigInt(end) &&
      end + 80 <= source.size &&
      (await source.read(end + 76, 4)).readUInt32LE() === 0x06054b50
    )
      return;
  }
  throw new ZipError(`its directory ends at byte ${end}, and the archive's end does not follow`);
}

/** Finds an entry's bytes, and checks that its local header says what the central directory says. */
async function locate(source: ByteSource, entry: Entry): Promise<{ record: ZipRecord; from: number; to: number }> {
  const name = decodeName(entry.fileNameRaw);
  const refuse = (fault: string): ZipError => new ZipError(`its entry ${show(name)} ${fault}`);
  if (entry.compressionMethod !== 0)
    throw refuse(
      'is compressed; torch.save stores everything as it is. This is a TorchScript program, or another program packed it',
    );
  if (entry.isEncrypted()) throw refuse('is encrypted');
  if ((entry.generalPurposeBitFlag & ~ALLOWED_FLAGS) !== 0)
    throw refuse(`has the flags 0x${entry.generalPurposeBitFlag.toString(16)}, and may have only 0x0808`);
  const { relativeOffsetOfLocalHeader: from, uncompressedSize: bytes } = entry;
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(bytes) || from + LOCAL_HEADER_BYTES + bytes > source.size)
    throw refuse('lies outside the file');
  const header = await source.read(from, LOCAL_HEADER_BYTES);
  if (header.readUInt32LE(0) !== 0x04034b50) throw refuse('has no local header');
  const nameBytes = header.readUInt16LE(26);
  const extraBytes = header.readUInt16LE(28);
  const offset = from + LOCAL_HEADER_BYTES + nameBytes + extraBytes;
  if (offset + bytes > source.size) throw refuse('lies outside the file');
  const rest = await source.read(from + LOCAL_HEADER_BYTES, nameBytes + extraBytes);
  if (!rest.subarray(0, nameBytes).equals(entry.fileNameRaw)) throw refuse('has another name in its local header');
  if (header.readUInt16LE(6) !== entry.generalPurposeBitFlag) throw refuse('has other flags in its local header');
  if (header.readUInt16LE(8) !== entry.compressionMethod) throw refuse('has another method in its local header');
  const deferred = (entry.generalPurposeBitFlag & DESCRIPTOR) !== 0;
  const local = localSizes(header, rest.subarray(nameBytes));
  const empty = local.crc32 === 0 && local.compressed === 0 && local.uncompressed === 0;
  const same = local.crc32 === entry.crc32 && local.compressed === bytes && local.uncompressed === bytes;
  // With bit 3 the local header may leave the lengths to the descriptor; torch writes them or zeros.
  const lengthsOnly = deferred && local.crc32 === 0 && local.compressed === bytes && local.uncompressed === bytes;
  if (!same && !(deferred && (empty || lengthsOnly)))
    throw refuse('has another checksum or length in its local header');
  const end = offset + bytes;
  const to = deferred && bytes > 0 ? end + (await checkDescriptor(source, end, entry, refuse)) : end;
  return { record: { name, offset, bytes, crc32: entry.crc32 }, from, to };
}

/** Checks the descriptor behind an entry's bytes; its length. Its lengths have 8 bytes in ZIP64, else 4. */
async function checkDescriptor(
  source: ByteSource,
  at: number,
  { crc32: sum, uncompressedSize: bytes }: Entry,
  refuse: (fault: string) => ZipError,
): Promise<number> {
  const descriptor = await source.read(at, Math.min(24, source.size - at));
  const begins = (length: number): boolean =>
    descriptor.length >= length && descriptor.readUInt32LE(0) === 0x08074b50 && descriptor.readUInt32LE(4) === sum;
  if (begins(16) && descriptor.readUInt32LE(8) === bytes && descriptor.readUInt32LE(12) === bytes) return 16;
  const long = BigInt(bytes);
  if (begins(24) && descriptor.readBigUInt64LE(8) === long && descriptor.readBigUInt64LE(16) === long) return 24;
  throw refuse('is followed by another checksum or length than it gives');
}

/** A local header's checksum and lengths, those in its ZIP64 field included. */
function localSizes(header: Buffer, extra: Buffer): { crc32: number; compressed: number; uncompressed: number } {
  const sizes = {
    crc32: header.readUInt32LE(14),
    compressed: header.readUInt32LE(18),
    uncompressed: header.readUInt32LE(22),
  };
  for (let at = 0; at + 4 <= extra.length;) {
    const end = at + 4 + extra.readUInt16LE(at + 2);
    if (extra.readUInt16LE(at) === 1 && end <= extra.length) {
      let next = at + 4;
      for (const key of ['uncompressed', 'compressed'] as const) {
        if (sizes[key] !== IN_ZIP64 || next + 8 > end) continue;
        sizes[key] = Number(extra.readBigUInt64LE(next));
        next += 8;
      }
    }
    at = end;
  }
  return sizes;
}

function decodeName(raw: Buffer): string {
  const name = raw.toString('utf8');
  if (!Buffer.from(name).equals(raw)) throw new ZipError('the name of an entry is not UTF-8');

  if (name === '' || /[\u0000-\u001f\u007f]/.test(name)) throw new ZipError(`an entry has the name ${show(name)}`);
  const fault = validateFileName(name);
  if (fault !== null) throw new ZipError(`an entry has an unsafe name: ${fault}`);
  return name;
}

function checkSpans(spans: { from: number; to: number; name: string }[], directory: number): void {
  spans.sort((a, b) => a.from - b.from);
  let end = 0;
  let before = '';
  for (const { from, to, name } of spans) {
    if (from < end) throw new ZipError(`its entries ${show(before)} and ${show(name)} overlap`);
    end = to;
    before = name;
  }
  if (end > directory) throw new ZipError(`its entry ${show(before)} reaches into the directory`);
}
