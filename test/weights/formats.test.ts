import { readFileSync } from 'node:fs';
import path from 'node:path';
import { toModelName } from '../../lib/weights/names';
import { fixtures, readBytes, readTensors } from './read';
import * as p from './build-pickle';
import { zip, torchEntries, sixFloats, torchZip } from './build-zip';

/** The tensors of a safetensors fixture, by a reader of the tests' own: a fault of the package's cannot hide another. */
function plainTensors(file: string): Map<string, { dtype: string; shape: number[]; hex: string }> {
  const bytes = readFileSync(path.join(fixtures, file));
  const start = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  return new Map(
    Object.entries(header).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [from, to],
        },
      ]) => [name, { dtype, shape, hex: bytes.toString('hex', start + from, start + to) }],
    ),
  );
}

const plain = plainTensors('plain.safetensors');

test('the fixture holds a whole DenseNet', () => {
  expect(plain.size).toBe(43);
  expect(new Set([...plain.values()].map(({ dtype }) => dtype))).toEqual(new Set(['F32', 'I64']));
});

test.each([
  'plain.safetensors',
  'plain.pth',
  'plain-legacy.pth',
  'shared.pth',
  'shared-legacy.pth',
  'strided-legacy.pth',
  'training.pth',
  'training-legacy.pth',
  'ema-first.pth',
])('%s gives the same bytes of every tensor', async (file) => {
  const found = await readTensors(file);
  expect([...found.keys()].sort()).toEqual([...plain.keys()].sort());
  for (const [name, tensor] of plain) expect([name, found.get(name)]).toEqual([name, tensor]);
});

test.each([
  ['dotted-counters-legacy.pth', 'module.features.denseblock1.denselayer1.norm.1.num_batches_tracked'],
  ['dotted-legacy.pth', 'features.denseblock1.denselayer1.conv.2.weight'],
  ['monai-legacy.pth', 'features.denseblock1.denselayer1.layers.norm1.weight'],
  ['gpleiss-legacy.pth', 'features.norm_final.weight'],
  ['compiled-legacy.pth', 'module._orig_mod.features.conv0.weight'],
  ['chexnet-legacy.pth', 'module.densenet121.classifier.bias'],
])('%s gives the same bytes under the names of this package', async (file, example) => {
  const found = await readTensors(file);
  expect([...found.keys()]).toContain(example);
  const renamed = new Map([...found].map(([name, tensor]) => [toModelName(name), tensor]));
  const counters = file !== 'dotted-legacy.pth';
  const expected = [...plain].filter(([name]) => counters || !name.endsWith('num_batches_tracked'));
  expect(new Map([...renamed].sort())).toEqual(new Map(expected.sort()));
});

test('half precision has the same bytes in every format', async () => {
  const half = plainTensors('half.safetensors');
  expect(await readTensors('half.safetensors')).toEqual(half);
  expect(new Map([...(await readTensors('half.pth'))].sort())).toEqual(new Map([...half].sort()));
  expect(half.get('classifier.bias')?.dtype).toBe('F16');
});

test('double precision has the values of single precision', async () => {
  for (const [name, { dtype, hex }] of await readTensors('double-legacy.pth')) {
    if (dtype === 'I64') continue;
    expect(dtype).toBe('F64');
    const values = new Float64Array(Uint8Array.from(Buffer.from(hex, 'hex')).buffer);
    const single = Buffer.from(Float32Array.from(values).buffer).toString('hex');
    expect([name, single]).toEqual([name, plain.get(name)?.hex]);
  }
});

