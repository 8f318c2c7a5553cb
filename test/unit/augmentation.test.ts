import { datasets, manualSeed, Trainer, transforms, type TensorData, type Transform } from '../../lib';
import { tinyBatch, tinyTrainer } from '../tiny';
import {
  difference,
  fingerprint,
  floats,
  modelMaker,
  putTensors,
  rawImages,
  temporaryFolder,
  valuesOf,
} from './support';

const make = modelMaker();
const inFolder = temporaryFolder();

type Observe = (images: TensorData, augment: Transform[]) => Promise<number[]>;

/**
 * A way to see the 3×3 images that a network is trained on, as the mean of a batch. Each of nine kernels moves the image
 * to another side, so that what falls off differs; batch norm keeps the mean of each, and nine means give nine pixels.
 */
async function observer(seed = 1): Promise<Observe> {
  const model = await make({ blockConfig: [1], initChannels: 9 });
  const kernels = Array.from({ length: 81 }, (_, place) => (place % 10 === 0 ? 1 : 0));
  await putTensors(model, inFolder('kernels.safetensors'), { 'features.conv0.weight': floats([9, 1, 3, 3], kernels) });
  // A rate this small moves no weight, so that the kernels stay.
  const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 1e-30 }, seed });
  let before = Array<number>(9).fill(0);
  return async (images, augment) => {
    const count = images.shape[0] as number;
    const data = datasets.fromArrays({ images, labels: Array<number>(count).fill(0) });
    await trainer.fit(data, { epochs: 1, batchSize: count, shuffle: false, augment });
    const means = valuesOf((await model.stateDict()).get('features.denseblock1.denselayer1.norm1.running_mean'));
    const sums = means.map((mean, kernel) => 9 * 10 * (mean - 0.9 * (before[kernel] as number)));
    before = means;
    // Kernels of row 0, 1, 2 take rows 0–1, 0–2 and 1–2: so each row is a sum of them, and each column likewise.
    const parts = [
      [0, 1, -1],
      [1, -1, 1],
      [-1, 1, 0],
    ] as const;
    return parts.flatMap((row) =>
      parts.map((column) =>
        sums.reduce(
          (sum, value, kernel) => sum + value * (row[Math.floor(kernel / 3)] ?? 0) * (column[kernel % 3] ?? 0),
          0,
        ),
      ),
    );
  };
}

const picture = [0.1, 0.5, 0.9, 0.3, 0.2, 0.7, 0.4, 0.8, 0.6];
const image = floats([1, 1, 3, 3], picture);

function close(values: number[], digits = 4): number[] {
  return values.map((value) => expect.closeTo(value, digits) as number);
}

/** The picture at a place between pixels, row and column from 0 to 2; outside there is nothing. */
function bilinear(row: number, column: number): number {
  const [top, left] = [Math.floor(row), Math.floor(column)];
  let sum = 0;
  for (const [y, x] of [
    [top, left],
    [top, left + 1],
    [top + 1, left],
    [top + 1, left + 1],
  ] as const)
    if (y >= 0 && y <= 2 && x >= 0 && x <= 2)
      sum += (picture[3 * y + x] as number) * (1 - Math.abs(row - y)) * (1 - Math.abs(column - x));
  return sum;
}

/** The picture slanted, turned and scaled about its centre: for each pixel, where it comes from. */
function turned(degrees: number, scale: number, slant = 0): number[] {
  const [cosine, sine] = [Math.cos((degrees * Math.PI) / 180) / scale, Math.sin((degrees * Math.PI) / 180) / scale];
  return picture.map((_, place) => {
    const [y, x] = [Math.floor(place / 3) - 1, (place % 3) - 1];
    const down = cosine * y - sine * x;
    return bilinear(down + 1, sine * y + cosine * x - slant * down + 1);
  });
}

