import { crc32 } from 'node:zlib';
import type { FilePiece } from '../native';
import { elementCount } from '../tensor';
import { Opcode } from './pickle-opcodes';
import { PickleWriter } from './pickle-writer';
import type { TensorDescription } from './safetensors';
import { contiguousStrides, dtypeSize } from './tensor-entry';
import { metadataRecord } from './torch-zip';

/** The layout of records that torch has written since 1.6. */
const VERSION = '3\n';

/** The folder in the archive; torch takes any. */
const FOLDER = 'archive';

/** Of the tensors' first bytes in the file, as torch lays them, so that it can map the file into memory. */
const ALIGNMENT = 64;

/** Bit 3: the checksum follows the bytes, since it is known only when they are written. Bit 11: names are UTF-8. */
const DESCRIPTOR = 0x0008;
const UTF8 = 0x0800;

/** Lengths and offsets from here on take ZIP64. */
const ZIP64_FROM = 0xffffffff;

const ZIP64_FIELD = 0x0001;
/** The kind of field that torch pads local headers with. */
const PADDING_FIELD = 0x4246;

/**
 * A file for `torch.load`, also with `weights_only=True`, as pieces: a ZIP archive of an OrderedDict of tensors, each in a
 * record of its own.
 *
 * @param tensors In the order in which native code counts them.
 * @param metadata Kept in a record that torch passes over.
 * @param zip64From From which number ZIP64 is used; tests lower it.
 */
export function torchZipPieces(
  tensors: readonly TensorDescription[],
  metadata: Readonly<Record<string, string>>,
  zip64From = ZIP64_FROM,
): FilePiece[] {
  const archive = new ArchivePieces(zip64From);
  archive.add('data.pkl', pickleStateDict(tensors));
  archive.add('byteorder', Buffer.from('little'));
  tensors.forEach(({ shape, dtype }, index) =>
    archive.add(`data/${index}`, { tensor: index, bytes: elementCount(shape) * dtypeSize[dtype] }),
  );
  archive.add('version', Buffer.from(VERSION));
  archive.add(metadataRecord, Buffer.from(JSON.stringify(metadata)));
  return archive.end();
}

const storageClass = {
  F64: 'DoubleStorage',
  F32: 'FloatStorage',
  F16: 'HalfStorage',
  BF16: 'BFloat16Storage',
  I64: 'LongStorage',
  I32: 'IntStorage',
  I16: 'ShortStorage',
  I8: 'CharStorage',
  U8: 'ByteStorage',
  BOOL: 'BoolStorage',
} as const;

const orderedDict = { module: 'collections', name: 'OrderedDict' };
const rebuild = { module: 'torch._utils', name: '_rebuild_tensor_v2' };

/** OrderedDict of `_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)`. */
export function pickleStateDict(tensors: readonly TensorDescription[]): Buffer {
  const pickle = new PickleWriter();
  pickle.shared(orderedDict).opcode(Opcode.EMPTY_TUPLE, Opcode.REDUCE, Opcode.MARK);
  tensors.forEach(({ name, dtype, shape }, index) => {
    pickle.text(name).shared(rebuild).opcode(Opcode.MARK);
    pickle.opcode(Opcode.MARK).shared('storage').shared({ module: 'torch', name: storageClass[dtype] });
    pickle.text(String(index)).shared('cpu').integer(elementCount(shape)).opcode(Opcode.TUPLE, Opcode.BINPERSID);
    pickle.integer(0).tuple(shape).tuple(contiguousStrides(shape)).opcode(Opcode.NEWFALSE);
    pickle.shared(orderedDict).opcode(Opcode.EMPTY_TUPLE, Opcode.REDUCE, Opcode.TUPLE, Opcode.REDUCE);
  });
  return pickle.opcode(Opcode.SETITEMS).end();
}

/** A record: bytes that are at hand, or a tensor that native code writes. */
type Content = Buffer | { tensor: number; bytes: number };

/** Lays out an archive of stored entries. */
class ArchivePieces {
  private readonly pieces: FilePiece[] = [];
  /** Bytes of the pieces so far. */
  private position = 0;
  /** The central directory. */
  private readonly directory: { piece: FilePiece; bytes: number }[] = [];
  private count = 0;

  constructor(private readonly zip64From: number) {}

