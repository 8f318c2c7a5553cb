import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { crc32, deflateSync } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import { DenseNet, type TensorData } from '../../lib';
import { readPicture } from '../../lib/data/picture';
import { tinyModel } from '../tiny';
import { difference, expectRefusal, temporaryFolder } from '../unit/support';

const inFolder = temporaryFolder();
const colour = { channels: 3, size: null };
const grey = { channels: 1, size: null };

/** A picture of a few pixels, given as they follow one another. */
function pixels(channels: 1 | 2 | 3 | 4, width: number, values: number[]): Sharp {
  return sharp(Uint8Array.from(values), { raw: { width, height: values.length / channels / width, channels } });
}

/** Writes a picture, and reads it as a model of 3 channels or of 1 would have it. */
async function read(picture: Sharp, name: string, options: Parameters<typeof readPicture>[1]): Promise<TensorData> {
  await picture.toFile(inFolder(name));
  return readPicture(inFolder(name), options);
}

function valuesOf(picture: TensorData): number[] {
  return Array.from(picture.data as Uint8Array);
}

/** Expects as many numbers, each within a distance of another. */
function expectAbout(values: number[], expected: number[], distance: number): void {
  expect([values, difference(values, expected)]).toEqual([values, expect.toBeBelow(distance + 0.5)]);
}

