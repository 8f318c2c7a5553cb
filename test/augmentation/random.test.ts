import { datasets, Trainer, transforms, type TensorData, type Transform } from '../../lib';
import { expectRefusal, fingerprint, floats, modelMaker, rawImages, wrong } from '../unit/support';

const make = modelMaker();

const flat = (count: number, height: number, width: number, value = 200): TensorData => ({
  data: new Uint8Array(count * height * width).fill(value),
  shape: [count, 1, height, width],
});

/** The rows and columns of an image that differ from a value. */
function changed({ data, shape }: TensorData, index: number, value: number) {
  const [, , height, width] = shape as [number, number, number, number];
  const places = Array.from({ length: height * width }, (_, place) => place).filter(
    (place) => data[index * height * width + place] !== value,
  );
  const rows = places.map((place) => Math.floor(place / width));
  const columns = places.map((place) => place % width);
  const extent = (list: number[]) => (list.length === 0 ? 0 : Math.max(...list) - Math.min(...list) + 1);
  return { area: places.length, height: extent(rows), width: extent(columns) };
}

describe('randomErasing', () => {
  it('overwrites one rectangle of an area and a ratio within the limits', async () => {
    const erasing = transforms.randomErasing({ probability: 1, scale: [0.1, 0.3], ratio: [0.5, 2], value: 7 });
    const found = await transforms.apply(flat(200, 30, 40), [erasing]);
    const seen = Array.from({ length: 200 }, (_, index) => changed(found, index, 200));
    for (const { area, height, width } of seen) {
      expect(area).toBe(height * width);
      // Lengths are rounded, so that a limit may be passed by as much.
      expect(area).toBeGreaterThan(0.085 * 1200);
      expect(area).toBeLessThan(0.33 * 1200);
      expect(height / width).toBeGreaterThan(0.45);
      expect(height / width).toBeLessThan(2.2);
    }
    const areas = seen.map(({ area }) => area / 1200);
    expect(Math.min(...areas)).toBeLessThan(0.13);
    expect(Math.max(...areas)).toBeGreaterThan(0.27);
    expect(new Set<number | bigint>(found.data)).toEqual(new Set([200, 7]));
  });

  it('spares as many images as its probability says, and fills with noise where asked', async () => {
    const erasing = transforms.randomErasing({ probability: 0.3, value: 'noise' });
    const found = await transforms.apply(flat(500, 20, 20), [erasing]);
    const erased = Array.from({ length: 500 }, (_, index) => changed(found, index, 200).area).filter(
      (area) => area > 0,
    );
    expect(erased.length).toBeGreaterThan(110);
    expect(erased.length).toBeLessThan(190);
    expect(new Set<number | bigint>(found.data).size).toBe(256);
    const noise = await transforms.apply(floats([1, 1, 50, 50], Array(2500).fill(9)), [
      transforms.randomErasing({ probability: 1, scale: [0.9, 0.9], ratio: [1, 1], value: 'noise' }),
    ]);
    const values = [...(noise.data as Float32Array)].filter((value) => value !== 9);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    expect([Math.abs(mean) < 0.1, Math.abs(variance - 1) < 0.1]).toEqual([true, true]);
  });
});

describe('randomResizedCrop', () => {
  it('cuts out areas and ratios within its limits', async () => {
    // Each pixel is its own column and row, so that the corners of the result tell the rectangle.
    const side = 64;
    const ramp = Float32Array.from({ length: 2 * side * side }, (_, place) =>
      place < side * side ? place % side : Math.floor((place - side * side) / side),
    );
    const count = 300;
    const data = new Float32Array(count * ramp.length);
    for (let n = 0; n < count; n += 1) data.set(ramp, n * ramp.length);
    const crop = transforms.randomResizedCrop({ size: [32, 32] });
    const found = await transforms.apply({ data, shape: [count, 2, side, side] }, [crop]);
    const lengths = Array.from({ length: count }, (_, n) => {
      const start = n * 2 * 1024;
      // Half a pixel is missing at either end; antialiasing leaves a ramp as it is but for its ends.
      const width = ((found.data[start + 24] as number) - (found.data[start + 8] as number)) * 2;
      const height =
        ((found.data[start + 1024 + 24 * 32] as number) - (found.data[start + 1024 + 8 * 32] as number)) * 2;
      return [height, width] as const;
    });
    for (const [height, width] of lengths) {
      expect((height * width) / side ** 2).toBeGreaterThan(0.07);
      expect((height * width) / side ** 2).toBeLessThan(1.01);
      expect(width / height).toBeGreaterThan(0.7);
      expect(width / height).toBeLessThan(1.4);
    }
    const areas = lengths.map(([height, width]) => (height * width) / side ** 2);
    expect(Math.min(...areas)).toBeLessThan(0.15);
    expect(Math.max(...areas)).toBeGreaterThan(0.85);
  });

  it('takes the middle where no rectangle fits', async () => {
    const row = { data: Uint8Array.from({ length: 12 }, (_, n) => n * 20), shape: [1, 1, 1, 12] };
    const crop = transforms.randomResizedCrop({ size: [1, 2], scale: [1, 1], ratio: [2, 2] });
    expect([...(await transforms.apply(row, [crop])).data]).toEqual([100, 120]);
  });

  it('keeps the size where none is given, and trains a network of another one', async () => {
    const kept = await transforms.apply(rawImages([2, 3, 9, 7]), [transforms.randomResizedCrop()]);
    expect(kept.shape).toEqual([2, 3, 9, 7]);
    const model = await make();
    const data = datasets.fromArrays({ images: rawImages([6, 1, 16, 16]), labels: [0, 1, 2, 0, 1, 2] });
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.1 }, seed: 1 });
    const { epochs } = await trainer.fit(data, {
      epochs: 1,
      batchSize: 3,
      augment: [transforms.randomResizedCrop({ size: [8, 8] })],
      validation: data,
    });
    expect(epochs[0]?.train.size).toBe(6);
    const small = [transforms.randomResizedCrop({ size: [1, 1] })];
    await expectRefusal(() => trainer.fit(data, { epochs: 1, batchSize: 3, augment: small }), 'ERR_INPUT_TOO_SMALL');
  });
});

