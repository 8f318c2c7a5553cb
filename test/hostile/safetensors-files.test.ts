import { mkdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { DenseNet, type ErrorCode } from '../../lib';
import { tinyConfig } from '../tiny';
import { expectRefusal, fingerprint, packSafetensors, refusal, temporaryFolder } from '../unit/support';

const inFolder = temporaryFolder();

/** As small as a network can be, so that its file can be cut at every byte. */
const smallest = {
  ...tinyConfig,
  growthRate: 1,
  blockConfig: [1],
  initChannels: 1,
  bottleneck: false,
  numClasses: 1,
  seed: 1,
};

type Header = Record<string, Record<string, unknown>>;

let model: DenseNet;
let before: string;
let whole: Buffer;
let header: Header;
let data: Buffer;

beforeAll(async () => {
  model = await DenseNet.create(smallest);
  before = await fingerprint(model);
  await model.saveWeights(inFolder('whole'));
  whole = await readFile(inFolder('whole'));
  const start = 8 + Number(whole.readBigUInt64LE());
  header = JSON.parse(whole.toString('utf8', 8, start)) as Header;
  data = whole.subarray(start);
});
afterAll(() => model.dispose());

/** Writes a file, and expects it to be refused everywhere, with the path in the message and the weights as they were. */
async function expectRefused(bytes: Uint8Array, code: ErrorCode, ...texts: string[]): Promise<void> {
  const file = inFolder('damaged');
  await writeFile(file, bytes);
  for (const call of [
    () => model.loadWeights(file),
    () => model.loadWeights(file, { strict: false }),
    () => DenseNet.load(file, { device: 'cpu' }),
  ])
    await expectRefusal(call, code, file, ...texts);
  expect(await fingerprint(model)).toBe(before);
}

/** The whole file with a change of its header; `undefined` takes a tensor out. */
function withHeader(changes: Record<string, unknown>): Buffer {
  return packSafetensors({ ...header, ...changes }, data);
}

/** The whole file with a change of one tensor's entry. */
function withEntry(changes: Record<string, unknown>): Buffer {
  return withHeader({ 'classifier.bias': { ...header['classifier.bias'], ...changes } });
}

/** A file of one tensor of 4 bytes, from the text of its entry. */
function one(entry: string): Buffer {
  return packSafetensors(`{"x":${entry}}`, Buffer.alloc(4));
}

const entry = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}';

test('the file that the others are made from is a good one', async () => {
  await writeFile(inFolder('again'), packSafetensors(header, data));
  expect((await model.loadWeights(inFolder('again'))).missing).toEqual([]);
  await (await DenseNet.load(inFolder('again'), { device: 'cpu' })).dispose();
});

test('a file that is cut short anywhere is refused', async () => {
  const file = inFolder('cut');
  await writeFile(file, whole);
  for (let length = whole.length - 1; length >= 0; length -= 1) {
    await truncate(file, length);
    const { code } = await refusal(() => model.loadWeights(file, { strict: false }));
    expect([length, code]).toEqual([length, 'ERR_FILE_FORMAT']);
    if (length % 16 === 0)
      expect((await refusal(() => DenseNet.load(file, { device: 'cpu' }))).code).toBe('ERR_FILE_FORMAT');
  }
  expect(await fingerprint(model)).toBe(before);
});

