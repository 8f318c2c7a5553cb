import { readFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { readPicture, type PictureForm } from '../../lib/data/picture';
import { temporaryFolder } from './support';

interface Case {
  name: string;
  channels: 1 | 3;
  /** [height, width] */
  source: [number, number];
  size: [number, number];
  resizeSize: number | null;
  interpolation: 'bilinear' | 'bicubic';
  /** What PyTorch made of it: C×H×W bytes as base64. */
  expected: string;
}

/** Made by make_picture_fixtures.py. */
const { cases } = JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'pictures.json'), 'utf8')) as {
  cases: Case[];
};

const inFolder = temporaryFolder();

/** The program's own formula: slopes, curves and sharp edges, height×width×channels. */
function sourcePixels(channels: number, [height, width]: [number, number]): Uint8Array {
  return Uint8Array.from({ length: height * width * channels }, (_, place) => {
    const c = place % channels;
    const x = Math.floor(place / channels) % width;
    const y = Math.floor(place / channels / width);
    return Math.floor((3 * x * x + 7 * y * (c + 1) + 5 * x * y + 90 * c) / 4) % 256;
  });
}

function png({ channels, source }: Pick<Case, 'channels' | 'source'>): Promise<Buffer> {
  const [height, width] = source;
  return sharp(sourcePixels(channels, source), { raw: { width, height, channels } }).png().toBuffer();
}

const pixelsOf = async (bytes: Uint8Array | string, form: PictureForm) => {
  const { data, shape } = await readPicture(bytes, form);
  return { data: data as Uint8Array, shape };
};

describe('resize and crop are PyTorch’s, for a picture', () => {
  it.each(cases.map((one) => [one.name, one] as const))('%s', async (_, one) => {
    const found = await pixelsOf(await png(one), one);
    expect(found.shape).toEqual([1, one.channels, ...one.size]);
    const expected = Buffer.from(one.expected, 'base64');
    expect(found.data).toHaveLength(expected.length);
    const distances = Array.from(found.data, (value, place) => Math.abs(value - (expected[place] as number)));
    expect(distances.reduce((sum, distance) => sum + distance, 0) / distances.length).toBeLessThanOrEqual(1);
    // PyTorch resizes bytes as bytes, along one axis and then the other: it rounds in between, and cuts off what bicubic
    // interpolation overshoots there, which the float result keeps until the end.
    expect(Math.max(...distances)).toBeLessThanOrEqual(one.interpolation === 'bilinear' ? 2 : 12);
  });
});

test('a picture of the size that is wanted comes out as it went in, and so does any where none is wanted', async () => {
  const one = { channels: 3, source: [20, 30] } as const satisfies Partial<Case>;
  const bytes = await png({ ...one, source: [20, 30] });
  const own = await pixelsOf(bytes, { channels: 3, size: null });
  const same = await pixelsOf(bytes, { channels: 3, size: [20, 30] });
  const cut = await pixelsOf(bytes, { channels: 3, size: [20, 30], resizeSize: 20 });
  expect(own.shape).toEqual([1, 3, 20, 30]);
  const pixels = sourcePixels(3, [20, 30]);
  const plane = Array.from({ length: 600 }, (_, place) => pixels[place * 3]);
  expect(Array.from(own.data.subarray(0, 600))).toEqual(plane);
  for (const other of [same, cut]) expect(Buffer.from(own.data).equals(other.data)).toBe(true);
});

test('a path and the bytes of a file give the same', async () => {
  const one = cases[0] as Case;
  const bytes = await png(one);
  await sharp(bytes).toFile(inFolder('picture.png'));
  const [fromBytes, fromPath] = [await pixelsOf(bytes, one), await pixelsOf(inFolder('picture.png'), one)];
  expect(fromPath.shape).toEqual(fromBytes.shape);
  expect(Buffer.from(fromPath.data).equals(fromBytes.data)).toBe(true);
});

test('antialiasing averages what lies between: a fine grid becomes even grey', async () => {
  const grid = Uint8Array.from({ length: 64 * 64 }, (_, place) => ((place + Math.floor(place / 64)) % 2 ? 255 : 0));
  const bytes = await sharp(grid, { raw: { width: 64, height: 64, channels: 1 } })
    .png()
    .toBuffer();
  for (const interpolation of ['bilinear', 'bicubic'] as const) {
    const { data } = await pixelsOf(bytes, { channels: 1, size: [8, 8], interpolation });
    for (const value of data) expect(Math.abs(value - 127.5)).toBeLessThan(4);
  }
});

test('bilinear and bicubic differ, and bicubic never leaves the range of a byte', async () => {
  const edge = Uint8Array.from({ length: 16 * 16 }, (_, place) => (place % 16 < 8 ? 0 : 255));
  const bytes = await sharp(edge, { raw: { width: 16, height: 16, channels: 1 } })
    .png()
    .toBuffer();
  const [linear, cubic] = await Promise.all(
    (['bilinear', 'bicubic'] as const).map((interpolation) =>
      pixelsOf(bytes, { channels: 1, size: [40, 40], interpolation }),
    ),
  );
  expect(Buffer.from(linear!.data).equals(cubic!.data)).toBe(false);
  // Overshooting past black must stop there and not come round to white.
  for (let row = 0; row < 40; row += 1) {
    expect(Math.max(...cubic!.data.subarray(row * 40, row * 40 + 12))).toBeLessThan(40);
    expect(Math.min(...cubic!.data.subarray(row * 40 + 28, row * 40 + 40))).toBeGreaterThan(215);
  }
});