test('randomVerticalFlip mirrors top and bottom', async () => {
  const one = { data: Uint8Array.of(1, 2, 3, 4, 5, 6), shape: [1, 1, 3, 2] };
  const found = await transforms.apply(one, [transforms.randomVerticalFlip({ probability: 1 })]);
  expect([...found.data]).toEqual([5, 6, 3, 4, 1, 2]);
});

const all: Transform[] = [
  transforms.randomResizedCrop({ scale: [0.5, 1] }),
  transforms.randomCrop({ padding: 2 }),
  transforms.randomHorizontalFlip(),
  transforms.randomVerticalFlip(),
  transforms.randomRotation({ degrees: 20 }),
  transforms.colorJitter({ brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 }),
  transforms.randAugment(),
  transforms.trivialAugment(),
  transforms.randomErasing({ value: 'noise' }),
];

describe.each(all.map((one, index) => [one.type, index, one] as const))('%s (%i)', (_, __, one) => {
  it.each([
    ['raw pixels', rawImages([40, 3, 12, 10])],
    [
      'floats',
      {
        data: Float32Array.from(rawImages([40, 3, 12, 10]).data as Uint8Array, (v) => v / 255),
        shape: [40, 3, 12, 10],
      },
    ],
    ['grey', rawImages([40, 1, 12, 10])],
    ['two channels', rawImages([40, 2, 12, 10])],
  ])('is the same for the same seed and another for another, of %s', async (___, images) => {
    const before = images.data.slice();
    const [first, again, other] = [
      await transforms.apply(images, [one], { seed: 5 }),
      await transforms.apply(images, [one], { seed: 5 }),
      await transforms.apply(images, [one], { seed: 6 }),
    ];
    expect(first.shape).toEqual(images.shape);
    expect(Object.prototype.toString.call(first.data)).toBe(Object.prototype.toString.call(images.data));
    expect(Buffer.from(first.data.buffer).equals(Buffer.from(again.data.buffer))).toBe(true);
    expect(Buffer.from(first.data.buffer).equals(Buffer.from(other.data.buffer))).toBe(false);
    expect(images.data).toEqual(before);
  });
});

test('a run with all of them ends in the same weights for the same seed', async () => {
  const run = async (seed: number): Promise<string> => {
    const model = await make({ inChannels: 3 });
    const data = datasets.fromArrays({
      images: rawImages([12, 3, 8, 8]),
      labels: Array.from({ length: 12 }, (_, n) => n % 3),
    });
    await new Trainer(model, { optimizer: { type: 'sgd', lr: 0.1 }, seed }).fit(data, {
      epochs: 2,
      batchSize: 4,
      augment: all,
    });
    return fingerprint(model);
  };
  expect(await run(1)).toBe(await run(1));
  expect(await run(1)).not.toBe(await run(2));
});

describe('refused is', () => {
  it.each<[string, () => unknown, string]>([
    ['a size of one number', () => transforms.randomResizedCrop({ size: wrong([8]) }), 'size'],
    ['a size of half a pixel', () => transforms.randomResizedCrop({ size: [8.5, 8] }), 'size[0]'],
    ['an area of nothing', () => transforms.randomResizedCrop({ scale: [0, 1] }), 'scale[0]'],
    ['more than the whole', () => transforms.randomResizedCrop({ scale: [0.5, 1.5] }), 'scale[1]'],
    ['a range the wrong way round', () => transforms.randomResizedCrop({ ratio: [2, 1] }), 'in this order'],
    ['a ratio of 0', () => transforms.randomErasing({ ratio: [0, 1] }), 'ratio[0]'],
    ['another word than noise', () => transforms.randomErasing({ value: wrong('random') }), 'noise'],
    ['a value that is no number', () => transforms.randomErasing({ value: NaN }), 'value'],
    ['a negative factor', () => transforms.colorJitter({ brightness: -0.1 }), 'brightness'],
    ['a hue beyond half the circle', () => transforms.colorJitter({ hue: 0.6 }), 'hue'],
    ['a word for brightness that there is not', () => transforms.colorJitter(wrong({ brigthness: 1 })), 'brightness'],
    ['a magnitude beyond the bins', () => transforms.randAugment({ magnitude: 31 }), 'magnitude'],
    ['one bin', () => transforms.trivialAugment({ bins: 1 }), 'bins'],
    ['half an operation', () => transforms.randAugment({ operations: 0.5 }), 'operations'],
    ['an unknown operation', () => transforms.operation(wrong('sheerX')), 'Did you mean "shearX"'],
    ['half a bit', () => transforms.operation('posterize', 2.5), 'magnitude'],
    ['a list that is none', () => transforms.apply(flat(1, 2, 2), wrong('flip')), 'transforms'],
    [
      'a transform of no known type',
      () => transforms.apply(flat(1, 2, 2), [wrong({ type: 'flip' })]),
      'transforms[0].type',
    ],
    ['a seed below 0', () => transforms.apply(flat(1, 2, 2), [], { seed: -1 }), 'seed'],
    ['images that are none', () => transforms.apply(wrong([1, 2]), []), 'images'],
  ])('%s', async (_, call, text) => {
    await expectRefusal(call, 'ERR_INVALID_ARGUMENT', text);
  });
});
