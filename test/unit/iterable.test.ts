import { existsSync } from 'node:fs';
import { readFile, stat, truncate, writeFile } from 'node:fs/promises';
import sharp from 'sharp';
import { datasets, type Dataset } from '../../lib';
import { stateOf, tinyImages, tinyModel, tinyTrainer } from '../tiny';
import { expectRefusal, floats, refusal, temporaryFolder, wrong } from './support';

const inFolder = temporaryFolder();

const image = (...values: number[]) => ({ data: Uint8Array.from(values), shape: [1, 1, values.length] });

async function* give<Item>(...items: Item[]): AsyncGenerator<Item> {
  for (const item of items) yield await Promise.resolve(item);
}

describe('datasets.fromIterable', () => {
  it('goes once through an async iterable, or any other', async () => {
    const items = [
      { image: image(1, 2), label: 1 },
      { image: image(3, 4), label: 0 },
    ];
    for (const source of [give(...items), items, new Set(items)]) {
      const data = await datasets.fromIterable(source);
      expect(data).toMatchObject({ kind: 'array', size: 2, classes: ['0', '1'], images: { shape: [2, 1, 1, 2] } });
      expect([[...data.images.data], [...data.labels]]).toEqual([
        [1, 2, 3, 4],
        [1, 0],
      ]);
    }
  });

  it('copies each image, since a source may use one array again', async () => {
    const one = image(0, 0);
    function* reuse() {
      for (const value of [5, 6, 7]) {
        one.data.fill(value);
        yield { image: one, label: 0 };
      }
    }
    expect([...(await datasets.fromIterable(reuse())).images.data]).toEqual([5, 5, 6, 6, 7, 7]);
  });

  it('takes floats, and encoded pictures in the form that is asked for', async () => {
    const data = await datasets.fromIterable([{ image: floats([1, 1, 1], [0.5]), label: 0 }], { classes: ['a', 'b'] });
    expect([data.images.data, data.classes]).toEqual([Float32Array.of(0.5), ['a', 'b']]);
    const png = await sharp({ create: { width: 9, height: 9, channels: 3, background: { r: 7, g: 7, b: 7 } } })
      .png()
      .toBuffer();
    const read = await datasets.fromIterable(give({ image: png, label: 0 }), { imageSize: [2, 3], channels: 1 });
    expect([read.images.shape, [...read.images.data]]).toEqual([[1, 1, 2, 3], Array(6).fill(7)]);
  });

  it.each<[string, unknown, string]>([
    ['another shape', image(1, 2, 3), 'item 1 is a Uint8Array of 1×1×3, but the first image was a Uint8Array of 1×1×2'],
    ['another kind', floats([1, 1, 2], [0, 0]), 'Float32Array'],
    ['a batch', { data: new Uint8Array(2), shape: [1, 1, 1, 2] }, 'C×H×W'],
    ['no image', 7, 'item 1.image'],
    ['no pixels', { data: new Uint8Array(0), shape: [1, 0, 2] }, 'zero'],
  ])('refuses %s', async (_, other, text) => {
    const items = [
      { image: image(1, 2), label: 0 },
      { image: other, label: 0 },
    ];
    await expectRefusal(() => datasets.fromIterable(wrong(give(...items))), 'ERR_INVALID_ARGUMENT', text);
  });

  it('refuses a source that gives nothing, and what is no source', async () => {
    await expectRefusal(() => datasets.fromIterable([]), 'ERR_DATASET', 'no image');
    for (const source of [undefined, 3, {}, 'ab', null])
      expect((await refusal(() => datasets.fromIterable(wrong(source)))).code).toBe('ERR_INVALID_ARGUMENT');
    const labelled = wrong([{ image: image(1), lable: 1 }]);
    await expectRefusal(() => datasets.fromIterable(labelled), 'ERR_INVALID_ARGUMENT', 'Did you mean "label"');
    const beyond = [{ image: image(1), label: 3 }];
    await expectRefusal(() => datasets.fromIterable(beyond, { classes: ['a'] }), 'ERR_LABEL_OUT_OF_RANGE', '0 to 0');
  });

  it('passes on what the source throws, and lets it clean up when a signal ends it', async () => {
    const fault = new Error('the database went away');
    async function* failing() {
      yield await Promise.resolve({ image: image(1), label: 0 });
      throw fault;
    }
    await expect(datasets.fromIterable(failing())).rejects.toBe(fault);
    const control = new AbortController();
    let [given, cleaned] = [0, false];
    async function* endless() {
      try {
        for (;;) {
          given += 1;
          if (given === 5) control.abort();
          yield await Promise.resolve({ image: image(1), label: 0 });
        }
      } finally {
        cleaned = true;
      }
    }
    const reading = datasets.fromIterable(endless(), { signal: control.signal });
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
    expect([given, cleaned]).toEqual([5, true]);
  });
});

