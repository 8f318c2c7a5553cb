import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { transforms, type OperationName, type TensorData } from '../../lib';

/** A tensor as the fixture holds it. */
interface Stored {
  dtype: 'uint8' | 'float32';
  shape: number[];
  /** base64 */
  data: string;
}

interface Fixtures {
  operations: { name: string; operation: OperationName; magnitude: number; expected: Stored }[];
  hues: { hue: number; expected: Stored }[];
  jitters: { brightness: number; contrast: number; expected: Stored[] }[];
  affines: { scale: number; expected: Stored }[];
  resizedCrops: {
    source: [number, number];
    scale: number;
    ratio: number;
    size: [number, number];
    interpolation: 'bilinear' | 'bicubic';
    expected: Stored;
  }[];
  spaces: Record<'randAugment' | 'trivialAugment', Record<string, [number | number[], boolean]>>;
}

/** Made by make_fixtures.py. */
const fixtures = JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'augmentation.json'), 'utf8')) as Fixtures;

/** The program's own formula: slopes, curves and sharp edges. */
function image({ dtype, shape }: Pick<Stored, 'dtype' | 'shape'>): TensorData {
  const [channels, height, width] = shape.slice(-3) as [number, number, number];
  const data = Uint8Array.from({ length: channels * height * width }, (_, place) => {
    const x = place % width;
    const y = Math.floor(place / width) % height;
    const c = Math.floor(place / width / height);
    return (3 * x * x + 7 * y * (c + 1) + 5 * x * y + 90 * c + 40 * Math.floor(x / 3)) % 256;
  });
  const values = dtype === 'uint8' ? data : Float32Array.from(data, (value) => value / 255);
  return { data: values, shape: [1, channels, height, width] };
}

function decode({ dtype, data }: Stored): number[] {
  const bytes = Uint8Array.from(Buffer.from(data, 'base64'));
  return [...(dtype === 'uint8' ? bytes : new Float32Array(bytes.buffer))];
}

/** How far two lists of values are apart at most. */
function apart(found: ArrayLike<number>, expected: readonly number[]): number {
  expect(found).toHaveLength(expected.length);
  return expected.reduce((most, value, place) => Math.max(most, Math.abs(value - (found[place] as number))), 0);
}

const valuesOf = ({ data }: TensorData): number[] => Array.from(data as Uint8Array, Number);

/** `count` copies of an image. */
function repeat({ data, shape }: TensorData, count: number): TensorData {
  const copies = new Uint8Array(data.length * count);
  for (let copy = 0; copy < count; copy += 1) copies.set(data as Uint8Array, copy * data.length);
  return { data: copies, shape: [count, ...shape.slice(1)] };
}

/** The images of a batch, one list of values each. */
function each({ data, shape }: TensorData): number[][] {
  const count = shape[0] as number;
  const length = data.length / count;
  return Array.from({ length: count }, (_, n) => [...(data.subarray(n * length, (n + 1) * length) as Uint8Array)]);
}

describe('the operations of RandAugment and TrivialAugment', () => {
  it.each(fixtures.operations.map((one) => [one.name, one] as const))('%s', async (_, one) => {
    const found = await transforms.apply(image(one.expected), [transforms.operation(one.operation, one.magnitude)]);
    expect(found.shape).toEqual([1, ...one.expected.shape]);
    const raw = one.expected.dtype === 'uint8';
    expect(apart(valuesOf(found), decode(one.expected))).toBeLessThanOrEqual(raw ? 0 : 1e-6);
  });
});

describe('colorJitter', () => {
  it.each(fixtures.hues.map((one) => [one.hue, one.expected.dtype, one.expected.shape, one] as const))(
    'turns the hue by %p, %s of %j',
    async (hue, dtype, _, { expected }) => {
      const found = await transforms.apply(image(expected), [transforms.colorJitter({ hue: [hue, hue] })]);
      expect(apart(valuesOf(found), decode(expected))).toBeLessThanOrEqual(dtype === 'uint8' ? 0 : 1e-6);
    },
  );

  it('makes its changes in an order of its own for each image', async () => {
    const { brightness, contrast, expected } = fixtures.jitters[0] as Fixtures['jitters'][0];
    const orders = expected.map((one) => decode(one).join());
    const jitter = transforms.colorJitter({
      brightness: [brightness, brightness],
      contrast: [contrast, contrast],
    });
    const found = await transforms.apply(repeat(image(expected[0] as Stored), 64), [jitter]);
    const seen = each(found).map((values) => orders.indexOf(values.join()));
    for (const order of [0, 1]) expect(seen.filter((one) => one === order).length).toBeGreaterThan(15);
    expect(seen).not.toContain(-1);
  });

  it('draws factors within its ranges, and uses all of them', async () => {
    const grey = { data: new Uint8Array(300).fill(100), shape: [300, 1, 1, 1] };
    const found = each(await transforms.apply(grey, [transforms.colorJitter({ brightness: 0.4 })])).flat();
    expect(Math.min(...found)).toBeGreaterThanOrEqual(60);
    expect(Math.min(...found)).toBeLessThan(66);
    expect(Math.max(...found)).toBeLessThanOrEqual(140);
    expect(Math.max(...found)).toBeGreaterThan(134);
  });
});