  add(record: string, content: Content): void {
    const name = Buffer.from(`${FOLDER}/${record}`);
    const bytes = Buffer.isBuffer(content) ? content.length : content.bytes;
    const offset = this.position;
    const large = bytes >= this.zip64From;
    // Nothing follows the bytes of an empty tensor: there are none, and their checksum is 0.
    const deferred = !Buffer.isBuffer(content) && bytes > 0;
    const flags = UTF8 | (deferred ? DESCRIPTOR : 0);
    const checksum = Buffer.isBuffer(content) ? crc32(content) : 0;
    const size = deferred ? 0 : bytes;
    const extra = large ? field(ZIP64_FIELD, uint64(size), uint64(size)) : Buffer.alloc(0);
    const fields = Buffer.concat([
      ...[uint16(large ? 45 : 20), uint16(flags), uint16(0), uint16(0), uint16(0), uint32(checksum)],
      ...[uint32(large ? ZIP64_FROM : size), uint32(large ? ZIP64_FROM : size), uint16(name.length)],
    ]);
    const padding = paddingField(offset + 4 + fields.length + 2 + name.length + extra.length);
    this.push(Buffer.concat([uint32(0x04034b50), fields, uint16(extra.length + padding.length), name, extra, padding]));
    if (Buffer.isBuffer(content)) this.push(content);
    else if (bytes > 0) this.push({ tensor: content.tensor }, bytes);
    if (deferred) {
      this.push(uint32(0x08074b50));
      this.push({ crc32: content.tensor }, 4);
      this.push(large ? Buffer.concat([uint64(bytes), uint64(bytes)]) : Buffer.concat([uint32(bytes), uint32(bytes)]));
    }
    this.list(name, flags, deferred ? { crc32: content.tensor } : uint32(checksum), bytes, offset);
  }

  /** Adds an entry to the central directory. */
  private list(name: Buffer, flags: number, checksum: FilePiece, bytes: number, offset: number): void {
    const large = bytes >= this.zip64From;
    const far = offset >= this.zip64From;
    const extra =
      large || far
        ? field(ZIP64_FIELD, ...(large ? [uint64(bytes), uint64(bytes)] : []), ...(far ? [uint64(offset)] : []))
        : Buffer.alloc(0);
    const version = uint16(large || far ? 45 : 20);
    const head = Buffer.concat([uint32(0x02014b50), version, version, uint16(flags), uint16(0), uint16(0), uint16(0)]);
    const size = uint32(large ? ZIP64_FROM : bytes);
    const tail = Buffer.concat([
      ...[size, size, uint16(name.length), uint16(extra.length), uint16(0), uint16(0), uint16(0), uint32(0)],
      ...[uint32(far ? ZIP64_FROM : offset), name, extra],
    ]);
    this.directory.push(
      { piece: head, bytes: head.length },
      { piece: checksum, bytes: 4 },
      { piece: tail, bytes: tail.length },
    );
    this.count += 1;
  }

  /** The whole archive. */
  end(): FilePiece[] {
    const start = this.position;
    for (const { piece, bytes } of this.directory) this.push(piece, bytes);
    const bytes = this.position - start;
    const entries = Math.min(this.count, 0xffff);
    const large = this.count >= 0xffff || start >= this.zip64From || bytes >= this.zip64From;
    if (large) {
      const end = this.position;
      this.push(
        Buffer.concat([
          ...[uint32(0x06064b50), uint64(44), uint16(45), uint16(45), uint32(0), uint32(0)],
          ...[uint64(this.count), uint64(this.count), uint64(bytes), uint64(start)],
          ...[uint32(0x07064b50), uint32(0), uint64(end), uint32(1)],
        ]),
      );
    }
    this.push(
      Buffer.concat([
        ...[
          uint32(0x06054b50),
          uint16(0),
          uint16(0),
          uint16(large ? 0xffff : entries),
          uint16(large ? 0xffff : entries),
        ],
        ...[uint32(large ? ZIP64_FROM : bytes), uint32(large ? ZIP64_FROM : start), uint16(0)],
      ]),
    );
    return this.pieces;
  }

  /** Adds a piece, joined to the one before it where both are plain bytes. */
  private push(piece: FilePiece, bytes = Buffer.isBuffer(piece) ? piece.length : 0): void {
    const last = this.pieces.at(-1);
    if (Buffer.isBuffer(last) && Buffer.isBuffer(piece) && bytes < ALIGNMENT * 4)
      this.pieces[this.pieces.length - 1] = Buffer.concat([last, piece]);
    else this.pieces.push(piece);
    this.position += bytes;
  }
}

/** A field that moves what follows it, from `position` on, to a multiple of the alignment. */
function paddingField(position: number): Buffer {
  const length = (ALIGNMENT - ((position + 4) % ALIGNMENT)) % ALIGNMENT;
  return field(PADDING_FIELD, Buffer.alloc(length, 'Z'));
}

function field(kind: number, ...values: Buffer[]): Buffer {
  const bytes = Buffer.concat(values);
  return Buffer.concat([uint16(kind), uint16(bytes.length), bytes]);
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
