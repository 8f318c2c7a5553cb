import { mkdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { datasets, DenseNet, Trainer } from '../../lib';
import { tinyConfig } from '../tiny';
import { firstPixels, pictureFolder, small } from './picture-folder';
import { expectRefusal, refusal, valuesOf, wrong } from './support';

const { inFolder, paint, write } = pictureFolder();

describe('imageFolder', () => {
  it('takes the folders as classes, sorted as Python sorts, and the pictures of each in order of their paths', async () => {
    await paint('sorted/pear/b.png', 60);
    await paint('sorted/pear/a.png', 50);
    await paint('sorted/Zebra/z.png', 10);
    await paint('sorted/apple/deep/er/x.png', 40);
    await paint('sorted/apple/10.png', 20);
    await paint('sorted/apple/2.png', 30);
    await paint('sorted/Äpfel/a.png', 70);
    const data = await datasets.imageFolder(inFolder('sorted'), small);
    expect(data.classes).toEqual(['Zebra', 'apple', 'pear', 'Äpfel']);
    expect([...data.labels]).toEqual([0, 1, 1, 1, 2, 2, 3]);
    expect(firstPixels(data)).toEqual([10, 20, 30, 40, 50, 60, 70]);
    expect(data).toMatchObject({ kind: 'array', size: 7, images: { shape: [7, 1, 4, 4] } });
    expect(data.images.data).toBeInstanceOf(Uint8Array);
  });

  it('passes over other files, and files beside the folders', async () => {
    await paint('others/a/1.png', 5);
    await paint('others/a/2.JPG', 200);
    await paint('others/loose.png', 9);
    await write('others/a/notes.txt', 'no picture');
    await write('others/a/.DS_Store', 'no picture');
    const data = await datasets.imageFolder(inFolder('others'), small);
    expect([data.classes, data.size]).toEqual([['a'], 2]);
  });

  it('reads colours plane by plane, and as grey where one channel is asked for', async () => {
    await paint('colour/a/1.png', [250, 120, 10]);
    const rgb = await datasets.imageFolder(inFolder('colour'), { imageSize: [2, 2] });
    expect([rgb.images.shape, [...(rgb.images.data as Uint8Array)]]).toEqual([
      [1, 3, 2, 2],
      [250, 250, 250, 250, 120, 120, 120, 120, 10, 10, 10, 10],
    ]);
    const grey = await datasets.imageFolder(inFolder('colour'), { imageSize: [2, 2], channels: 1 });
    expect(grey.images.shape).toEqual([1, 1, 2, 2]);
    expect(firstPixels(grey)[0]).toBeGreaterThan(100);
    expect(firstPixels(grey)[0]).toBeLessThan(200);
  });

  it('is 224×224 of RGB out of the middle of 256, where nothing is said', async () => {
    await paint('plain/a/1.png', 77, 320, 300);
    const { images } = await datasets.imageFolder(inFolder('plain'));
    expect(images.shape).toEqual([1, 3, 224, 224]);
  });

  it('stretches a picture to imageSize, or brings its shorter side to resizeSize and cuts the middle out', async () => {
    await mkdir(inFolder('cut/a'), { recursive: true });
    // Twelve wide and four high: the outer thirds are white, the middle is black.
    const pixels = Uint8Array.from({ length: 48 }, (_, place) => (place % 12 >= 4 && place % 12 < 8 ? 0 : 255));
    await sharp(pixels, { raw: { width: 12, height: 4, channels: 1 } }).toFile(inFolder('cut/a/1.png'));
    const cut = await datasets.imageFolder(inFolder('cut'), { ...small, resizeSize: 4 });
    expect(new Set(valuesOf(cut.images))).toEqual(new Set([0]));
    const stretched = await datasets.imageFolder(inFolder('cut'), small);
    expect(new Set(valuesOf(stretched.images)).size).toBeGreaterThan(1);
    const padded = await datasets.imageFolder(inFolder('cut'), { channels: 1, imageSize: [6, 12], resizeSize: 4 });
    expect(valuesOf(padded.images).slice(0, 12)).toEqual(Array(12).fill(0));
    expect(valuesOf(padded.images).slice(12, 24)).toEqual([...pixels.subarray(0, 12)]);
  });

  it('gives classes the indices that are asked for, and reads no other folders', async () => {
    await paint('chosen/a/1.png', 1);
    await paint('chosen/b/1.png', 2);
    await paint('chosen/c/1.png', 3);
    const data = await datasets.imageFolder(inFolder('chosen'), { ...small, classes: ['c', 'a'] });
    expect([data.classes, [...data.labels], firstPixels(data)]).toEqual([
      ['c', 'a'],
      [0, 1],
      [3, 1],
    ]);
  });

  it.each(['../secret', '..', '.', '', 'a/../../secret', '/etc', 'a/b', '..\\secret', 'a\0b'])(
    'refuses %j as a class, which is no name of a folder in it',
    async (name) => {
      await paint('within/a/1.png', 1);
      await paint('secret/1.png', 2);
      const options = { ...small, classes: ['a', name] };
      const message = 'names of folders, none of them a path';
      await expectRefusal(() => datasets.imageFolder(inFolder('within'), options), 'ERR_INVALID_ARGUMENT', message);
      await expectRefusal(() => datasets.imageFolders(inFolder('within'), options), 'ERR_INVALID_ARGUMENT', message);
    },
  );

  it('tells how it gets on, up to the number of pictures', async () => {
    for (let n = 0; n < 19; n += 1) await paint(`many/a/${String(n).padStart(2, '0')}.png`, n);
    const told: [number, number][] = [];
    const data = await datasets.imageFolder(inFolder('many'), {
      ...small,
      onProgress: (...numbers) => told.push(numbers),
    });
    expect(firstPixels(data)).toEqual(Array.from({ length: 19 }, (_, n) => n));
    expect(told.at(-1)).toEqual([19, 19]);
    expect(told.every(([done, total], place) => total === 19 && done > (told[place - 1]?.[0] ?? 0))).toBe(true);
  });

  it('gives what a model trains on', async () => {
    for (const [name, colour] of Object.entries({ black: 0, grey: 120, white: 255 }))
      for (const number of [1, 2, 3]) await paint(`train/${name}/${number}.png`, Math.abs(colour - number), 8, 8);
    const data = await datasets.imageFolder(inFolder('train'), { imageSize: [8, 8], channels: 1 });
    await using model = await DenseNet.create({
      ...tinyConfig,
      blockConfig: [2, 2],
      seed: 1,
      classes: [...data.classes],
    });
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.1, momentum: 0.9 }, seed: 1 });
    await trainer.fit(data, { epochs: 60, batchSize: 9 });
    const { top1, perClass } = await trainer.evaluate(data);
    expect(perClass.map(({ label, support }) => [label, support])).toEqual([
      ['black', 3],
      ['grey', 3],
      ['white', 3],
    ]);
    expect(top1).toBeGreaterThan(0.8);
  });
});

