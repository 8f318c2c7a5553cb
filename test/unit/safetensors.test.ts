import { readFile } from 'node:fs/promises';
import { DenseNet } from '../../lib';
import { parseHeader, safetensorsHeader, type TensorDescription } from '../../lib/weights/safetensors';
import { contiguousStrides, dtypeSize, type Dtype } from '../../lib/weights/tensor-entry';
import { fingerprint, modelMaker, temporaryFolder } from './support';

const make = modelMaker();
const inFolder = temporaryFolder();

/** The JSON in a header's bytes. */
function textOf(header: Uint8Array): string {
  return Buffer.from(header.subarray(8)).toString();
}

function roundTrip(tensors: TensorDescription[], metadata: Record<string, string> = {}) {
  const { header, entries } = safetensorsHeader(tensors, metadata);
  const end = entries.reduce((last, { offset, bytes }) => Math.max(last, offset + bytes), header.length);
  return { header, entries, parsed: parseHeader('file', Buffer.from(textOf(header)), header.length, end) };
}

describe('a header that is written and read again', () => {
  it('describes the same tensors, in the order of their bytes', () => {
    const { header, entries, parsed } = roundTrip([
      { name: 'features.conv0.weight', dtype: 'F32', shape: [8, 3, 7, 7] },
      { name: 'a scalar', dtype: 'I64', shape: [] },
      { name: 'nothing', dtype: 'F16', shape: [0, 4] },
      { name: 'classifier.bias', dtype: 'F64', shape: [5] },
    ]);
    expect(parsed.entries).toEqual(entries);
    const start = header.length;
    expect(entries).toEqual([
      {
        name: 'features.conv0.weight',
        dtype: 'F32',
        shape: [8, 3, 7, 7],
        strides: [147, 49, 7, 1],
        offset: start,
        bytes: 4704,
      },
      { name: 'a scalar', dtype: 'I64', shape: [], strides: [], offset: start + 4704, bytes: 8 },
      { name: 'nothing', dtype: 'F16', shape: [0, 4], strides: [4, 1], offset: start + 4712, bytes: 0 },
      { name: 'classifier.bias', dtype: 'F64', shape: [5], strides: [1], offset: start + 4712, bytes: 40 },
    ]);
  });

  it.each(Object.entries(dtypeSize) as [Dtype, number][])('counts the bytes of %s: %i an element', (dtype, size) => {
    const { parsed } = roundTrip([{ name: 'x', dtype, shape: [3, 2] }]);
    expect(parsed.entries).toEqual([expect.objectContaining({ dtype, bytes: 6 * size })]);
  });

  it('keeps empty tensors, several of them in one place too', () => {
    const shapes = [[0], [2, 0, 3], [1], [0, 0], []];
    const { parsed } = roundTrip(shapes.map((shape, index) => ({ name: `t${index}`, dtype: 'F32' as const, shape })));
    expect(new Map(parsed.entries.map(({ name, shape, bytes }) => [name, [shape, bytes]]))).toEqual(
      new Map([
        ['t0', [[0], 0]],
        ['t1', [[2, 0, 3], 0]],
        ['t2', [[1], 4]],
        ['t3', [[0, 0], 0]],
        ['t4', [[], 4]],
      ]),
    );
  });

  it('may have no tensor at all', () => {
    expect(roundTrip([]).parsed).toEqual({ entries: [], metadata: {} });
  });

  it('keeps names and metadata in any letters', () => {
    const name = 'Ünïcödé "quoted" \n \u{1f40d} 0';
    const metadata = { format: 'pt', note: 'zwölf\t"12"', empty: '', '\u{1f40d}': 'snake' };
    const { parsed } = roundTrip([{ name, dtype: 'U8', shape: [1] }], metadata);
    expect(parsed.entries[0]?.name).toBe(name);
    expect(parsed.metadata).toEqual(metadata);
  });

  it('keeps the order of the bytes where names are numbers, which JavaScript would put first', () => {
    const { parsed } = roundTrip(['b', '10', '2', 'a'].map((name) => ({ name, dtype: 'I8' as const, shape: [1] })));
    expect(parsed.entries.map(({ name }) => name)).toEqual(['b', '10', '2', 'a']);
  });
});