/** Of many numbers, the one whose picture is nearest to what was seen, and how far that is off. */
function nearest(numbers: number[], pictureOf: (number: number) => number[], seen: number[]): [number, number] {
  let best: [number, number] = [NaN, Infinity];
  for (const number of numbers) {
    const off = pictureOf(number).reduce(
      (most, value, place) => Math.max(most, Math.abs(value - (seen[place] as number))),
      0,
    );
    if (off < best[1]) best = [number, off];
  }
  return best;
}

function steps(from: number, to: number, step: number): number[] {
  return Array.from({ length: Math.round((to - from) / step) + 1 }, (_, index) => from + index * step);
}

test('without augmentation the network sees the images as they are', async () => {
  const observe = await observer();
  expect(await observe(image, [])).toEqual(close(picture));
  const raw = { data: Uint8Array.from({ length: 9 }, (_, place) => place * 30), shape: [1, 1, 3, 3] };
  expect(await observe(raw, [])).toEqual(close(Array.from(raw.data, (value) => value / 255)));
});

describe('randomHorizontalFlip', () => {
  const mirrored = [0, 3, 6].flatMap((start) => picture.slice(start, start + 3).reverse());

  it('with the probability 1 mirrors left and right, with 0 it does nothing', async () => {
    const observe = await observer();
    expect(await observe(image, [transforms.randomHorizontalFlip({ probability: 1 })])).toEqual(close(mirrored));
    expect(await observe(image, [transforms.randomHorizontalFlip({ probability: 0 })])).toEqual(close(picture));
  });

  it('mirrors about half of the images, each for itself', async () => {
    const observe = await observer();
    // Image n has its light, 2^n, at the left: what is at the right in the end are the mirrored ones' numbers.
    const pixels = Array.from({ length: 8 }, (_, n) => [0, 0, 0, 2 ** n, 0, 0, 0, 0, 0]).flat();
    const found: number[] = [];
    for (let epoch = 0; epoch < 25; epoch += 1) {
      const mean = await observe(floats([8, 1, 3, 3], pixels), [transforms.randomHorizontalFlip()]);
      expect((mean[3] as number) * 8 + (mean[5] as number) * 8).toBeCloseTo(255, 1);
      found.push(Math.round((mean[5] as number) * 8));
    }
    const flips = found.reduce((sum, code) => sum + code.toString(2).replaceAll('0', '').length, 0);
    expect(flips).toBeGreaterThan(70);
    expect(flips).toBeLessThan(130);
    expect(found.filter((code) => code > 0 && code < 255).length).toBeGreaterThan(20);
  });
});

describe('randomCrop', () => {
  /** The picture moved down and right, zeros coming in. */
  const moved = (down: number, right: number): number[] =>
    picture.map((_, place) => {
      const [y, x] = [Math.floor(place / 3) - down, (place % 3) - right];
      return y < 0 || y > 2 || x < 0 || x > 2 ? 0 : (picture[3 * y + x] as number);
    });

  it('moves the image by at most the padding, each way, zeros coming in', async () => {
    const observe = await observer();
    const steps = [-1, 0, 1];
    const windows = steps.flatMap((down) => steps.map((right) => moved(down, right)));
    const seen = new Set<number>();
    for (let epoch = 0; epoch < 80; epoch += 1) {
      const pixels = await observe(image, [transforms.randomCrop({ padding: 1 })]);
      const window = windows.findIndex((one) => difference(one, pixels) < 1e-4);
      expect([epoch, window]).not.toEqual([epoch, -1]);
      seen.add(window);
    }
    expect(seen.size).toBe(9);
  });

  it('may move it out of sight', async () => {
    const observe = await observer();
    const dark: boolean[] = [];
    for (let epoch = 0; epoch < 30; epoch += 1)
      dark.push(
        difference(await observe(image, [transforms.randomCrop({ padding: 8 })]), Array<number>(9).fill(0)) < 1e-4,
      );
    expect(new Set(dark).size).toBe(2);
  });
});