describe('links', () => {
  it('to pictures and to folders are followed, those to folders of classes too', async () => {
    await paint('links/a/1.png', 11);
    await paint('elsewhere/b/2.png', 22);
    await symlink(inFolder('links/a/1.png'), inFolder('links/a/2.png'));
    await symlink(inFolder('elsewhere/b'), inFolder('links/b'));
    await symlink(inFolder('elsewhere'), inFolder('links/a/deep'));
    const data = await datasets.imageFolder(inFolder('links'), small);
    expect([data.classes, [...data.labels], firstPixels(data)]).toEqual([
      ['a', 'b'],
      [0, 0, 0, 1],
      [11, 11, 22, 22],
    ]);
  });

  it.each([
    ['the folder of classes', '', 'a/loop', 'a/loop/a leads back to', '/a,'],
    ['a class', 'a', 'a/loop', 'a/loop leads back to', '/a,'],
    ['a folder further down', 'a/b', 'a/b/c/loop', 'a/b/c/loop leads back to', '/a/b,'],
  ])('that lead back to %s are refused as a loop, and the rest is looked at', async (_, target, link, ...said) => {
    const folder = `loops-${target.replaceAll('/', '-')}`;
    await paint(`${folder}/a/1.png`, 11);
    await paint(`${folder}/a/b/c/1.png`, 11);
    await write(`${folder}/a/broken.png`, 'no picture');
    await symlink(inFolder(path.join(folder, target)), inFolder(path.join(folder, link)));
    await expectRefusal(
      () => datasets.imageFolder(inFolder(folder), { ...small, broken: 'skip' }),
      'ERR_DATASET',
      '2 faults',
      'a loop of links',
      'broken.png',
      ...said,
    );
  });

  it('are named as they were come to, and not by where they lead', async () => {
    await paint('far/deep/1.png', 11);
    await symlink(inFolder('far/deep'), inFolder('far/deep/loop'));
    await mkdir(inFolder('near'));
    await symlink(inFolder('far/deep'), inFolder('near/a'));
    const { message } = await refusal(() => datasets.imageFolder(inFolder('near'), small));
    expect(message).toContain(`${inFolder('near/a/loop')} leads back to ${inFolder('near/a')},`);
    expect(message).not.toContain(inFolder('far'));
  });

  it('that lead nowhere are pictures that cannot be read', async () => {
    await paint('dead/a/1.png', 11);
    await symlink(inFolder('nowhere.png'), inFolder('dead/a/2.png'));
    await expectRefusal(() => datasets.imageFolder(inFolder('dead'), small), 'ERR_DATASET', '2.png', 'cannot be read');
  });
});

