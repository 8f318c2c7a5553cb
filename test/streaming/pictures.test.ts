import { mkdir, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { datasets, Trainer, type Dataset, type StreamedDataset } from '../../lib';
import { expectRefusal, fingerprint, modelMaker, temporaryFolder } from '../unit/support';

const inFolder = temporaryFolder();
const make = modelMaker();
const form = { imageSize: [8, 8] as [number, number], channels: 1 as const };

/** Pictures of three classes, each of one grey. */
async function draw(folder: string, each = 5): Promise<string> {
  for (const [label, name] of ['a', 'b', 'c'].entries()) {
    await mkdir(inFolder(path.join(folder, name)), { recursive: true });
    for (let n = 0; n < each; n += 1) {
      const grey = 80 * label + 10 * n;
      await sharp({ create: { width: 20, height: 16, channels: 3, background: { r: grey, g: grey, b: grey } } }).toFile(
        inFolder(path.join(folder, name, `${n}.png`)),
      );
    }
  }
  return inFolder(folder);
}

async function weightsAfter(data: Dataset): Promise<string> {
  const model = await make();
  const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.1 }, seed: 4 });
  await trainer.fit(data, { epochs: 2, batchSize: 4 });
  return fingerprint(model);
}

const readAll = (data: StreamedDataset) =>
  Promise.all(Array.from({ length: data.size }, (_, index) => data.read(index, new AbortController().signal)));

describe("decode: 'ahead'", () => {
  it('trains as on pictures that were decoded before, with every cache', async () => {
    const folder = await draw('same');
    const expected = await weightsAfter(await datasets.imageFolder(folder, form));
    for (const cache of ['none', 'memory', { folder: inFolder('cache-same') }] as const) {
      const data = await datasets.imageFolder(folder, { ...form, decode: 'ahead', cache });
      expect(data).toMatchObject({ kind: 'streamed', size: 15, imageShape: [1, 8, 8], classes: ['a', 'b', 'c'] });
      expect(await weightsAfter(data)).toBe(expected);
      expect(await weightsAfter(data)).toBe(expected);
    }
  });

  it('serves imageFolders and csv alike', async () => {
    const folder = await draw('both');
    const { train, validation } = await datasets.imageFolders(folder, { ...form, decode: 'ahead' });
    expect([train.kind, train.size, validation.size]).toEqual(['streamed', 12, 3]);
    await writeFile(path.join(folder, 'list.csv'), 'path,label\na/1.png,x\nb/0.png,y\n');
    const data = await datasets.csv(path.join(folder, 'list.csv'), { ...form, decode: 'ahead' });
    expect((await readAll(data)).map((pixels) => pixels?.[0])).toEqual([10, 80]);
  });

  it('tells beforehand of every picture whose header is wrong, or leaves them out', async () => {
    const folder = await draw('headers');
    await writeFile(path.join(folder, 'a', '1.png'), 'no picture');
    await writeFile(path.join(folder, 'c', '0.png'), '');
    const read = (broken: 'refuse' | 'skip') => datasets.imageFolder(folder, { ...form, decode: 'ahead', broken });
    await expectRefusal(() => read('refuse'), 'ERR_DATASET', '2 faults', 'a/1.png', 'c/0.png');
    const data = await read('skip');
    expect([data.size, [...data.labels].join(''), data.skipped?.length]).toEqual([13, '0000111112222', 2]);
    expect((await readAll(data)).map((pixels) => pixels?.[0])).toEqual([
      0, 20, 30, 40, 80, 90, 100, 110, 120, 170, 180, 190, 200,
    ]);
  });
});

