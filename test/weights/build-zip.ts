import { crc32 } from 'node:zlib';
import { dictOf, pickle, tensor, text, type TensorParts } from './build-pickle';

/** Builds ZIP archives entry by entry, right ones and wrong ones; it shares nothing with the package's own writer. */
export interface EntryParts {
  name: string;
  content: Buffer;
  /** What the headers say, where it is not the truth. */
  local?: Partial<Header>;
  central?: Partial<Header>;
  /** Where the central directory says that the entry begins. */
  offset?: number;
  /** Added after the content, such as a descriptor. */
  after?: Buffer;
  extra?: Buffer;
  centralExtra?: Buffer;
}

interface Header {
  name: string | Buffer;
  flags: number;
  method: number;
  crc: number;
  compressed: number;
  uncompressed: number;
}

export interface ArchiveParts {
  /** Entries that the end record counts, where it is not the truth. */
  count?: number;
  comment?: Buffer;
  /** Between the central directory and the end record. */
  beforeEnd?: Buffer;
  /** In front of everything. */
  start?: Buffer;
}

export function zip(entries: EntryParts[], parts: ArchiveParts = {}): Buffer {
  const pieces: Buffer[] = [parts.start ?? Buffer.alloc(0)];
  const directory: Buffer[] = [];
  const size = () => pieces.reduce((sum, piece) => sum + piece.length, 0);
  for (const entry of entries) {
    const truth: Header = {
      name: entry.name,
      flags: 0x0800,
      method: 0,
      crc: crc32(entry.content),
      compressed: entry.content.length,
      uncompressed: entry.content.length,
    };
    const offset = entry.offset ?? size();
    const local = { ...truth, ...entry.local };
    pieces.push(localHeader(local, entry.extra ?? Buffer.alloc(0)), entry.content, entry.after ?? Buffer.alloc(0));
    directory.push(centralHeader({ ...truth, ...entry.central }, offset, entry.centralExtra ?? Buffer.alloc(0)));
  }
  const start = size();
  const central = Buffer.concat(directory);
  const comment = parts.comment ?? Buffer.alloc(0);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(parts.count ?? entries.length, 8);
  end.writeUInt16LE(parts.count ?? entries.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(start, 16);
  end.writeUInt16LE(comment.length, 20);
  return Buffer.concat([...pieces, central, parts.beforeEnd ?? Buffer.alloc(0), end, comment]);
}

function localHeader(header: Header, extra: Buffer): Buffer {
  const name = Buffer.from(header.name as string);
  const bytes = Buffer.alloc(30);
  bytes.writeUInt32LE(0x04034b50, 0);
  bytes.writeUInt16LE(20, 4);
  bytes.writeUInt16LE(header.flags, 6);
  bytes.writeUInt16LE(header.method, 8);
  bytes.writeUInt32LE(header.crc, 14);
  bytes.writeUInt32LE(header.compressed, 18);
  bytes.writeUInt32LE(header.uncompressed, 22);
  bytes.writeUInt16LE(name.length, 26);
  bytes.writeUInt16LE(extra.length, 28);
  return Buffer.concat([bytes, name, extra]);
}

function centralHeader(header: Header, offset: number, extra: Buffer): Buffer {
  const name = Buffer.from(header.name as string);
  const bytes = Buffer.alloc(46);
  bytes.writeUInt32LE(0x02014b50, 0);
  bytes.writeUInt16LE(20, 4);
  bytes.writeUInt16LE(20, 6);
  bytes.writeUInt16LE(header.flags, 8);
  bytes.writeUInt16LE(header.method, 10);
  bytes.writeUInt32LE(header.crc, 16);
  bytes.writeUInt32LE(header.compressed, 20);
  bytes.writeUInt32LE(header.uncompressed, 24);
  bytes.writeUInt16LE(name.length, 28);
  bytes.writeUInt16LE(extra.length, 30);
  bytes.writeUInt32LE(offset, 42);
  return Buffer.concat([bytes, name, extra]);
}

/** What follows an entry whose flags have bit 3. */
export function descriptor(crc: number, bytes: number): Buffer {
  const result = Buffer.alloc(16);
  result.writeUInt32LE(0x08074b50, 0);
  result.writeUInt32LE(crc, 4);
  result.writeUInt32LE(bytes, 8);
  result.writeUInt32LE(bytes, 12);
  return result;
}

/** Six floats, 0 to 5. */
export const sixFloats = Buffer.from(Float32Array.from([0, 1, 2, 3, 4, 5]).buffer);

/** The entries of a torch file with one tensor "w". */
export function torchEntries(parts: TensorParts = {}, data?: Buffer): EntryParts[] {
  return [
    { name: 'a/data.pkl', content: data ?? pickle(dictOf(text('w'), tensor(parts))) },
    { name: 'a/byteorder', content: Buffer.from('little') },
    { name: 'a/data/0', content: sixFloats },
    { name: 'a/version', content: Buffer.from('3\n') },
  ];
}

/** A torch zip of one tensor, or of a pickle. */
export function torchZip(parts: TensorParts = {}, data?: Buffer): Buffer {
  return zip(torchEntries(parts, data));
}

const magic = pickle(Buffer.concat([Buffer.from([0x8a, 10]), Buffer.from('1950a86a20f9469cfc6c', 'hex').reverse()]));
const protocol = pickle(Buffer.from([0x4d, 0xe9, 0x03]));
const system = pickle(dictOf(text('little_endian'), Buffer.from([0x88])));

export interface LegacyParts {
  magic?: Buffer;
  protocol?: Buffer;
  system?: Buffer;
  object?: Buffer;
  keys?: Buffer;
  storages?: Buffer;
}

export function storage(content: Buffer, count = content.length / 4): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigInt64LE(BigInt(count));
  return Buffer.concat([length, content]);
}

/** A legacy file with one tensor "w". */
export function legacy(parts: LegacyParts = {}): Buffer {
  const list = Buffer.concat([Buffer.from([0x5d, 0x28]), text('0'), Buffer.from([0x65])]);
  return Buffer.concat([
    parts.magic ?? magic,
    parts.protocol ?? protocol,
    parts.system ?? system,
    parts.object ?? pickle(dictOf(text('w'), tensor({ layout: 'legacy' }))),
    parts.keys ?? pickle(list),
    parts.storages ?? storage(sixFloats),
  ]);
}

export function safetensors(header: unknown, data: Buffer = sixFloats, text?: string | Buffer): Buffer {
  const content = Buffer.from((text as string) ?? JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(content.length));
  return Buffer.concat([length, content, data]);
}