describe('faults', () => {
  beforeAll(async () => {
    await paint('faulty/a/1.png', 1);
    await paint('faulty/a/3.png', 3);
    await write('faulty/a/2.png', 'no picture');
    await write('faulty/b/deep/cut.jpg', '\xff\xd8\xff');
    await paint('faulty/b/4.png', 4);
  });

  it('of pictures come all at once, each by its name', async () => {
    const { code, message } = await refusal(() => datasets.imageFolder(inFolder('faulty'), small));
    expect(code).toBe('ERR_DATASET');
    expect(message).toContain(`${inFolder('faulty')} has 2 faults:`);
    expect(message).toContain(inFolder('faulty/a/2.png'));
    expect(message).toContain(inFolder('faulty/b/deep/cut.jpg'));
    expect(message).not.toContain('3.png');
    expect(message).toContain("broken: 'skip'");
  });

  it("of pictures are left out with broken: 'skip', and the rest stays in order", async () => {
    const data = await datasets.imageFolder(inFolder('faulty'), { ...small, broken: 'skip' });
    expect(data.skipped?.map((fault) => path.basename(fault.split(' ')[1] ?? ''))).toEqual(['2.png', 'cut.jpg']);
    expect(data).toMatchObject({ size: 3, classes: ['a', 'b'], images: { shape: [3, 1, 4, 4] } });
    for (const [set, names] of [
      [data, ['1.png', '3.png', '4.png']],
      [datasets.subset(data, [2, 0]), ['4.png', '1.png']],
    ] as const)
      expect(set.files?.map((file) => path.basename(file))).toEqual(names);
    expect([[...data.labels], firstPixels(data)]).toEqual([
      [0, 0, 1],
      [1, 3, 4],
    ]);
    expect(data.images.data).toHaveLength(3 * 16);
  });

  it('of more pictures than a message can list are counted', async () => {
    for (let n = 0; n < 30; n += 1) await write(`hopeless/a/${n}.png`, 'no picture');
    const { message } = await refusal(() => datasets.imageFolder(inFolder('hopeless'), small));
    expect(message).toContain('30 faults');
    expect(message).toContain('10 more');
    expect(message.split('\n').length).toBeLessThan(30);
    await expectRefusal(
      () => datasets.imageFolder(inFolder('hopeless'), { ...small, broken: 'skip' }),
      'ERR_DATASET',
      'no picture that can be read',
    );
  });

  it('of a class without pictures are named, also beside others', async () => {
    await paint('empty/full/1.png', 1);
    await mkdir(inFolder('empty/nothing'), { recursive: true });
    await write('empty/text/readme.txt', 'no picture');
    const { code, message } = await refusal(() => datasets.imageFolder(inFolder('empty'), small));
    expect(code).toBe('ERR_DATASET');
    expect(message).toContain(`${inFolder('empty/nothing')} holds no picture`);
    expect(message).toContain(`${inFolder('empty/text')} holds no picture`);
    expect(message).not.toContain(`${inFolder('empty/full')} holds`);
  });

  it('of pictures of a kind that is not read, which nobody should miss', async () => {
    await paint('kinds/a/1.png', 1);
    await write('kinds/a/2.BMP', 'BM');
    await write('kinds/a/3.ppm', 'P6');
    await expectRefusal(
      () => datasets.imageFolder(inFolder('kinds'), small),
      'ERR_DATASET',
      '2 faults',
      '2.BMP is a .bmp',
    );
    const { size, skipped } = await datasets.imageFolder(inFolder('kinds'), { ...small, broken: 'skip' });
    expect([size, skipped?.length]).toEqual([1, 2]);
  });

  it('of the folder and of its pictures come together', async () => {
    await paint('both/a/1.png', 1);
    await write('both/a/2.png', 'no picture');
    await mkdir(inFolder('both/b'), { recursive: true });
    await expectRefusal(
      () => datasets.imageFolder(inFolder('both'), small),
      'ERR_DATASET',
      '2 faults',
      `${inFolder('both/b')} holds no picture`,
      '2.png cannot be read as a picture',
    );
  });

  it('of a folder without folders, and of one that is not there or is a file', async () => {
    await paint('flat/1.png', 1);
    await expectRefusal(() => datasets.imageFolder(inFolder('flat')), 'ERR_DATASET', 'each class needs one');
    await expectRefusal(() => datasets.imageFolder(inFolder('absent')), 'ERR_FILE', inFolder('absent'));
    await expectRefusal(() => datasets.imageFolder(inFolder('flat/1.png')), 'ERR_FILE', 'cannot be read');
  });

  it('of a class that was asked for and is not there', async () => {
    await expectRefusal(
      () => datasets.imageFolder(inFolder('faulty'), { ...small, classes: ['a', 'zebra'] }),
      'ERR_DATASET',
      inFolder('faulty/zebra'),
    );
  });
});