describe('refused as damaged is a file', () => {
  it.each<[string, () => Buffer, string]>([
    ['of no bytes', () => Buffer.alloc(0), 'damaged'],
    ['of 7 bytes', () => Buffer.alloc(7), 'damaged'],
    ['of zeros', () => Buffer.alloc(64), 'damaged'],
    ['of random bytes', () => Buffer.from(Array.from({ length: 256 }, (_, n) => (n * 167 + 13) % 256)), 'damaged'],
    ['of text', () => Buffer.from('this is no safetensors file at all, but a text'), 'damaged'],
    [
      'that is a zip, as PyTorch writes',
      () => Buffer.from('PK\x03\x04\x00\x00\x00\x00\x00\x00\x00\x00archive/data.pkl'),
      'damaged',
    ],
    ['with a byte more at its end', () => Buffer.concat([whole, Buffer.alloc(1)]), 'something was added'],
    [
      'whose header would be longer than it',
      () => packSafetensors(header, data, BigInt(whole.length)),
      'header would have',
    ],
    [
      'whose header ends where it does',
      () => packSafetensors(header, data, BigInt(packSafetensors(header, data).length - 8)),
      'damaged',
    ],
    ['whose header would be above the limit', () => packSafetensors(header, data, 100_000_001n), 'limit is 100000000'],
    ['whose header would have 2^53 bytes', () => packSafetensors(header, data, 2n ** 53n), 'limit is 100000000'],
    [
      'whose header would have 2^64 − 1 bytes',
      () => packSafetensors(header, data, 2n ** 64n - 1n),
      'limit is 100000000',
    ],
    ['whose header has no byte', () => packSafetensors('', data), 'damaged'],
    ['whose header begins with a space', () => packSafetensors(' {}'), 'damaged'],
    ['whose header begins with a byte-order mark', () => packSafetensors('\ufeff{}'), 'damaged'],
    ['whose header is a list', () => packSafetensors('[]'), 'damaged'],
    ['whose header is not JSON', () => packSafetensors('{"x":'), 'not JSON'],
    ['whose header goes on after its brace', () => packSafetensors('{}{}'), 'not JSON'],
    ['whose header is padded with zero bytes', () => packSafetensors('{}\0\0\0\0\0\0'), 'not JSON'],
    ['whose header has a comment', () => packSafetensors('{/* weights */}'), 'not JSON'],
    ['whose header is not UTF-8', () => packSafetensors(Buffer.from('{"\xff":1}', 'latin1')), 'not UTF-8'],
    ['whose header is UTF-16', () => packSafetensors(Buffer.from('{}', 'utf16le')), 'damaged'],
    ['with a tensor twice', () => packSafetensors(`{"x":${entry},"x":${entry}}`, Buffer.alloc(4)), '"x" twice'],
    [
      'with a tensor twice, once in other letters',
      () => packSafetensors(`{"x":${entry},"\\u0078":${entry}}`, Buffer.alloc(4)),
      '"x" twice',
    ],
    [
      'with a tensor twice, much space before the colon',
      () => packSafetensors(`{"x"${' '.repeat(99)}:${entry},"x":${entry}}`, Buffer.alloc(4)),
      '"x" twice',
    ],
    ['with a shape twice', () => one('{"dtype":"F32","shape":[9],"shape":[1],"data_offsets":[0,4]}'), '"shape" twice'],
    ['with __metadata__ twice', () => packSafetensors('{"__metadata__":{},"__metadata__":{}}'), '"__metadata__" twice'],
    ['with a metadata key twice', () => packSafetensors('{"__metadata__":{"a":"1","a":"2"}}'), '"a" twice'],
    [
      'with a __proto__ that is no tensor',
      () => packSafetensors('{"__proto__":{"polluted":true}}'),
      'tensor "__proto__"',
    ],
    ['with metadata that are a text', () => packSafetensors('{"__metadata__":"pt"}'), '__metadata__'],
    ['with metadata that are null', () => packSafetensors('{"__metadata__":null}'), '__metadata__'],
    ['with metadata that are a list', () => packSafetensors('{"__metadata__":["pt"]}'), '__metadata__'],
    ['with a metadata value that is a number', () => packSafetensors('{"__metadata__":{"format":1}}'), '__metadata__'],
    [
      'with a metadata value that is an object',
      () => packSafetensors('{"__metadata__":{"__proto__":{"a":"b"}}}'),
      '__metadata__',
    ],
    ['with a tensor that is a number', () => one('7'), 'tensor "x" is not an object'],
    ['with a tensor that is null', () => one('null'), 'tensor "x" is not an object'],
    ['with a tensor that is a list', () => one('["F32",[1],[0,4]]'), 'tensor "x" is not an object'],
    ['with a tensor of nothing', () => one('{}'), 'element type undefined'],
    ['with an element type that there is not', () => withEntry({ dtype: 'F31' }), 'element type "F31"'],
    ['with an element type in small letters', () => withEntry({ dtype: 'f32' }), 'element type "f32"'],
    [
      'with an element type that every object has',
      () => withEntry({ dtype: 'constructor' }),
      'element type "constructor"',
    ],
    ['with an element type that is a number', () => withEntry({ dtype: 32 }), 'element type 32'],
    [
      'with an element type of 100,000 lists',
      () => one(`{"dtype":${'['.repeat(1e5)}${']'.repeat(1e5)},"shape":[1],"data_offsets":[0,4]}`),
      'damaged',
    ],
    ['with an element type of other size', () => withEntry({ dtype: 'F64' }), 'needs 8'],
    ['without a shape', () => withEntry({ shape: undefined }), 'shape undefined'],
    ['with a shape that is a number', () => withEntry({ shape: 1 }), 'shape 1'],
    ['with a negative length', () => withEntry({ shape: [-1] }), 'shape [-1]'],
    ['with two negative lengths', () => withEntry({ shape: [-1, -1] }), 'shape [-1, -1]'],
    ['with a length and a half', () => withEntry({ shape: [1.5] }), 'shape [1.5]'],
    ['with a length that is a text', () => withEntry({ shape: ['1'] }), 'shape ["1"]'],
    ['with a length that is null', () => withEntry({ shape: [null] }), 'shape [null]'],
    ['with a length above 2^53', () => one('{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,4]}'), 'shape'],
    ['with a length without end', () => one('{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}'), 'shape'],
    ['with a shape that overflows', () => withEntry({ shape: [2 ** 32, 2 ** 32] }), 'too large to be true'],
    [
      'with a shape that overflows 64 bits to what fits',
      () => withEntry({ shape: [2 ** 32, 2 ** 32, 1] }),
      'too large to be true',
    ],
    [
      'with a shape that overflows and has a zero',
      () =>
        one(
          `{"dtype":"F32","shape":[${Array(40)
            .fill(2 ** 53 - 1)
            .join()},0],"data_offsets":[0,0]}`,
        ),
      'tensor "x"',
    ],
    ['with a shape of 65 lengths', () => withEntry({ shape: Array(65).fill(1) }), '65 values'],
    ['with more values than bytes', () => withEntry({ shape: [2] }), 'needs 8'],
    ['with fewer values than bytes', () => withEntry({ shape: [0] }), 'needs 0'],
    ['without data_offsets', () => withEntry({ data_offsets: undefined }), 'data_offsets undefined'],
    ['with one offset', () => withEntry({ data_offsets: [0] }), 'data_offsets [0]'],
    ['with three offsets', () => withEntry({ data_offsets: [0, 4, 8] }), 'data_offsets [0, 4, 8]'],
    ['with offsets that are texts', () => withEntry({ data_offsets: ['0', '4'] }), 'data_offsets ["0", "4"]'],
    ['with a negative offset', () => withEntry({ data_offsets: [-4, 0] }), 'data_offsets [-4, 0]'],
    ['with offsets and a half', () => withEntry({ data_offsets: [0.5, 4.5] }), 'data_offsets [0.5, 4.5]'],
    ['with offsets that go back', () => withEntry({ data_offsets: [8, 4] }), 'has -4 bytes'],
    [
      'with offsets above 2^53',
      () => one('{"dtype":"F32","shape":[1],"data_offsets":[9007199254740992,9007199254740996]}'),
      'data_offsets',
    ],
    [
      'with a tensor beyond its end',
      () => withEntry({ data_offsets: [data.length, data.length + 4] }),
      'classifier.bias',
    ],
    ['with a tensor over another', () => withEntry({ data_offsets: [0, 4] }), 'tensor'],
    [
      'with a hole before its first tensor',
      () => packSafetensors('{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', Buffer.alloc(8)),
      'begins at byte',
    ],
    [
      'with a hole between tensors',
      () => packSafetensors(`{"x":${entry},"y":{"dtype":"U8","shape":[1],"data_offsets":[5,6]}}`, Buffer.alloc(6)),
      'begins at byte',
    ],
    [
      'with a hole after its last tensor',
      () => packSafetensors(`{"x":${entry}}`, Buffer.alloc(5)),
      'something was added',
    ],
    ['with no tensor', () => packSafetensors({}), 'damaged'],
    ['with bytes and no tensor', () => packSafetensors('{}', Buffer.alloc(8)), 'something was added'],
    [
      'with a tensor within another',
      () => packSafetensors(`{"x":${entry},"y":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, Buffer.alloc(4)),
      'begins at byte',
    ],
    [
      'with an empty tensor within another',
      () => packSafetensors(`{"x":${entry},"y":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}}`, Buffer.alloc(4)),
      'begins at byte',
    ],
    [
      'with too many tensors',
      () => packSafetensors(`{${Array.from({ length: 100_001 }, (_, n) => `"${n}":0`).join()}}`),
      'limit is',
    ],
    [
      'with a text of twenty million letters',
      () => packSafetensors(`{"__metadata__":{"note":"${'x'.repeat(2e7)}"},"x":1}`),
      'tensor "x"',
    ],
  ])('%s', async (_, make, text) => {
    await expectRefused(make(), 'ERR_FILE_FORMAT', text);
  });
});

describe('refused as unreadable is', () => {
  it.each<[string, (file: string) => Promise<unknown>]>([
    ['a file that is not there', () => Promise.resolve()],
    ['a folder', (file) => mkdir(file)],
    ['a link to nothing', (file) => symlink('nowhere', file)],
    ['a link to itself', (file) => symlink(file, file)],
    ['a device', (file) => symlink('/dev/zero', file)],
  ])('%s', async (what, make) => {
    const file = inFolder(what.replaceAll(' ', '-'));
    await make(file);
    for (const call of [() => model.loadWeights(file), () => DenseNet.load(file, { device: 'cpu' })])
      await expectRefusal(call, 'ERR_FILE', file);
    expect(await fingerprint(model)).toBe(before);
  });
});

describe('refused as of another model is a file', () => {
  it.each<[string, () => Buffer, string[]]>([
    [
      'with another tensor alone',
      () => one(entry),
      ['0 tensors match', 'missing from the file', 'unknown to the model: x'],
    ],
    [
      'without one tensor',
      () =>
        packSafetensors(
          { 'classifier.weight': { dtype: 'F32', shape: [1, 2], data_offsets: [0, 8] } },
          Buffer.alloc(8),
        ),
      ['1 tensors match', '13 missing from the file: features.conv0.weight', 'strict: false'],
    ],
    [
      'with a tensor of another shape',
      () => withEntry({ shape: [1, 1] }),
      ['classifier.bias is [1, 1] in the file, but [1] in the model'],
    ],
    [
      'with a tensor that the model has not',
      () => withHeader({ extra: { dtype: 'F32', shape: [0], data_offsets: [0, 0] } }),
      ['unknown to the model: extra'],
    ],
    [
      'with a tensor named __proto__',
      () => Buffer.from(packSafetensors(`{"__proto__":${entry}}`, Buffer.alloc(4))),
      ['unknown to the model: __proto__'],
    ],
    ['with a scalar in the place of a vector', () => withEntry({ shape: [] }), ['classifier.bias is [] in the file']],
  ])('%s, with what matches, what is missing and what is too much', async (_, make, texts) => {
    await writeFile(inFolder('other'), make());
    await expectRefusal(
      () => model.loadWeights(inFolder('other')),
      'ERR_WEIGHTS_MISMATCH',
      inFolder('other'),
      'Nothing was loaded',
      ...texts,
    );
    expect(await fingerprint(model)).toBe(before);
  });

  it('none of whose tensors fits, without strict too', async () => {
    await writeFile(inFolder('none'), one(entry));
    await expectRefusal(
      () => model.loadWeights(inFolder('none'), { strict: false }),
      'ERR_WEIGHTS_MISMATCH',
      '0 tensors match',
    );
    expect(await fingerprint(model)).toBe(before);
  });

  it('with as many missing tensors as fill a page, of which it names five', async () => {
    await writeFile(inFolder('few'), one(entry));
    const { message } = await refusal(() => model.loadWeights(inFolder('few')));
    expect(message).toMatch(/, and \d+ more/);
    expect(message.length).toBeLessThan(1000);
  });
});

test('reading a file changes nothing of JavaScript’s own objects', async () => {
  await writeFile(
    inFolder('proto'),
    packSafetensors(`{"__proto__":${entry},"__metadata__":{"__proto__":"x"}}`, Buffer.alloc(4)),
  );
  await refusal(() => model.loadWeights(inFolder('proto')));
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(({} as Record<string, unknown>)['dtype']).toBeUndefined();
});
