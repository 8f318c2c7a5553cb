import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { datasets, type ArrayDataset } from '../../lib';
import { expectRefusal, wrong } from './support';

/** The file, read apart from the package: 64 pixels from 0 to 16 and a label a line. */
const lines = gunzipSync(readFileSync(path.join(__dirname, '..', '..', 'data', 'digits.csv.gz')))
  .toString()
  .trim()
  .split('\n')
  .map((line) => line.split(',').map(Number));

let all: ArrayDataset;
let train: ArrayDataset;
let held: ArrayDataset;
beforeAll(async () => {
  [all, train, held] = await Promise.all([datasets.digits('all'), datasets.digits('train'), datasets.digits('test')]);
});

const countsOf = ({ labels }: ArrayDataset): number[] =>
  Array.from({ length: 10 }, (_, digit) => labels.filter((label) => label === digit).length);

const imageOf = ({ images }: ArrayDataset, index: number): number[] =>
  Array.from(images.data.slice(index * 64, index * 64 + 64) as Uint8Array);

test('there are 1433 digits to train on, 364 to test with, and 1797 in all, 8×8 with one channel', () => {
  expect([train, held, all].map(({ size }) => size)).toEqual([1433, 364, 1797]);
  for (const { size, images, labels } of [train, held, all]) {
    expect(images.shape).toEqual([size, 1, 8, 8]);
    expect(labels).toHaveLength(size);
    expect(images.data).toBeInstanceOf(Uint8Array);
  }
});

test('each class has about as many images as any other', () => {
  expect(countsOf(all)).toEqual([178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
  expect(countsOf(train)).toEqual([142, 145, 141, 146, 144, 145, 144, 143, 139, 144]);
  expect(countsOf(held)).toEqual([36, 37, 36, 37, 37, 37, 37, 36, 35, 36]);
});

test('the classes are named by their digits', () => {
  for (const { classes } of [train, held, all])
    expect(classes).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
});

test('pixels go from 0 to 255: 17 steps of 255/16, rounded', () => {
  const steps = Array.from({ length: 17 }, (_, step) => Math.round((step * 255) / 16));
  expect([...new Set(all.images.data as Uint8Array)].sort((a, b) => a - b)).toEqual(steps);
  lines.forEach((line, index) => {
    expect(imageOf(all, index)).toEqual(line.slice(0, 64).map((value) => steps[value]));
    expect(all.labels[index]).toBe(line[64]);
  });
});

test('the test set is the last fifth of each class, in the order of the file, and the rest is trained on', () => {
  const trained: number[] = [];
  const tested: number[] = [];
  for (let digit = 0; digit < 10; digit += 1) {
    const members = Array.from(lines.keys()).filter((index) => lines[index]?.[64] === digit);
    const kept = members.length - Math.ceil(members.length / 5);
    trained.push(...members.slice(0, kept));
    tested.push(...members.slice(kept));
  }
  for (const [part, indices] of [
    [train, trained],
    [held, tested],
  ] as const)
    indices
      .sort((a, b) => a - b)
      .forEach((index, place) => {
        expect([part.labels[place], imageOf(part, place)]).toEqual([all.labels[index], imageOf(all, index)]);
      });
});

test('each call gives arrays of its own', async () => {
  const other = await datasets.digits('test');
  (other.images.data as Uint8Array).fill(0);
  expect((await datasets.digits('test')).images).toEqual(held.images);
});

test.each([[undefined], ['Train'], ['validation'], [0], [null]])('no other part: %p', async (part) => {
  await expectRefusal(() => datasets.digits(wrong(part)), 'ERR_INVALID_ARGUMENT', '"train", "test", "all"', 'got ');
});