describe('a picture that is cut short, or deleted after the run has begun,', () => {
  async function damaged(name: string, broken: 'refuse' | 'skip') {
    const folder = await draw(name);
    const noise = Buffer.from(Array.from({ length: 40_000 }, (_, n) => (n * n * 31) % 251));
    const picture = await sharp(noise, { raw: { width: 200, height: 200, channels: 1 } })
      .png()
      .toBuffer();
    await writeFile(path.join(folder, 'b', '2.png'), picture.subarray(0, picture.length / 2));
    const data = await datasets.imageFolder(folder, { ...form, decode: 'ahead', broken });
    await rm(path.join(folder, 'c', '3.png'));
    return data;
  }

  it('ends the run with its name and what happened', async () => {
    const data = await damaged('gone', 'refuse');
    const model = await make();
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.1 }, seed: 1 });
    const call = () => trainer.fit(data, { epochs: 1, batchSize: 15 });
    await expectRefusal(call, 'ERR_DATASET', '.png', 'changed since', "broken: 'skip'");
  });

  it("is left out and counted once with broken: 'skip'", async () => {
    const data = await damaged('skipped', 'skip');
    const trainer = new Trainer(await make(), { optimizer: { type: 'sgd', lr: 0.1 }, seed: 1 });
    const { epochs } = await trainer.fit(data, { epochs: 3, batchSize: 4 });
    expect(epochs.map(({ train }) => train.size)).toEqual([13, 13, 13]);
    expect(data.skipped?.map((fault) => path.basename(/\S+\.png/.exec(fault)?.[0] ?? '')).sort()).toEqual([
      '2.png',
      '3.png',
    ]);
  });
});

describe('a cache in a folder', () => {
  const cached = (folder: string) =>
    datasets.imageFolder(folder, { ...form, decode: 'ahead', cache: { folder: inFolder('kept') } });

  it('keeps a file a picture, and a picture that changed is decoded anew', async () => {
    const folder = await draw('changing', 1);
    const first = await readAll(await cached(folder));
    expect(await readdir(inFolder('kept'))).toHaveLength(3);
    const file = path.join(folder, 'a', '0.png');
    const { atime, mtime } = await stat(file);
    await sharp({ create: { width: 20, height: 16, channels: 3, background: 'white' } }).toFile(file);
    await utimes(file, atime, new Date(mtime.getTime() + 5000));
    const second = await readAll(await cached(folder));
    expect(first.map((pixels) => pixels?.[0])).toEqual([0, 80, 160]);
    expect(second.map((pixels) => pixels?.[0])).toEqual([255, 80, 160]);
  });

  it('is used: what is in it comes back without the picture being decoded', async () => {
    const folder = await draw('used', 1);
    const file = path.join(folder, 'a', '0.png');
    await utimes(file, 1_000_000, 1_000_000);
    const data = await cached(folder);
    const before = await readAll(data);
    await writeFile(file, Buffer.alloc((await stat(file)).size));
    await utimes(file, 1_000_000, 1_000_000);
    expect(await readAll(data)).toEqual(before);
  });

  it.each<[string, (bytes: Buffer) => Buffer]>([
    ['was cut short', (bytes) => bytes.subarray(0, 20)],
    ['has another bit', (bytes) => Buffer.from(bytes.map((byte, place) => (place === 3 ? byte ^ 1 : byte)))],
    ['is empty', () => Buffer.alloc(0)],
  ])('does not believe a file that %s', async (name, damage) => {
    const folder = await draw(`damaged ${name}`, 1);
    const place = inFolder(`kept ${name}`);
    const data = await datasets.imageFolder(folder, { ...form, decode: 'ahead', cache: { folder: place } });
    const before = await readAll(data);
    const { readFile } = await import('node:fs/promises');
    for (const file of await readdir(place))
      await writeFile(path.join(place, file), damage(await readFile(path.join(place, file))));
    expect(await readAll(data)).toEqual(before);
  });

  it('that cannot be made is refused', async () => {
    const folder = await draw('unwritable', 1);
    await writeFile(inFolder('a-file'), '');
    const cache = { folder: inFolder('a-file') };
    await expectRefusal(() => datasets.imageFolder(folder, { ...form, decode: 'ahead', cache }), 'ERR_FILE', 'a-file');
  });
});

it.each<[object, string]>([
  [{ decode: 'later' }, 'decode'],
  [{ cache: 'disk', decode: 'ahead' }, 'cache'],
  [{ cache: { dir: 'x' }, decode: 'ahead' }, 'folder'],
  [{ cache: {}, decode: 'ahead' }, 'cache.folder'],
  [{ cache: 'memory' }, "decode is 'now'"],
])('refuses %j', async (options, text) => {
  const folder = await draw('options', 1);
  await expectRefusal(() => datasets.imageFolder(folder, { ...form, ...options }), 'ERR_INVALID_ARGUMENT', text);
});