describe('the bytes of a header', () => {
  it('begin with their length, little-endian, and a brace, and end in spaces so that tensors begin at a multiple of 8', () => {
    const lengths = new Set<number>();
    for (let letters = 0; letters < 16; letters += 1) {
      const { header } = roundTrip([{ name: 'x'.repeat(letters + 1), dtype: 'F32', shape: [1] }]);
      expect(header.length % 8).toBe(0);
      expect(Number(Buffer.from(header).readBigUInt64LE())).toBe(header.length - 8);
      expect(header[8]).toBe(0x7b);
      expect(textOf(header)).toMatch(/\} {0,7}$/);
      expect(textOf(header).trimEnd().length + 7).toBeGreaterThanOrEqual(header.length - 8);
      lengths.add(header.length);
    }
    expect(lengths.size).toBeGreaterThan(1);
  });

  it('are counted as bytes, not as letters', () => {
    const { header } = roundTrip([{ name: 'äöü€\u{1f40d}', dtype: 'F32', shape: [1] }]);
    expect(JSON.parse(textOf(header))).toHaveProperty(['äöü€\u{1f40d}']);
    expect(Number(Buffer.from(header).readBigUInt64LE())).toBe(header.length - 8);
  });
});

test('strides of row-major order are the products of the lengths behind', () => {
  expect([[2, 3, 4], [5], [], [2, 0, 3]].map(contiguousStrides)).toEqual([[12, 4, 1], [1], [], [3, 3, 1]]);
});

describe('a saved model', () => {
  it('is loaded with the same weights and the same configuration, bit for bit', async () => {
    const model = await make({ stem: 'imagenet', dropRate: 0.25, classes: ['ä', 'b', 'c'], imageSize: [12, 14] });
    await model.saveWeights(inFolder('saved.safetensors'));
    const loaded = await DenseNet.load(inFolder('saved.safetensors'), { device: 'cpu' });
    expect(await fingerprint(loaded)).toBe(await fingerprint(model));
    expect(loaded.config).toEqual(model.config);
    await loaded.dispose();
  });

  it('is the same file every time, and a file that other readers understand', async () => {
    const model = await make();
    await model.saveWeights(inFolder('one.safetensors'));
    await model.saveWeights(inFolder('two.safetensors'));
    const bytes = await readFile(inFolder('one.safetensors'));
    expect(await readFile(inFolder('two.safetensors'))).toEqual(bytes);
    const start = 8 + Number(bytes.readBigUInt64LE());
    const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<
      string,
      { dtype: string; data_offsets: number[] }
    >;
    expect(header['__metadata__']).toMatchObject({ format: 'pt' });
    const state = await model.stateDict();
    expect(Object.keys(header).slice(1)).toEqual([...state.keys()]);
    for (const [name, { data }] of state) {
      const [from, to] = header[name]?.data_offsets ?? [];
      const values = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      expect(bytes.subarray(start + (from as number), start + (to as number)).equals(values)).toBe(true);
      expect(header[name]?.dtype).toBe(name.endsWith('num_batches_tracked') ? 'I64' : 'F32');
    }
  });

  it('takes the place of an older file as a whole', async () => {
    const [first, second] = [await make({ seed: 1 }), await make({ seed: 2, numClasses: 40 })];
    await second.saveWeights(inFolder('place.safetensors'));
    await first.saveWeights(inFolder('place.safetensors'));
    expect((await second.loadWeights(inFolder('place.safetensors'), { strict: false })).missing).toEqual([
      'classifier.weight',
      'classifier.bias',
    ]);
    expect((await first.loadWeights(inFolder('place.safetensors'))).missing).toEqual([]);
  });
});