describe('randomAffine', () => {
  it.each(fixtures.affines.map((one) => [one.scale, one.expected.dtype, one] as const))(
    'scales by %p as torchvision does, %s',
    async (scale, dtype, { expected }) => {
      const change = transforms.randomAffine({ degrees: 0, scale: [scale, scale] });
      const found = await transforms.apply(image(expected), [change]);
      // One level where a value lies half between two.
      expect(apart(valuesOf(found), decode(expected))).toBeLessThanOrEqual(dtype === 'uint8' ? 1 : 1e-5);
    },
  );
});

describe('randomResizedCrop', () => {
  it.each(fixtures.resizedCrops.map((one) => [one.source, one.size, one] as const))(
    'of %j to %j is one of all rectangles of its area and ratio, each of them sometimes',
    async (source, size, { scale, ratio, interpolation, expected }) => {
      const places = each({ ...image(expected), data: Uint8Array.from(decode(expected)), shape: expected.shape });
      const crop = transforms.randomResizedCrop({ size, scale: [scale, scale], ratio: [ratio, ratio], interpolation });
      const one = image({ dtype: 'uint8', shape: [1, ...source] });
      const found = await transforms.apply(repeat(one, 800), [crop]);
      expect(found.shape).toEqual([800, 1, ...size]);
      const seen = each(found).map((values) => places.findIndex((place) => apart(values, place) === 0));
      expect(seen).not.toContain(-1);
      expect(new Set(seen).size).toBe(places.length);
    },
  );
});

/** Short, so that a failure can be read. */
const digest = (values: readonly number[]): string =>
  createHash('sha256').update(Uint8Array.from(values)).digest('hex').slice(0, 16);

/** What a transform makes of many copies of one image. */
async function outcomes(transform: Parameters<typeof transforms.apply>[1][0], one: TensorData): Promise<string[]> {
  return each(await transforms.apply(repeat(one, 3000), [transform])).map(digest);
}

/** Every outcome of a space's operations at these bins. */
async function allowed(space: keyof Fixtures['spaces'], bins: number[], one: TensorData): Promise<Map<string, string>> {
  const known = new Map<string, string>();
  for (const [name, [values, signed]] of Object.entries(fixtures.spaces[space])) {
    const operation = `${(name[0] as string).toLowerCase()}${name.slice(1)}` as OperationName;
    for (const bin of typeof values === 'number' ? [0] : bins)
      for (const sign of signed ? [1, -1] : [1]) {
        const magnitude = sign * (typeof values === 'number' ? 0 : (values[bin] as number));
        const made = await transforms.apply(one, [transforms.operation(operation, magnitude)]);
        known.set(digest(valuesOf(made)), name);
      }
  }
  return known;
}

// As large as the fixture's space is for.
const picture = image({ dtype: 'uint8', shape: [3, 40, 60] });
const names = Object.keys(fixtures.spaces.randAugment);

test('randAugment makes every operation of torchvision’s space at its magnitude, both ways, and nothing else', async () => {
  const known = await allowed('randAugment', [14], picture);
  const seen = await outcomes(transforms.randAugment({ operations: 1, magnitude: 14 }), picture);
  expect(seen.filter((one) => !known.has(one))).toEqual([]);
  const counts = names.map((name) => seen.filter((one) => known.get(one) === name).length);
  // 3,000 of 14: 214 each, those that leave this picture as it is together.
  expect(Math.min(...counts.filter((count) => count > 0))).toBeGreaterThan(140);
  for (const key of known.keys()) expect(seen).toContain(key);
});

test('randAugment makes so many operations in a row', async () => {
  const two = await outcomes(transforms.randAugment({ operations: 2, magnitude: 14 }), picture);
  const known = await allowed('randAugment', [14], picture);
  expect(two.filter((one) => !known.has(one)).length).toBeGreaterThan(1500);
});

test('trivialAugment makes one operation of the wide space, at any of its strengths', async () => {
  const bins = [0, 1, 2, 3, 4];
  const space = fixtures.spaces.trivialAugment;
  const known = new Map<string, string>();
  for (const [name, [values, signed]] of Object.entries(space)) {
    // Five bins in place of 31: the ends are the same, and every seventh and a half of those between.
    const [first, last] = typeof values === 'number' ? [0, 0] : [values[0] as number, values[30] as number];
    const operation = `${(name[0] as string).toLowerCase()}${name.slice(1)}` as OperationName;
    for (const bin of bins)
      for (const sign of signed ? [1, -1] : [1]) {
        const even = Math.fround(Math.fround(first) + (Math.fround(last - first) * bin) / 4);
        const magnitude = sign * (name === 'Posterize' ? [8, 6, 5, 4, 2][bin]! : even);
        const made = await transforms.apply(picture, [transforms.operation(operation, magnitude)]);
        known.set(digest(valuesOf(made)), name);
      }
  }
  const seen = await outcomes(transforms.trivialAugment({ bins: 5 }), picture);
  expect(seen.filter((one) => !known.has(one))).toEqual([]);
  expect(new Set(seen).size).toBeGreaterThan(0.95 * known.size);
});