describe('randomAffine', () => {
  it('by 0 degrees and the scale 1 changes no raw pixel', async () => {
    const observe = await observer();
    const raw = { data: Uint8Array.of(0, 255, 1, 254, 128, 127, 3, 77, 200), shape: [1, 1, 3, 3] };
    const seen = await observe(raw, [transforms.randomAffine({ degrees: 0 })]);
    expect(seen.map((value) => Math.round(value * 25_500) / 100 + 0)).toEqual(Array.from(raw.data));
  });

  it('by a fixed scale is the bilinear picture of a hand’s arithmetic', async () => {
    const observe = await observer();
    for (const scale of [2, 0.5, 1.25])
      expect(await observe(image, [transforms.randomAffine({ degrees: 0, scale: [scale, scale] })])).toEqual(
        close(turned(0, scale)),
      );
  });

  it.each<
    [string, Parameters<typeof transforms.randomAffine>[0], (number: number) => number[], number, number, number]
  >([
    ['turns by an angle within ±degrees', { degrees: 30 }, (angle) => turned(angle, 1), -30, 30, 0.1],
    [
      'scales by a factor within the limits',
      { degrees: 0, scale: [0.8, 1.6] },
      (scale) => turned(0, scale),
      0.8,
      1.6,
      0.001,
    ],
    [
      'slants by an angle within ±shear',
      { degrees: 0, shear: 40 },
      (angle) => turned(0, 1, Math.tan((angle * Math.PI) / 180)),
      -40,
      40,
      0.1,
    ],
  ])('%s, and uses all of them', async (_, options, pictureOf, least, most, step) => {
    const observe = await observer();
    const range = most - least;
    // Looked for within wider limits, so that a number outside of the narrow ones is found.
    const numbers = steps(least - range / 8, most + range / 8, step);
    const found: number[] = [];
    for (let epoch = 0; epoch < 20; epoch += 1) {
      const [number, off] = nearest(numbers, pictureOf, await observe(image, [transforms.randomAffine(options)]));
      expect(off).toBeLessThan(2e-3);
      expect(number).toBeGreaterThan(least - 1.5 * step);
      expect(number).toBeLessThan(most + 1.5 * step);
      found.push(number);
    }
    expect(Math.min(...found)).toBeLessThan(least + range / 4);
    expect(Math.max(...found)).toBeGreaterThan(most - range / 4);
  });

  it('moves by at most the share of width and height', async () => {
    const observe = await observer();
    const point = floats([1, 1, 3, 3], [0, 0, 0, 0, 1, 0, 0, 0, 0]);
    const ways: [number, number][] = [];
    for (let epoch = 0; epoch < 20; epoch += 1) {
      const seen = await observe(point, [transforms.randomAffine({ degrees: 0, translate: [0.3, 0.1] })]);
      // The light of a point that moves by less than a pixel stays in the picture: its centre tells the way.
      const right = seen.reduce((sum, value, place) => sum + value * ((place % 3) - 1), 0);
      const down = seen.reduce((sum, value, place) => sum + value * (Math.floor(place / 3) - 1), 0);
      const share = (way: number, step: number): number => (step === 0 ? 1 - Math.abs(way) : Math.max(way * step, 0));
      expect(seen).toEqual(
        close(seen.map((_, place) => share(right, (place % 3) - 1) * share(down, Math.floor(place / 3) - 1))),
      );
      ways.push([right, down]);
    }
    const [rights, downs] = [ways.map(([right]) => right), ways.map(([, down]) => down)];
    for (const [list, limit] of [
      [rights, 0.9],
      [downs, 0.3],
    ] as const) {
      expect(Math.max(...list.map(Math.abs))).toBeLessThan(limit + 1e-3);
      expect(Math.min(...list)).toBeLessThan(-limit / 2);
      expect(Math.max(...list)).toBeGreaterThan(limit / 2);
    }
  });
});

