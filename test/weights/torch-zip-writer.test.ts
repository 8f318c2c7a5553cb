import { crc32 } from 'node:zlib';
import type { FilePiece } from '../../lib/native';
import { contiguousStrides, type Dtype } from '../../lib/weights/tensor-entry';
import { torchZipPieces } from '../../lib/weights/torch-zip-writer';
import { readBytes } from './read';

const tensors = [
  { name: 'features.conv0.weight', dtype: 'F32' as Dtype, shape: [2, 3, 1, 1], bytes: bytesOf(24) },
  { name: 'features.norm0.num_batches_tracked', dtype: 'I64' as Dtype, shape: [], bytes: bytesOf(8) },
  { name: 'empty', dtype: 'F32' as Dtype, shape: [0, 4], bytes: bytesOf(0) },
  { name: 'ünïcode', dtype: 'F16' as Dtype, shape: [300], bytes: bytesOf(600) },
];

function bytesOf(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, index) => (index * 37 + length) % 251));
}

/** What native code does with the pieces. */
function assemble(pieces: readonly FilePiece[]): Buffer {
  const written = new Set<number>();
  return Buffer.concat(
    pieces.map((piece) => {
      if (piece instanceof Uint8Array) return piece;
      if ('tensor' in piece) {
        written.add(piece.tensor);
        return tensors[piece.tensor]!.bytes;
      }
      expect(written).toContain(piece.crc32);
      const sum = Buffer.alloc(4);
      sum.writeUInt32LE(crc32(tensors[piece.crc32]!.bytes));
      return sum;
    }),
  );
}

test.each([
  ['plain ZIP', undefined],
  ['ZIP64 for large offsets', 600],
  ['ZIP64 throughout', 1],
])('what is written is read again, as %s', async (_, zip64From) => {
  const file = assemble(torchZipPieces(tensors, { format: 'pt', note: 'ü' }, zip64From));
  const { entries, checkpoint } = await readBytes(file);
  expect(checkpoint.format).toBe('torch zip');
  expect(checkpoint.metadata).toEqual({ format: 'pt', note: 'ü' });
  expect(entries).toHaveLength(tensors.length);
  for (const [index, { name, dtype, shape, bytes }] of tensors.entries()) {
    const entry = entries[index]!;
    expect(entry).toMatchObject({ name, dtype, shape, strides: contiguousStrides(shape), bytes: bytes.length });
    expect(file.subarray(entry.offset, entry.offset + entry.bytes)).toEqual(bytes);
    expect(entry.offset % 64).toBe(0);
  }
});

test('lengths and offsets of a model beyond 4 GB come out in ZIP64', () => {
  const large = { name: 'a', dtype: 'F32' as Dtype, shape: [2 ** 30, 2] };
  const pieces = torchZipPieces([large, { ...large, name: 'b' }], {});
  const bytes = Buffer.concat(pieces.filter((piece): piece is Uint8Array => piece instanceof Uint8Array));
  const end = bytes.subarray(-22);
  expect(end.readUInt32LE(16)).toBe(0xffffffff);
  const record = bytes.subarray(-98);
  expect(record.readUInt32LE(0)).toBe(0x06064b50);
  expect(record.readBigUInt64LE(48)).toBeGreaterThan(2n * 2n ** 33n);
  // "2**31 elements": a long of the pickle, and 8-byte lengths in the descriptor.
  expect(bytes.includes(Buffer.from([0x8a, 8, 0, 0, 0, 0x80, 0, 0, 0, 0]))).toBe(true);
  const length = Buffer.alloc(16);
  length.writeBigUInt64LE(2n ** 33n, 0);
  length.writeBigUInt64LE(2n ** 33n, 8);
  expect(bytes.includes(length)).toBe(true);
});
