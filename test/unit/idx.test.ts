import { mkdir, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { datasets } from '../../lib';
import { expectRefusal, refusal, temporaryFolder, wrong } from './support';

const inFolder = temporaryFolder();

/** An IDX file of bytes that count up from 0. */
function idxFile(shape: number[], type = 8, values?: number[]): Buffer {
  const head = Buffer.alloc(4 + 4 * shape.length);
  head.set([0, 0, type, shape.length]);
  shape.forEach((length, axis) => head.writeUInt32BE(length, 4 + 4 * axis));
  const count = shape.reduce((product, length) => product * length, 1);
  return Buffer.concat([head, Buffer.from(values ?? Array.from({ length: count }, (_, n) => n % 256))]);
}

async function write(name: string, bytes: Buffer): Promise<string> {
  await writeFile(inFolder(name), bytes);
  return inFolder(name);
}

const labels = (values: number[]) => write(`labels-${values.join('')}`, idxFile([values.length], 8, values));

describe('datasets.idx', () => {
  it('reads N×H×W as images of one channel, byte for byte, and a label for each', async () => {
    const data = await datasets.idx(await write('images', idxFile([3, 2, 4])), await labels([2, 0, 1]));
    expect(data).toMatchObject({ kind: 'array', size: 3, classes: ['0', '1', '2'], images: { shape: [3, 1, 2, 4] } });
    expect([...data.labels]).toEqual([2, 0, 1]);
    expect([...(data.images.data as Uint8Array)]).toEqual(Array.from({ length: 24 }, (_, n) => n));
  });

  it('reads N×C×H×W as it is, and takes names for the classes', async () => {
    const images = await write('colour', idxFile([2, 3, 2, 2]));
    const data = await datasets.idx(images, await labels([1, 0]), { classes: ['cat', 'dog', 'owl'] });
    expect([data.images.shape, data.classes]).toEqual([
      [2, 3, 2, 2],
      ['cat', 'dog', 'owl'],
    ]);
  });

  it('unpacks gzip, whatever the file is called', async () => {
    const plain = await datasets.idx(await write('plain', idxFile([2, 3, 3])), await labels([1, 1]));
    const packed = await datasets.idx(
      await write('packed', gzipSync(idxFile([2, 3, 3]))),
      await write('packed-labels', gzipSync(idxFile([2], 8, [1, 1]))),
    );
    expect(packed).toEqual(plain);
  });

  it.each<[string, () => Buffer, string]>([
    ['an empty file', () => Buffer.alloc(0), 'two zero bytes'],
    ['a text', () => Buffer.from('label,path\n0,a.png\n'), 'two zero bytes'],
    ['floats', () => idxFile([2, 2, 2], 0x0d), 'float32'],
    ['an unknown type', () => idxFile([2, 2, 2], 0x77), 'unknown type 119'],
    ['no axes', () => Buffer.from([0, 0, 8, 0, 1]), '0 axes'],
    ['255 axes', () => Buffer.concat([Buffer.from([0, 0, 8, 255]), Buffer.alloc(2000)]), '255 axes'],
    ['half a header', () => idxFile([2, 2, 2]).subarray(0, 10), 'within its header'],
    ['a length of 0', () => idxFile([0, 2, 2]), '[0, 2, 2]'],
    ['a shape beyond all numbers', () => idxFile([1, 1, 1]).fill(255, 4, 16), '4294967295'],
    ['a byte too few', () => idxFile([2, 2, 2]).subarray(0, -1), 'there are 23'],
    ['a byte too many', () => Buffer.concat([idxFile([2, 2, 2]), Buffer.alloc(1)]), 'there are 25'],
    ['gzip that was cut short', () => gzipSync(idxFile([9, 9, 9])).subarray(0, 40), 'unpacked'],
    [
      'gzip of a bomb that its header denies',
      () => gzipSync(Buffer.concat([idxFile([2, 2, 2]), Buffer.alloc(3e7)])),
      'more bytes',
    ],
    ['gzip that promises more than it can hold', () => gzipSync(idxFile([1, 1, 1]).fill(100, 4, 12)), 'cannot be'],
  ])('refuses %s, with the file and what is wrong', async (name, make, text) => {
    const file = await write(`bad ${name}`, make());
    await expectRefusal(async () => datasets.idx(file, await labels([0, 1])), 'ERR_FILE_FORMAT', file, text);
  });

  it('refuses files that do not belong together', async () => {
    const images = await write('three', idxFile([3, 2, 2]));
    await expectRefusal(async () => datasets.idx(images, await labels([0, 1])), 'ERR_DATASET', 'belong together');
    await expectRefusal(async () => datasets.idx(await labels([0, 1]), images), 'ERR_DATASET', '1 axes');
    await expectRefusal(() => datasets.idx(images, images), 'ERR_DATASET', 'one label');
  });

  it('refuses a label beyond the names', async () => {
    const images = await write('named', idxFile([2, 2, 2]));
    const call = async () => datasets.idx(images, await labels([0, 7]), { classes: ['a', 'b'] });
    await expectRefusal(call, 'ERR_LABEL_OUT_OF_RANGE', 'labels[1]', '0 to 1');
  });

  it('refuses what is no file, and bad arguments', async () => {
    await mkdir(inFolder('folder'));
    const names = await labels([0]);
    await expectRefusal(() => datasets.idx(inFolder('absent'), names), 'ERR_FILE', inFolder('absent'));
    await expectRefusal(() => datasets.idx(inFolder('folder'), names), 'ERR_FILE', 'regular file');
    for (const bad of [undefined, 3, '', 'a\0b'])
      expect((await refusal(() => datasets.idx(wrong(bad), names))).code).toBe('ERR_INVALID_ARGUMENT');
    await expectRefusal(() => datasets.idx(names, names, wrong({ class: [] })), 'ERR_INVALID_ARGUMENT', '"classes"');
    for (const classes of [[], ['a', 'a'], 'ab', [1]])
      await expectRefusal(() => datasets.idx(names, names, wrong({ classes })), 'ERR_INVALID_ARGUMENT', 'classes');
  });
});