describe('a signal', () => {
  beforeAll(async () => {
    for (let n = 0; n < 40; n += 1) await paint(`long/a/${n}.png`, n);
  });

  it('that was given already ends it before the first picture', async () => {
    const reason = new Error('enough');
    const told: number[] = [];
    const reading = datasets.imageFolder(inFolder('long'), {
      ...small,
      signal: AbortSignal.abort(reason),
      onProgress: (done) => told.push(done),
    });
    await expect(reading).rejects.toBe(reason);
    expect(told).toEqual([]);
  });

  it('ends it between two pictures, with its own reason', async () => {
    const control = new AbortController();
    const told: number[] = [];
    const reading = datasets.imageFolder(inFolder('long'), {
      ...small,
      signal: control.signal,
      onProgress: (done) => {
        told.push(done);
        control.abort();
      },
    });
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
    expect(told).toHaveLength(1);
  });
});

describe('refused at once is', () => {
  it.each<[string, unknown, string]>([
    ['a size of one number', { imageSize: [4] }, 'imageSize'],
    ['a size of no pixels', { imageSize: [0, 4] }, 'imageSize[0]'],
    ['a resizeSize of no pixels', { resizeSize: 0 }, 'resizeSize'],
    ['another interpolation', { interpolation: 'nearest' }, 'interpolation'],
    ['two channels', { channels: 2 }, 'channels'],
    ['a text in the place of classes', { classes: 'a' }, 'classes'],
    ['a class twice', { classes: ['a', 'a'] }, 'twice'],
    ['a limit of no pixels', { limitInputPixels: 0 }, 'limitInputPixels'],
    ['another word for broken', { broken: 'ignore' }, 'broken'],
    ['a progress that is no function', { onProgress: true }, 'onProgress'],
    ['a signal that is none', { signal: {} }, 'signal'],
    ['an option that there is not', { size: [4, 4] }, 'size'],
  ])('%s', async (_, options, text) => {
    await expectRefusal(() => datasets.imageFolder(inFolder('sorted'), wrong(options)), 'ERR_INVALID_ARGUMENT', text);
  });

  it.each([undefined, '', 3, null])('%p as a folder', async (folder) => {
    await expectRefusal(() => datasets.imageFolder(wrong(folder)), 'ERR_INVALID_ARGUMENT', 'folder');
  });

  it('a folder whose images would not fit into memory', async () => {
    await expectRefusal(
      () => datasets.imageFolder(inFolder('long'), { imageSize: [65_535, 65_535] }),
      'ERR_OUT_OF_MEMORY',
      '40 pictures',
      'smaller imageSize',
    );
  });
});
