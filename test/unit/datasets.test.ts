import { datasets, type ArrayDataset } from '../../lib';
import { expectRefusal, rawImages, wrong } from './support';

const invalid = 'ERR_INVALID_ARGUMENT';

/** Images of one pixel whose value is their index, and their labels. */
function numbered(labels: number[]): ArrayDataset {
  return datasets.fromArrays({
    images: { data: Float32Array.from(labels.keys()), shape: [labels.length, 1, 1, 1] },
    labels,
  });
}

/** Which images of {@link numbered} a data set holds, in order. */
function numbersOf(dataset: ArrayDataset): number[] {
  return Array.from(dataset.images.data as Float32Array);
}

describe('datasets.fromArrays', () => {
  const images = rawImages([3, 1, 2, 2]);

  it('keeps the images as they are, without a copy', () => {
    const dataset = datasets.fromArrays({ images, labels: [2, 0, 1] });
    expect(dataset.images.data).toBe(images.data);
    expect(dataset.images.shape).toEqual([3, 1, 2, 2]);
    expect(dataset).toMatchObject({ kind: 'array', size: 3, labels: Int32Array.of(2, 0, 1) });
  });

  it.each([
    ['an array', [2, 0, 2]],
    ['an Int32Array', Int32Array.of(2, 0, 2)],
    ['a BigInt64Array', BigInt64Array.of(2n, 0n, 2n)],
    ['a Uint8Array', Uint8Array.of(2, 0, 2)],
  ])('takes labels as %s', (_, labels) => {
    expect(datasets.fromArrays({ images, labels }).labels).toEqual(Int32Array.of(2, 0, 2));
  });

  it('names the classes by their indices up to the highest label', () => {
    expect(datasets.fromArrays({ images, labels: [0, 3, 3] }).classes).toEqual(['0', '1', '2', '3']);
  });

  it('copies names that are given, of which some may have no image', () => {
    const classes = ['ant', 'bee', 'cow', 'dog'];
    const dataset = datasets.fromArrays({ images, labels: [0, 0, 1], classes });
    classes[0] = 'eel';
    expect(dataset.classes).toEqual(['ant', 'bee', 'cow', 'dog']);
  });

  it('does not follow labels that are changed afterwards', () => {
    const labels = Int32Array.of(0, 1, 2);
    const dataset = datasets.fromArrays({ images, labels });
    labels[0] = 9;
    expect(dataset.labels[0]).toBe(0);
  });

  const labels = [0, 1, 2];
  it.each<[unknown, string, string]>([
    [undefined, 'images must be an object', 'got undefined.'],
    [null, 'options must be an object', 'got null.'],
    [{ images }, 'labels must be an array of numbers', 'got undefined.'],
    [{ images, labels: 3 }, 'labels must be an array of numbers', 'got 3.'],
    [{ images, labels: Float32Array.of(0, 1, 2) }, 'labels must be an array of numbers', 'Float32Array of 12 bytes.'],
    [{ images, labels: [0, 1] }, 'labels has 2 labels for 3 images', 'one label an image'],
    [{ images, labels, classes: 'abc' }, 'classes must be an array of names', 'got "abc".'],
    [{ images, labels, classes: [1, 2, 3] }, 'classes must be an array of names', 'got [1, 2, 3].'],
    [{ images, labels, classes: null }, 'classes must be an array of names', 'got null.'],
    [{ images, labels, classes: new Array(3) }, 'classes must be an array of names', 'got '],
    [{ images, labels, names: ['a'] }, 'the options are images, labels, classes', '"names"'],
    [{ images: { data: images.data, shape: [3, 4] }, labels }, 'N×C×H×W', 'got [3, 4].'],
  ])('refuses %j', async (options, allowed, given) => {
    await expectRefusal(() => datasets.fromArrays(wrong(options)), invalid, allowed, given);
  });

  it.each<[unknown[] | Int32Array, string]>([
    [[0, 1, -1], 'labels[2]'],
    [[0.5, 1, 1], 'labels[0]'],
    [[0, NaN, 1], 'labels[1]'],
    [[0, '1', 1], 'labels[1]'],
    [[0, null, 1], 'labels[1]'],
    [[0, true, 1], 'labels[1]'],
    [new Array(3), 'labels[0]'],
    [Int32Array.of(0, -5, 1), 'labels[1]'],
  ])('refuses the labels %p with the place of the first that is none', async (bad, place) => {
    await expectRefusal(
      () => datasets.fromArrays(wrong({ images, labels: bad })),
      'ERR_LABEL_OUT_OF_RANGE',
      place,
      'got ',
    );
  });

  it('refuses a label beyond the names with how many there are', async () => {
    const options = { images, labels: [0, 1, 2], classes: ['a', 'b'] };
    await expectRefusal(
      () => datasets.fromArrays(options),
      'ERR_LABEL_OUT_OF_RANGE',
      'labels[2]',
      'from 0 to 1',
      'got 2.',
    );
  });

  it('refuses an empty list of names as such', async () => {
    await expectRefusal(() => datasets.fromArrays({ images, labels, classes: [] }), invalid, 'classes', 'got [].');
  });
});

