import { crc32, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { parseIdx } from '../../lib/data/idx';
import { isDenseNetError } from '../../lib/errors';
import type { FilePiece } from '../../lib/native';
import { findDuplicateKey, findExcess } from '../../lib/weights/json';
import { safetensorsHeader } from '../../lib/weights/safetensors';
import { elementCount } from '../../lib/tensor';
import { dtypeSize, type Dtype } from '../../lib/weights/tensor-entry';
import { torchZipPieces } from '../../lib/weights/torch-zip-writer';
import { readBytes } from '../weights/read';

/** What holds for every input of a kind, tried with inputs that fast-check draws and then makes small. */

interface Tensor {
  name: string;
  dtype: Dtype;
  shape: number[];
  bytes: Buffer;
}

/** Names such as a model's; those of containers and of training mean something else. */
const name = fc.string({ minLength: 1, maxLength: 30, unit: 'binary' }).map((text) => `w.${text}`);

const tensors: fc.Arbitrary<Tensor[]> = fc
  .uniqueArray(
    fc.record({
      name,
      dtype: fc.constantFrom<Dtype>('F64', 'F32', 'F16', 'BF16', 'I64', 'I32', 'I16', 'I8', 'U8', 'BOOL'),
      shape: fc.array(fc.nat(4), { maxLength: 4 }),
      seed: fc.nat(255),
    }),
    { selector: (one) => one.name, minLength: 1, maxLength: 12 },
  )
  .map((list) =>
    list.map(({ seed, ...one }) => {
      const length = elementCount(one.shape) * dtypeSize[one.dtype];
      return { ...one, bytes: Buffer.from(Array.from({ length }, (_, place) => (place * 31 + seed) % 256)) };
    }),
  );

const metadata = fc.dictionary(fc.string({ minLength: 1 }), fc.string(), { maxKeys: 5 });

/** What native code makes of pieces. */
function assemble(pieces: readonly FilePiece[], list: readonly Tensor[]): Buffer {
  return Buffer.concat(
    pieces.map((piece) => {
      if (piece instanceof Uint8Array) return piece;
      if ('tensor' in piece) return list[piece.tensor]!.bytes;
      const sum = Buffer.alloc(4);
      sum.writeUInt32LE(crc32(list[piece.crc32]!.bytes));
      return sum;
    }),
  );
}

async function expectBack(file: Buffer, list: readonly Tensor[]): Promise<void> {
  const { entries, others } = await readBytes(file);
  expect([...others]).toEqual([]);
  const found = new Map(entries.map((entry) => [entry.name, entry]));
  expect(found.size).toBe(list.length);
  for (const { name: one, dtype, shape, bytes } of list) {
    const entry = found.get(one)!;
    expect(entry).toMatchObject({ dtype, shape });
    if (bytes.length > 0) expect(file.subarray(entry.offset, entry.offset + entry.bytes)).toEqual(bytes);
  }
}

const runs = { numRuns: 300 };

test('whatever is written as safetensors is read again', async () => {
  await fc.assert(
    fc.asyncProperty(tensors, metadata, async (list, notes) => {
      const { header } = safetensorsHeader(list, notes);
      await expectBack(Buffer.concat([header, ...list.map(({ bytes }) => bytes)]), list);
    }),
    runs,
  );
});

test('whatever is written for torch.load is read again, with ZIP64 or without', async () => {
  await fc.assert(
    fc.asyncProperty(tensors, metadata, fc.constantFrom(undefined, 1, 300), async (list, notes, zip64From) => {
      await expectBack(assemble(torchZipPieces(list, notes, zip64From), list), list);
    }),
    runs,
  );
});

test('a file of weights that loses bytes anywhere is refused', async () => {
  await fc.assert(
    fc.asyncProperty(
      tensors,
      fc.boolean(),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      async (list, zip, place) => {
        const whole = zip
          ? assemble(torchZipPieces(list, {}), list)
          : Buffer.concat([safetensorsHeader(list, {}).header, ...list.map(({ bytes }) => bytes)]);
        const outcome = await readBytes(whole.subarray(0, Math.floor(place * whole.length))).then(
          () => 'read',
          (error: unknown) => (isDenseNetError(error) ? error.code : String(error)),
        );
        expect(outcome).toBe('ERR_FILE_FORMAT');
      },
    ),
    runs,
  );
});

test('an IDX file of any shape is read again, gzipped or not', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      async (shape, packed) => {
        const data = Uint8Array.from({ length: elementCount(shape) }, (_, place) => (place * 7) % 256);
        const plain = Buffer.from([0, 0, 8, shape.length, ...shape.flatMap((length) => [0, 0, 0, length]), ...data]);
        const found = await parseIdx('the file', packed ? gzipSync(plain) : plain);
        expect(found).toEqual({ shape, data });
      },
    ),
    runs,
  );
});

test('JSON that JavaScript writes has no key twice, and has one twice when one is added', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { minKeys: 1 }), fc.nat(), (value, which) => {
      const text = JSON.stringify(value);
      expect(findDuplicateKey(Buffer.from(text))).toBeUndefined();
      const keys = Object.keys(JSON.parse(text) as object);
      const key = keys[which % keys.length] as string;
      const escaped = Array.from({ length: key.length }, (_, at) => key.charCodeAt(at).toString(16).padStart(4, '0'))
        .map((unit) => `\\u${unit}`)
        .join('');
      expect(findDuplicateKey(Buffer.from(`${text.slice(0, -1)},"${escaped}":1}`))).toBe(key);
    }),
    runs,
  );
});

test('any bytes are looked through for what is too much, and none make it fail', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect([undefined, expect.any(String)]).toContainEqual(findExcess(Buffer.from(bytes)));
    }),
    runs,
  );
});