test('bfloat16 is single precision rounded to 16 bits', async () => {
  for (const [name, { dtype, hex }] of await readTensors('bfloat16-legacy.pth')) {
    if (dtype === 'I64') continue;
    expect(dtype).toBe('BF16');
    const single = new Uint32Array(Uint8Array.from(Buffer.from(plain.get(name)?.hex ?? '', 'hex')).buffer);
    // Half of the last place is added, a tie goes to the even one.
    const rounded = Uint16Array.from(single, (bits) => (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
    expect([name, hex]).toEqual([name, Buffer.from(rounded.buffer).toString('hex')]);
  }
});

test.each([
  ['refused-whole-model.pth', /torch\.nn\.modules\.linear\.Linear, .*torch\.save\(model\.state_dict\(\)/],
  ['refused-whole-model-inside.pth', /whole Python object, torch\.nn\.modules\.linear\.Linear/],
  ['refused-whole-model-legacy.pth', /whole Python object, __main__\.Whole/],
  ['refused-no-state.pth', /no tensors .* Its keys are "epoch", "weights"/],
  ['refused-expanded.pth', /"classifier\.bias" of shape \[5\] lies on 4 bytes that it repeats/],
  ['refused-protocol4.pth', /at byte 2 of its pickle: it has the opcode FRAME \(0x95\)/],
])('what torch wrote to %s is refused, and why is said', async (file, why) => {
  await expect(readTensors(file)).rejects.toMatchObject({ code: 'ERR_FILE_FORMAT' });
  await expect(readTensors(file)).rejects.toThrow(why);
});

test.each(['refused-sparse.pth', 'refused-negated.pth'])(
  '%s is read, but for the tensor that cannot be',
  async (file) => {
    const { others, entries } = await readBytes(readFileSync(path.join(fixtures, file)));
    expect([...others.keys()]).toEqual(['classifier.bias']);
    expect(entries.map(({ name }) => name)).toEqual(['features.conv0.weight', 'classifier.weight']);
  },
);

test.each(['tiny.pth', 'tiny-legacy.pth', 'tiny.safetensors'])(
  '%s of torch is refused when cut at any byte',
  async (file) => {
    const bytes = readFileSync(path.join(fixtures, file));
    expect((await readBytes(bytes)).entries).toHaveLength(2);
    for (let length = 0; length < bytes.length; length += 1)
      await expect(readBytes(bytes.subarray(0, length))).rejects.toMatchObject({ code: 'ERR_FILE_FORMAT' });
  },
);

test('every single bit that flips in the tensors of a torch zip is noticed', async () => {
  const bytes = readFileSync(path.join(fixtures, 'tiny.pth'));
  const { entries } = await readBytes(bytes);
  for (const { offset, bytes: length } of entries)
    for (let bit = 0; bit < length * 8; bit += 1) {
      const damaged = Buffer.from(bytes);
      damaged[offset + (bit >> 3)]! ^= 1 << (bit & 7);
      await expect(readBytes(damaged)).rejects.toThrow(/do not have the checksum/);
    }
});

test('an archive without byteorder, as before torch 2.1, is little-endian', async () => {
  const bytes = zip(torchEntries().filter(({ name }) => name !== 'a/byteorder'));
  const { entries } = await readBytes(bytes);
  const [entry] = entries;
  expect(bytes.subarray(entry!.offset, entry!.offset + entry!.bytes)).toEqual(sixFloats);
});

test('a view of a storage has the place of its first element and the reach of its last', async () => {
  const { entries } = await readBytes(torchZip({ offset: 1, shape: [2, 2], strides: [3, 1] }));
  const whole = await readBytes(torchZip());
  expect(entries[0]).toMatchObject({ shape: [2, 2], strides: [3, 1], bytes: 5 * 4 });
  expect(entries[0]!.offset - whole.entries[0]!.offset).toBe(4);
});

describe('_rebuild_tensor_v3, which names the element type beside a storage of bytes', () => {
  const file = (...rest: Buffer[]): Buffer => {
    const storage = p.tupleOf(
      ...[p.text('storage'), p.global('torch.storage', 'UntypedStorage'), p.text('0'), p.text('cpu'), p.integer(24)],
    );
    const tensor = p.call(
      p.global('torch._utils', '_rebuild_tensor_v3'),
      ...[Buffer.concat([storage, p.persid]), p.integer(0)],
      ...[p.tupleOf(p.integer(2), p.integer(3)), p.tupleOf(p.integer(3), p.integer(1))],
      ...[p.no, p.call(p.global('collections', 'OrderedDict'))],
      ...rest,
    );
    return torchZip({}, p.pickle(p.dictOf(p.text('weight'), tensor)));
  };

  it('is read as _rebuild_tensor_v2 is', async () => {
    const { entries } = await readBytes(file(p.global('torch', 'float32')));
    const [same] = (await readBytes(torchZip())).entries;
    expect(entries).toMatchObject([
      { name: 'weight', dtype: 'F32', shape: [2, 3], strides: [3, 1], bytes: same?.bytes },
    ]);
  });

  it.each([
    ['without a type', [], /6 arguments, and it takes 7 to 8/],
    ['with a number for a type', [p.integer(1)], /in the place of its element type/],
    ['with more than it takes', [p.global('torch', 'float32'), p.none, p.none], /9 arguments/],
  ])('%s it is refused', async (_, rest, message) => {
    await expect(readBytes(file(...rest))).rejects.toMatchObject({
      code: 'ERR_FILE_FORMAT',
      message: expect.stringMatching(message) as unknown,
    });
  });
});