describe('datasets.subset', () => {
  const all = numbered([0, 1, 2, 0, 1, 2]);

  it('takes images in the order of the indices, one more than once', () => {
    const part = datasets.subset(all, [5, 0, 5]);
    expect([numbersOf(part), Array.from(part.labels), part.size]).toEqual([[5, 0, 5], [2, 0, 2], 3]);
    expect(part.images.shape).toEqual([3, 1, 1, 1]);
    expect(part.classes).toEqual(all.classes);
  });

  it('copies whole images, of every kind', () => {
    for (const data of [
      Float32Array.of(1, 2, 3, 4, 5, 6),
      Uint8Array.of(1, 2, 3, 4, 5, 6),
      Buffer.of(1, 2, 3, 4, 5, 6),
    ]) {
      const from = datasets.fromArrays({ images: { data, shape: [2, 3, 1, 1] }, labels: [0, 1] });
      const part = datasets.subset(from, [1]);
      data.fill(9);
      expect(Array.from(part.images.data as Uint8Array)).toEqual([4, 5, 6]);
    }
  });

  it.each<[unknown, string, string]>([
    [[], 'indices must be an array of at least one index', 'got [].'],
    [3, 'indices must be an array of at least one index', 'got 3.'],
    [undefined, 'indices must be an array of at least one index', 'got undefined.'],
    [[0, 6], 'indices[1] must be an integer from 0 to 5', 'got 6.'],
    [[-1], 'indices[0] must be an integer from 0 to 5', 'got -1.'],
    [[0.5], 'indices[0] must be an integer from 0 to 5', 'got 0.5.'],
    [['0'], 'indices[0] must be an integer from 0 to 5', 'got "0".'],
    [new Array(2), 'indices[0] must be an integer from 0 to 5', 'got undefined.'],
  ])('refuses the indices %j', async (indices, allowed, given) => {
    await expectRefusal(() => datasets.subset(all, wrong(indices)), invalid, allowed, given);
  });
});

describe('datasets.split', () => {
  const labels = Array.from({ length: 60 }, (_, index) => (index < 10 ? 0 : index < 30 ? 1 : 2));
  const all = numbered(labels);

  it('gives both parts the same share of each class', () => {
    for (const options of [undefined, { seed: 3 }]) {
      const [first, second] = datasets.split(all, 0.7, options);
      const count = (part: ArrayDataset): number[] =>
        [0, 1, 2].map((label) => part.labels.filter((one) => one === label).length);
      expect([count(first), count(second)]).toEqual([
        [7, 14, 21],
        [3, 6, 9],
      ]);
    }
  });

  it('gives each image to one part, with its label, both parts in the old order', () => {
    for (const options of [undefined, { seed: 3 }]) {
      const parts = datasets.split(all, 0.4, options);
      const numbers = parts.map(numbersOf);
      expect(numbers.flat().sort((a, b) => a - b)).toEqual(Array.from(labels.keys()));
      for (const [place, part] of parts.entries()) {
        expect(numbers[place]).toEqual(numbers[place]?.toSorted((a, b) => a - b));
        expect(Array.from(part.labels)).toEqual(numbersOf(part).map((number) => labels[number]));
      }
    }
  });

  it('without a seed gives the first of each class to the first part', () => {
    const [first] = datasets.split(all, 0.5);
    const expected = Array.from(labels.keys()).filter((n) => n < 5 || (n >= 10 && n < 20) || (n >= 30 && n < 45));
    expect(numbersOf(first)).toEqual(expected);
  });

  it('by the same seed is the same, by another seed another', () => {
    const first = (seed: number): number[] => numbersOf(datasets.split(all, 0.5, { seed })[0]);
    expect(first(7)).toEqual(first(7));
    expect(first(8)).not.toEqual(first(7));
    expect(first(0)).not.toEqual(numbersOf(datasets.split(all, 0.5)[0]));
  });

  it('counts a share that is a whole number of images exactly, though 100 × 0.29 is 28.999999999999996', () => {
    const [first] = datasets.split(numbered(Array<number>(100).fill(0)), 0.29);
    expect(first.size).toBe(29);
  });

  it('copies: the parts do not change with the whole', () => {
    const whole = numbered([0, 0]);
    const [first] = datasets.split(whole, 0.5);
    (whole.images.data as Float32Array).fill(9);
    expect(numbersOf(first)).toEqual([0]);
  });

  it.each<[unknown, unknown, string, string]>([
    [1, undefined, 'fraction must be a finite number', 'got 1.'],
    [-0.5, undefined, 'fraction must be a finite number', 'got -0.5.'],
    [NaN, undefined, 'fraction must be a finite number', 'got NaN.'],
    ['0.5', undefined, 'fraction must be a finite number', 'got "0.5".'],
    [0.5, { seed: -1 }, 'seed must be an integer from 0 to 4294967295', 'got -1.'],
    [0.5, { seed: 2 ** 32 }, 'seed must be an integer from 0 to 4294967295', 'got 4294967296.'],
    [0.5, { sed: 1 }, 'options has no option "sed"', 'Did you mean "seed"?'],
    [0.5, 7, 'options must be an object', 'got 7.'],
    [0.001, undefined, 'fraction 0.001 of 60 images', 'empty'],
    [0, undefined, 'fraction', '0'],
  ])('refuses the fraction %p with the options %j', async (fraction, options, allowed, given) => {
    await expectRefusal(() => datasets.split(all, wrong(fraction), wrong(options)), invalid, allowed, given);
  });
});

describe.each<[string, (dataset: unknown) => unknown]>([
  ['subset', (dataset) => datasets.subset(wrong(dataset), [0])],
  ['split', (dataset) => datasets.split(wrong(dataset), 0.5)],
])('datasets.%s', (_, call) => {
  it.each([
    [undefined],
    [null],
    ['digits'],
    [[1, 2]],
    [{ kind: 'stream' }],
    [{ kind: 'array' }],
    [{ kind: 'array', size: 1, images: rawImages([1, 1, 2, 2]) }],
    [{ ...numbered([0, 1]), images: { data: [1, 2], shape: [2, 1, 1, 1] } }],
    [Promise.resolve(numbered([0, 1]))],
  ])('refuses what is no data set: %p', async (dataset) => {
    await expectRefusal(() => call(dataset), invalid, 'must be');
  });
});
