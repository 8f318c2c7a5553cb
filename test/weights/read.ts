import path from 'node:path';
import { bufferSource, withFileSource, type ByteSource } from '../../lib/weights/byte-source';
import { readCheckpoint, type Checkpoint } from '../../lib/weights/checkpoint';
import { readStateDict, type StateDict } from '../../lib/weights/state-dict';
import { contiguousStrides, dtypeSize, type TensorEntry } from '../../lib/weights/tensor-entry';

export const fixtures = path.join(__dirname, 'fixtures');

/** All that is done with a file before its tensors are read. */
export async function readAll(source: ByteSource): Promise<StateDict & { checkpoint: Checkpoint }> {
  const checkpoint = await readCheckpoint(source);
  const state = readStateDict(source.name, checkpoint);
  await checkpoint.verify();
  return { ...state, checkpoint };
}

export function readBytes(bytes: Buffer): ReturnType<typeof readAll> {
  return readAll(bufferSource(bytes, 'the file'));
}

/** A fixture's tensors by name: element type, shape, and the elements' bytes in row-major order. */
export async function readTensors(file: string): Promise<Map<string, { dtype: string; shape: number[]; hex: string }>> {
  return withFileSource(path.join(fixtures, file), async (source) => {
    const { entries } = await readAll(source);
    const result = new Map<string, { dtype: string; shape: number[]; hex: string }>();
    for (const entry of entries) {
      const bytes = gather(entry, await source.read(entry.offset, entry.bytes));
      result.set(entry.name, { dtype: entry.dtype, shape: entry.shape, hex: bytes.toString('hex') });
    }
    return result;
  });
}

/** The elements of a strided tensor in row-major order: a reader of the tests' own. */
export function gather({ dtype, shape, strides }: TensorEntry, bytes: Buffer): Buffer {
  const size = dtypeSize[dtype];
  const steps = contiguousStrides(shape);
  const count = shape.reduce((product, length) => product * length, 1);
  const pieces: Buffer[] = [];
  for (let index = 0; index < count; index += 1) {
    const place = steps.reduce(
      (sum, step, axis) => sum + (Math.floor(index / step) % shape[axis]!) * strides[axis]!,
      0,
    );
    pieces.push(bytes.subarray(place * size, (place + 1) * size));
  }
  return Buffer.concat(pieces);
}