describe('datasets.fromIterable with a spool', () => {
  const floatItems = (count: number) => {
    const { data } = tinyImages(count);
    return Array.from({ length: count }, (_, index) => ({
      image: { data: data.slice(index * 64, index * 64 + 64) as Float32Array, shape: [1, 8, 8] },
      label: index % 3,
    }));
  };

  it('trains to the same weights as in memory', async () => {
    const spool = inFolder('floats.raw');
    const train = async (data: Dataset) => {
      await using model = await tinyModel();
      await tinyTrainer(model).fit(data, { epochs: 2, batchSize: 4 });
      return await stateOf(model);
    };
    const streamed = await datasets.fromIterable(give(...floatItems(12)), { spool });
    expect(streamed).toMatchObject({ kind: 'streamed', size: 12, imageShape: [1, 8, 8], dtype: 'float32' });
    expect((await stat(spool)).size).toBe(12 * 64 * 4);
    expect(await train(streamed)).toEqual(await train(await datasets.fromIterable(floatItems(12))));
  });

  it('keeps bytes and decoded pictures, more than it gathers before it writes', async () => {
    const spool = inFolder('bytes.raw');
    await writeFile(spool, 'what was there before');
    function* large() {
      for (let index = 0; index < 40; index += 1)
        yield { image: { data: new Uint8Array(50_000).fill(index), shape: [1, 250, 200] }, label: index % 2 };
    }
    const data = await datasets.fromIterable(large(), { spool, classes: ['even', 'odd'] });
    expect([data.dtype, data.classes, (await stat(spool)).size]).toEqual(['uint8', ['even', 'odd'], 2_000_000]);
    const { signal } = new AbortController();
    for (const index of [39, 0, 21])
      expect(Buffer.from((await data.read(index, signal)) as Uint8Array).equals(Buffer.alloc(50_000, index))).toBe(
        true,
      );
    const png = await sharp({ create: { width: 9, height: 9, channels: 3, background: { r: 7, g: 7, b: 7 } } })
      .png()
      .toBuffer();
    await datasets.fromIterable([{ image: png, label: 0 }], { imageSize: [2, 3], channels: 1, spool });
    expect([...(await readFile(spool))]).toEqual(Array(6).fill(7));
  });

  it('leaves no file behind when the source fails, or gives what cannot be kept', async () => {
    const spool = inFolder('failed.raw');
    const fault = new Error('the database went away');
    async function* failing() {
      yield* floatItems(2);
      await Promise.resolve();
      throw fault;
    }
    await expect(datasets.fromIterable(failing(), { spool })).rejects.toBe(fault);
    expect(existsSync(spool)).toBe(false);
    await expectRefusal(() => datasets.fromIterable([], { spool }), 'ERR_DATASET', 'no image');
    const [first] = floatItems(1);
    const beyond = [{ ...first!, label: -1 }];
    await expectRefusal(() => datasets.fromIterable(beyond, { spool }), 'ERR_LABEL_OUT_OF_RANGE', 'labels[0]');
    expect(existsSync(spool)).toBe(false);
  });

  it('says so when the file cannot be written, or was cut short since', async () => {
    const nowhere = inFolder('no/such/folder.raw');
    await expectRefusal(() => datasets.fromIterable(floatItems(1), { spool: nowhere }), 'ERR_FILE', nowhere, 'written');
    await expectRefusal(() => datasets.fromIterable(floatItems(1), { spool: '' }), 'ERR_INVALID_ARGUMENT', 'spool');
    const spool = inFolder('short.raw');
    const data = await datasets.fromIterable(floatItems(4), { spool });
    await truncate(spool, 700);
    await using model = await tinyModel();
    const run = tinyTrainer(model).fit(data, { epochs: 1, batchSize: 4 });
    await expectRefusal(() => run, 'ERR_FILE', 'shorter');
  });
});

describe('class weights', () => {
  const labelled = (labels: number[], classes?: string[]) =>
    datasets.fromArrays({
      images: { data: new Uint8Array(labels.length), shape: [labels.length, 1, 1, 1] },
      labels,
      ...(classes ? { classes } : {}),
    });

  it('are images / (classes × images of the class), so that each class weighs the same in all', () => {
    const data = labelled([0, 0, 0, 1, 2, 2]);
    expect(datasets.classCounts(data)).toEqual([3, 1, 2]);
    expect(datasets.classWeights(data)).toEqual([6 / 9, 2, 1]);
  });

  it('are refused where a class has no image', async () => {
    await expectRefusal(() => datasets.classWeights(labelled([0, 0], ['a', 'b', 'c'])), 'ERR_INVALID_ARGUMENT', 'b, c');
  });
});

describe('fromArrays with several labels an image', () => {
  const images = { data: new Uint8Array(2), shape: [2, 1, 1, 1] };
  it('takes N×classes numbers from 0 to 1 beside names', () => {
    const data = datasets.fromArrays({ images, labels: Float32Array.of(0, 1, 1, 0.5, 0, 0), classes: ['a', 'b', 'c'] });
    expect([...data.labels]).toEqual([0, 1, 1, 0.5, 0, 0]);
  });
  it.each<[Float32Array, string[] | undefined, string]>([
    [Float32Array.of(0, 1), undefined, 'beside classes'],
    [Float32Array.of(0, 1, 1), ['a', 'b'], '2×2 numbers'],
    [Float32Array.of(0, 1.5), ['a'], 'labels[1]'],
    [Float32Array.of(0, NaN), ['a'], 'labels[1]'],
  ])('refuses %p for %p', async (labels, classes, text) => {
    const options = { images, labels, ...(classes ? { classes } : {}) };
    await expectRefusal(() => datasets.fromArrays(options), 'ERR_INVALID_ARGUMENT', text);
  });
});