test('several transforms are made in the order of the list', async () => {
  const observe = await observer();
  const [zoom, flip] = [
    transforms.randomAffine({ degrees: 0, scale: [2, 2] }),
    transforms.randomHorizontalFlip({ probability: 1 }),
  ];
  const zoomed = turned(0, 2);
  expect(await observe(image, [zoom, flip])).toEqual(
    close([0, 3, 6].flatMap((start) => zoomed.slice(start, start + 3).reverse())),
  );
  const draws = async (list: Transform[]): Promise<number[]> => (await observer(4))(image, list);
  const [crop, turn] = [transforms.randomCrop({ padding: 1 }), transforms.randomAffine({ degrees: 40 })];
  expect(await draws([crop, turn])).not.toEqual(await draws([turn, crop]));
});

describe('a run with augmentation, shuffling and dropout', () => {
  const data = datasets.fromArrays({
    images: rawImages([20, 1, 8, 8]),
    labels: Array.from({ length: 20 }, (_, n) => n % 3),
  });
  const augment = [transforms.randomCrop({ padding: 2 }), transforms.randomHorizontalFlip(), transforms.randomAffine()];

  async function weightsAfter(
    seed: number | undefined,
    options: { shuffle?: boolean; augment?: Transform[]; dropRate?: number },
  ): Promise<string> {
    const { dropRate = 0, ...fit } = options;
    const model = await make({ dropRate });
    const trainer = new Trainer(model, {
      optimizer: { type: 'sgd', lr: 0.1, momentum: 0.9 },
      ...(seed === undefined ? {} : { seed }),
    });
    await trainer.fit(data, { epochs: 3, batchSize: 8, ...fit });
    return fingerprint(model);
  }

  it('ends in the same weights, bit for bit, for the same seed', async () => {
    const options = { augment, dropRate: 0.2 };
    expect(await weightsAfter(3, options)).toBe(await weightsAfter(3, options));
  });

  it.each([
    ['the augmentation', { shuffle: false, augment }],
    ['the order of the images', { shuffle: true, augment: [] }],
    ['dropout', { shuffle: false, augment: [], dropRate: 0.2 }],
  ])('ends in other weights for another seed: it decides %s', async (_, options) => {
    expect(await weightsAfter(3, options)).not.toBe(await weightsAfter(4, options));
  });

  it('does not depend on the seed where nothing is drawn', async () => {
    expect(await weightsAfter(3, { shuffle: false })).toBe(await weightsAfter(4, { shuffle: false }));
  });

  it('without a seed is decided by manualSeed', async () => {
    const run = async (seed: number): Promise<string> => {
      await manualSeed(seed);
      return weightsAfter(undefined, { augment, dropRate: 0.2 });
    };
    const first = await run(1);
    expect(await run(1)).toBe(first);
    expect(await run(2)).not.toBe(first);
  });

  it('gives each epoch draws of its own', async () => {
    const observe = await observer();
    const crop = [transforms.randomCrop({ padding: 1 })];
    const seen = [
      await observe(image, crop),
      await observe(image, crop),
      await observe(image, crop),
      await observe(image, crop),
    ];
    expect(new Set(seen.map((pixels) => pixels.map((value) => value.toFixed(3)).join())).size).toBeGreaterThan(1);
  });

  it('leaves the images of the data set as they were', async () => {
    const before = rawImages([20, 1, 8, 8]).data;
    await weightsAfter(3, { augment });
    expect(data.images.data).toEqual(before);
  });

  it('evaluates on images as they are', async () => {
    const model = await make();
    const trainer = tinyTrainer(model);
    const held = datasets.fromArrays(tinyBatch(9));
    const { epochs } = await trainer.fit(data, { epochs: 1, batchSize: 8, validation: held, augment });
    const { loss, top1, size } = await trainer.evaluate(held, { batchSize: 8 });
    expect(epochs[0]?.validation).toEqual({ loss, top1, size });
  });
});