describe('a picture becomes 1×C×H×W of raw pixels:', () => {
  it('colour, plane by plane', async () => {
    const picture = await read(pixels(3, 2, [255, 0, 7, 0, 250, 8, 1, 2, 3, 4, 5, 6]).png(), 'colour.png', colour);
    expect(picture.shape).toEqual([1, 3, 2, 2]);
    expect(valuesOf(picture)).toEqual([255, 0, 1, 4, 0, 250, 2, 5, 7, 8, 3, 6]);
  });

  it('grey as it is', async () => {
    const picture = await read(pixels(1, 3, [0, 77, 255]).png(), 'grey.png', grey);
    expect([picture.shape, valuesOf(picture)]).toEqual([
      [1, 1, 1, 3],
      [0, 77, 255],
    ]);
  });

  it('grey for a model of colours, three times', async () => {
    expect(valuesOf(await read(pixels(1, 2, [10, 200]).png(), 'grey.png', colour))).toEqual([
      10, 200, 10, 200, 10, 200,
    ]);
  });

  it('colour for a model of grey, by its brightness', async () => {
    const picture = await read(pixels(3, 4, [0, 0, 0, 255, 255, 255, 90, 90, 90, 0, 255, 0]).png(), 'colour.png', grey);
    expect(picture.shape).toEqual([1, 1, 1, 4]);
    expectAbout(valuesOf(picture).slice(0, 3), [0, 255, 90], 1);
    expect(valuesOf(picture)[3]).toBeGreaterThan(150);
  });

  it('what is transparent as white', async () => {
    const see = pixels(4, 3, [255, 0, 0, 0, 255, 0, 0, 255, 0, 0, 0, 128]);
    expectAbout(valuesOf(await read(see.png(), 'see.png', colour)), [255, 255, 127, 255, 0, 127, 255, 0, 127], 1);
    expect(valuesOf(await read(pixels(2, 2, [40, 0, 40, 255]).png(), 'see-grey.png', grey))).toEqual([255, 40]);
    expect(valuesOf(await read(pixels(2, 1, [40, 0]).png(), 'see-grey.png', colour))).toEqual([255, 255, 255]);
  });

  it.each([
    [1, [2, 3], [0, 80, 160, 240, 250, 255]],
    [2, [2, 3], [160, 80, 0, 255, 250, 240]],
    [3, [2, 3], [255, 250, 240, 160, 80, 0]],
    [4, [2, 3], [240, 250, 255, 0, 80, 160]],
    [5, [3, 2], [0, 240, 80, 250, 160, 255]],
    [6, [3, 2], [240, 0, 250, 80, 255, 160]],
    [7, [3, 2], [255, 160, 250, 80, 240, 0]],
    [8, [3, 2], [160, 255, 80, 250, 0, 240]],
  ])('turned as EXIF’s orientation %i says', async (orientation, size, expected) => {
    const picture = pixels(1, 3, [0, 80, 160, 240, 250, 255]).withMetadata({ orientation });
    const found = await read(picture.png(), 'turned.png', grey);
    expect([found.shape, valuesOf(found)]).toEqual([[1, 1, ...size], expected]);
  });

  it('a JPEG within what its compression loses', async () => {
    const flat = Array.from({ length: 16 * 16 }, () => [200, 50, 100]).flat();
    const picture = await read(pixels(3, 16, flat).jpeg({ quality: 100 }), 'flat.jpg', colour);
    expect(picture.shape).toEqual([1, 3, 16, 16]);
    expectAbout(
      valuesOf(picture),
      [200, 50, 100].flatMap((value) => Array<number>(256).fill(value)),
      4,
    );
  });

  it('CMYK as its colours', async () => {
    const flat = Array.from({ length: 16 * 16 }, () => [230, 20, 20]).flat();
    const picture = pixels(3, 16, flat).toColourspace('cmyk').jpeg({ quality: 100 });
    const found = await read(picture, 'print.jpg', colour);
    expect((await sharp(inFolder('print.jpg')).metadata()).space).toBe('cmyk');
    expect(found.shape).toEqual([1, 3, 16, 16]);
    expectAbout(
      [0, 256, 512].map((place) => valuesOf(found)[place] as number),
      [230, 20, 20],
      30,
    );
    expect((await readPicture(inFolder('print.jpg'), grey)).shape).toEqual([1, 1, 16, 16]);
  });

  it('16 bits by their upper 8', async () => {
    const deep = (channels: 1 | 3, values: number[]): Sharp =>
      sharp(Uint16Array.from(values), { raw: { width: values.length / channels, height: 1, channels } });
    const rgb = deep(3, [0, 65_535, 32_768, 1000, 2000, 3000]).toColourspace('rgb16').png();
    expectAbout(valuesOf(await read(rgb, 'deep.png', colour)), [0, 3, 255, 7, 128, 11], 1);
    expect((await sharp(inFolder('deep.png')).metadata()).depth).toBe('ushort');
    const grey16 = deep(1, [0, 65_535, 32_768, 1000]).toColourspace('grey16').png();
    expectAbout(valuesOf(await read(grey16, 'deep-grey.png', grey)), [0, 255, 128, 3], 1);
    expectAbout(
      valuesOf(await readPicture(inFolder('deep-grey.png'), colour)),
      [0, 255, 128, 3, 0, 255, 128, 3, 0, 255, 128, 3],
      1,
    );
  });

  it('with a palette by its colours', async () => {
    const picture = pixels(3, 2, [255, 0, 0, 0, 0, 255]).png({ palette: true, colours: 2 });
    expectAbout(valuesOf(await read(picture, 'palette.png', colour)), [255, 0, 0, 0, 0, 255], 2);
  });

  it('an animation by its first frame', async () => {
    const frames = pixels(3, 2, [...Array<number>(12).fill(255), ...Array<number>(12).fill(0)]);
    await frames.gif({ loop: 0, delay: [10, 10] }).toFile(inFolder('two.gif'));
    expect((await readPicture(inFolder('two.gif'), colour)).shape.slice(0, 2)).toEqual([1, 3]);
  });

  it('resized to the size that was asked for, height first', async () => {
    const picture = pixels(1, 8, Array<number>(64).fill(120)).png();
    const found = await read(picture, 'size.png', { channels: 1, size: [3, 5] });
    expect([found.shape, new Set(valuesOf(found))]).toEqual([[1, 1, 3, 5], new Set([120])]);
  });

  it('turned before it is resized', async () => {
    const picture = pixels(1, 4, [0, 0, 0, 0, 255, 255, 255, 255]).withMetadata({ orientation: 6 }).png();
    const found = await read(picture, 'turn-size.png', { channels: 1, size: [4, 2] });
    expect([found.shape, valuesOf(found)]).toEqual([
      [1, 1, 4, 2],
      [255, 0, 255, 0, 255, 0, 255, 0],
    ]);
  });

  it('whatever the ending of its name', async () => {
    await pixels(1, 1, [9]).png().toFile(inFolder('real.png'));
    await writeFile(inFolder('named.txt'), await readFile(inFolder('real.png')));
    expect(valuesOf(await readPicture(inFolder('named.txt'), grey))).toEqual([9]);
  });

  it('that a model takes', async () => {
    const model: DenseNet = await tinyModel();
    const picture = await read(
      pixels(
        1,
        8,
        Array.from({ length: 64 }, (_, n) => n * 4),
      ).png(),
      'model.png',
      grey,
    );
    expect((await model.forward(picture)).shape).toEqual([1, 3]);
    await model.dispose();
  });
});

