import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { openData, type DataOptions } from '../../lib/cli/data';
import { expectRefusal, temporaryFolder } from '../unit/support';

const inFolder = temporaryFolder();

/** Writes files into a folder of their own, and gives its path. */
async function write(folder: string, files: Record<string, Buffer | string>): Promise<string> {
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(inFolder(folder), name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, content);
  }
  return inFolder(folder);
}

/** How many images there are to train on and to test on, and of which classes. */
async function open(options: DataOptions): Promise<[number, number, readonly string[]]> {
  const { train, validation } = await openData(options, 1);
  expect(validation.classes).toEqual(train.classes);
  return [train.size, validation.size, train.classes];
}

const picture = (): Promise<Buffer> =>
  sharp({ create: { width: 4, height: 4, channels: 3, background: { r: 9, g: 9, b: 9 } } })
    .png()
    .toBuffer();

const imagesOf = (count: number): Buffer =>
  Buffer.concat([Buffer.from([0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 2, 0, 0, 0, 2]), Buffer.alloc(count * 4)]);
const labelsOf = (...labels: number[]): Buffer => Buffer.from([0, 0, 8, 1, 0, 0, 0, labels.length, ...labels]);

test('a folder of MNIST that is not there, or is a file, is ERR_FILE', async () => {
  await writeFile(inFolder('file'), '');
  for (const place of ['nowhere', 'file'])
    await expectRefusal(() => openData({ path: inFolder(place), type: 'idx' }, 1), 'ERR_FILE', 'cannot be read');
});

test('a folder with MNIST’s own files is known by them, gzipped or not', async () => {
  const folder = await write('mnist', {
    'train-images-idx3-ubyte.gz': gzipSync(imagesOf(3)),
    'train-labels-idx1-ubyte.gz': gzipSync(labelsOf(0, 1, 1)),
    't10k-images.idx3-ubyte': imagesOf(2),
    't10k-labels.idx1-ubyte': labelsOf(1, 0),
  });
  expect(await open({ path: folder, type: 'idx' })).toEqual([3, 2, ['0', '1']]);
  expect(await open({ path: folder })).toEqual([3, 2, ['0', '1']]);
});

test('a folder of MNIST without one of its files names what lacks', async () => {
  const folder = await write('half', { 'train-images-idx3-ubyte': imagesOf(1) });
  await expectRefusal(() => openData({ path: folder }, 1), 'ERR_FILE', 'train-labels-idx…-ubyte');
});

test('CIFAR-100 is known by its files, and labels may be its coarse ones', async () => {
  const record = Buffer.concat([Buffer.from([19, 99]), Buffer.alloc(3072)]);
  const folder = await write('cifar', { 'train.bin': record, 'test.bin': record });
  const [train, test, classes] = await open({ path: folder });
  expect([train, test, classes.length]).toEqual([1, 1, 100]);
  expect((await open({ path: folder, labels: 'coarse' }))[2]).toHaveLength(20);
});

test('a CSV file is split, or has a second one beside it with the classes of the first', async () => {
  const lines = (...rows: string[]): string => `path,label\n${rows.join('\n')}\n`;
  const numbers = [...Array(10).keys()];
  const one = await picture();
  const folder = await write('csv', {
    ...Object.fromEntries(numbers.map((number) => [`${number}.png`, one])),
    'train.csv': lines(...numbers.map((number) => `${number}.png,${number % 2 === 0 ? 'cat' : 'dog'}`)),
    'test.csv': lines('1.png,dog'),
  });
  const form = { imageSize: [4, 4] as [number, number] };
  const file = path.join(folder, 'train.csv');
  expect(await open({ path: file, ...form })).toEqual([8, 2, ['cat', 'dog']]);
  expect(await open({ path: file, validation: path.join(folder, 'test.csv'), ...form })).toEqual([
    10,
    1,
    ['cat', 'dog'],
  ]);
});

test('a folder of classes may have a second one beside it, with the classes of the first', async () => {
  const one = await picture();
  const train = await write('train', { 'cat/1.png': one, 'cat/2.png': one, 'dog/1.png': one });
  const validation = await write('test', { 'cat/1.png': one, 'dog/1.png': one });
  expect(await open({ path: train, validation, imageSize: [4, 4] })).toEqual([3, 2, ['cat', 'dog']]);
});