/** A PNG of one grey channel that claims a size. */
function png(width: number, height: number, rows: Buffer = Buffer.alloc(16)): Buffer {
  const chunk = (type: string, body: Buffer): Buffer => {
    const named = Buffer.concat([Buffer.from(type), body]);
    const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(body.length);
    check.writeUInt32BE(crc32(named));
    return Buffer.concat([length, named, check]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head[8] = 8;
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

describe('refused is', () => {
  const formats = ['PNG', 'JPEG', 'WebP', 'TIFF', 'GIF', 'AVIF', '268402689 pixels'];

  it.each<[string, () => Buffer]>([
    ['a file of no bytes', () => Buffer.alloc(0)],
    ['a text', () => Buffer.from('This is not a picture.\n')],
    ['zeros', () => Buffer.alloc(4096)],
    ['a zip', () => Buffer.from('PK\x03\x04' + '\0'.repeat(60))],
    ['a page', () => Buffer.from('<!doctype html><html><body>no</body></html>')],
    [
      'a drawing, which is none of the formats that are told',
      () =>
        Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><rect width="4" height="4"/></svg>'),
    ],
    ['a PNG’s signature alone', () => png(1, 1).subarray(0, 8)],
    ['a PNG of no width', () => png(0, 5)],
    ['a PNG without its pixels', () => png(100, 100, Buffer.alloc(0))],
    [
      'a PNG of a byte that was changed',
      () => Buffer.from(png(3, 4).map((byte, place) => (place === 45 ? byte ^ 0xff : byte))),
    ],
  ])('%s by the name of a picture', async (_, make) => {
    await writeFile(inFolder('bad.png'), make());
    for (const options of [colour, grey])
      await expectRefusal(
        () => readPicture(inFolder('bad.png'), options),
        'ERR_FILE_FORMAT',
        inFolder('bad.png'),
        ...formats,
      );
  });

  it.each([
    [16_384, 16_384, 'ERR_IMAGE_TOO_LARGE', 'is 16384×16384 (268 MP); the limit is 268 MP'],
    [100_000, 100_000, 'ERR_IMAGE_TOO_LARGE', 'is 100000×100000 (10000 MP)'],
    [268_402_690, 1, 'ERR_FILE_FORMAT', 'cannot be read as a picture'],
    [2 ** 31 - 1, 2 ** 31 - 1, 'ERR_FILE_FORMAT', 'cannot be read as a picture'],
  ] as const)(
    'a PNG that claims %i×%i pixels in a hundred bytes, before they are decoded',
    async (width, height, code, text) => {
      await writeFile(inFolder('bomb.png'), png(width, height));
      for (const size of [null, [8, 8] as const]) {
        const call = () => readPicture(inFolder('bomb.png'), { channels: 1, size });
        await expectRefusal(call, code, 'bomb.png', text);
      }
    },
  );

  it.each(['png', 'jpeg', 'webp', 'tiff', 'gif', 'avif'] as const)(
    'a %s that was cut short anywhere',
    async (format) => {
      const noise = Array.from({ length: 24 * 24 * 3 }, (_, n) => (n * n * 31 + n * 7) % 256);
      await pixels(3, 24, noise).toFormat(format).toFile(inFolder('whole'));
      expect((await readPicture(inFolder('whole'), colour)).shape).toEqual([1, 3, 24, 24]);
      const whole = await readFile(inFolder('whole'));
      // Cut by a twentieth at a time, and never only by what may follow a picture's last byte.
      for (let part = 0; part < 19; part += 1) {
        await writeFile(inFolder('cut'), whole.subarray(0, Math.floor((whole.length * part) / 20)));
        const found = await readPicture(inFolder('cut'), colour).catch((error: unknown) => error);
        expect([part, found]).toEqual([
          part,
          expect.objectContaining({ name: 'DenseNetError', code: 'ERR_FILE_FORMAT' }),
        ]);
      }
    },
  );

  it('a file that is not there', async () => {
    await expectRefusal(
      () => readPicture(inFolder('missing.png'), colour),
      'ERR_FILE',
      inFolder('missing.png'),
      'cannot be read',
    );
  });

  it('a path with a zero byte', async () => {
    await expectRefusal(() => readPicture(inFolder('a\0.png'), colour), 'ERR_FILE', 'cannot be read');
  });

  it('a folder, as one', async () => {
    await mkdir(inFolder('folder.png'));
    await expectRefusal(() => readPicture(inFolder('folder.png'), colour), 'ERR_FILE', inFolder('folder.png'));
  });

  it.each([0, 2, 4, 1.5, NaN])('a model of %p channels', async (channels) => {
    await pixels(1, 1, [9]).png().toFile(inFolder('real.png'));
    await expectRefusal(
      () => readPicture(inFolder('real.png'), { channels, size: null }),
      'ERR_INVALID_ARGUMENT',
      '1 or 3 channels',
      String(channels),
    );
  });
});
