import { writeFile } from 'node:fs/promises';
import { createBatcher, DenseNet } from '../../lib';
import { tinyDataset, tinyImages, tinyTrainer } from '../tiny';
import { difference, expectRefusal, modelMaker, refusal, temporaryFolder, valuesOf, wrong } from '../unit/support';
import { batcherMaker, image, LONG, png } from './support';

const makeModel = modelMaker();
const inFolder = temporaryFolder();

/** How far a result of a batch may be from the same image's alone; probabilities and logits are about 1. */
const CLOSE = 1e-6;

let model: DenseNet;
beforeEach(async () => (model = await makeModel({ imageSize: [8, 8] })));
const batcherOf = batcherMaker(() => model);

describe('calls that come together', () => {
  it('are computed together, with the numbers that each has alone', async () => {
    const alone = [];
    for (let index = 0; index < 40; index += 1) alone.push(...(await model.predict(image(index))));
    const batcher = batcherOf({ maxBatch: 16 });
    const together = await Promise.all(alone.map((_, index) => batcher.predict(image(index))));
    for (const [index, [found, ...others]] of together.entries()) {
      expect(others).toEqual([]);
      expect(found!.top.map((one) => one.label)).toEqual(alone[index]!.top.map((one) => one.label));
      const probabilities = (one: typeof found) => one!.top.map(({ probability }) => probability);
      expect(difference(probabilities(found), probabilities(alone[index]))).toBeLessThanOrEqual(CLOSE);
      expect(found).toMatchObject({ index: found!.top[0]!.index, probability: found!.top[0]!.probability });
    }
    const { batches, images, meanBatch, waiting, refused } = batcher.statistics;
    expect({ batches, images, meanBatch, waiting, refused }).toEqual({
      batches: 3,
      images: 40,
      meanBatch: 40 / 3,
      waiting: 0,
      refused: 0,
    });
  });

  it('have the logits that each has alone', async () => {
    const batcher = batcherOf();
    const together = await Promise.all([0, 1, 2, 3, 4].map((index) => batcher.forward(image(index))));
    for (const [index, { data, shape }] of together.entries()) {
      expect(shape).toEqual([1, 3]);
      const alone = await model.forward(image(index));
      expect(difference(valuesOf({ data, shape }), valuesOf(alone))).toBeLessThanOrEqual(CLOSE);
    }
    expect(batcher.statistics.batches).toBe(1);
  });

  it('may each have several images, and get as many answers in order', async () => {
    const batcher = batcherOf({ maxBatch: 4 });
    const [three, one, logits] = await Promise.all([
      batcher.predict(tinyImages(3)),
      batcher.predict(image(3)),
      batcher.forward(tinyImages(6)),
    ]);
    const alone = await model.predict(tinyImages(4));
    const found = [...three, ...one].map(({ probability }) => probability);
    expect(
      difference(
        found,
        alone.map(({ probability }) => probability),
      ),
    ).toBeLessThanOrEqual(CLOSE);
    expect(logits.shape).toEqual([6, 3]);
    expect(difference(valuesOf(logits), valuesOf(await model.forward(tinyImages(6))))).toBeLessThanOrEqual(CLOSE);
  });

  it('each get as many classes as they ask for', async () => {
    const batcher = batcherOf();
    const answers = await Promise.all([
      batcher.predict(image(0), { topK: 1 }),
      batcher.predict(image(1)),
      batcher.predict(image(2), { topK: 2 }),
    ]);
    expect(answers.map(([prediction]) => prediction!.top.length)).toEqual([1, 3, 2]);
    expect(batcher.statistics.batches).toBe(1);
  });

  it('go apart where their images differ in size or kind', async () => {
    const batcher = batcherOf({ maxWait: 20 });
    const large = { data: new Float32Array(100), shape: [1, 1, 10, 10] };
    const raw = { data: new Uint8Array(64).fill(100), shape: [1, 1, 8, 8] };
    const answers = await Promise.all([image(0), large, raw, image(1)].map((one) => batcher.forward(one)));
    for (const [index, one] of [image(0), large, raw, image(1)].entries())
      expect(difference(valuesOf(answers[index]), valuesOf(await model.forward(one)))).toBeLessThanOrEqual(CLOSE);
    expect(batcher.statistics).toMatchObject({ batches: 3, images: 4 });
  });

  it('do not see what becomes of their arrays afterwards', async () => {
    const batcher = batcherOf();
    const expected = await model.forward(image(1));
    const changed = image(1);
    const answer = batcher.forward(changed);
    (changed.data as Float32Array).fill(0);
    changed.shape.length = 0;
    expect(difference(valuesOf(await answer), valuesOf(expected))).toBeLessThanOrEqual(CLOSE);
  });

  it('are answered between the steps of a run that trains the model', async () => {
    const run = tinyTrainer(model).fit(tinyDataset(), { epochs: 1_000_000, batchSize: 4 });
    await run[Symbol.asyncIterator]().next();
    const batcher = batcherOf();
    const answers = await Promise.all([0, 1, 2].map((index) => batcher.predict(image(index))));
    expect(answers.flat()).toHaveLength(3);
    run.cancel();
    await run.catch(() => undefined);
  });

  it('get the classes of a classifier that was put in while they waited', async () => {
    const batcher = batcherOf(LONG);
    const answers = [batcher.predict(image(0)), batcher.predict(image(1), { topK: 3 })];
    await model.replaceClassifier(['yes', 'no']);
    await batcher.close();
    expect((await answers[0])![0]!.top.map(({ label }) => label).sort()).toEqual(['no', 'yes']);
    await expectRefusal(() => answers[1], 'ERR_INVALID_ARGUMENT', 'topK');
  });
});

describe('pictures', () => {
  it('are decoded and computed together, from bytes and from files', async () => {
    const bytes = await Promise.all([0, 1, 2].map((number) => png(number)));
    await writeFile(inFolder('one.png'), bytes[0]!);
    const alone = await model.predict([inFolder('one.png'), bytes[1]!, bytes[2]!]);
    const batcher = batcherOf({ maxBatch: 3, ...LONG });
    const together = await Promise.all([batcher.predict(inFolder('one.png')), batcher.predict([bytes[1]!, bytes[2]!])]);
    const of = (found: typeof alone) => found.flatMap(({ top }) => top.map(({ probability }) => probability));
    expect(difference(of(together.flat()), of(alone))).toBeLessThanOrEqual(CLOSE);
    expect(batcher.statistics).toMatchObject({ batches: 1, images: 3 });
  });

  it('that cannot be read fail alone', async () => {
    const batcher = batcherOf({ maxWait: 50, limitInputPixels: 200 });
    const [good, broken, missing, large, another] = await Promise.allSettled([
      batcher.predict(await png(0)),
      batcher.predict(Buffer.from('no picture')),
      batcher.predict(inFolder('nowhere.png')),
      batcher.predict(await png(1, 15)),
      batcher.predict(await png(2)),
    ]);
    expect([good.status, another.status]).toEqual(['fulfilled', 'fulfilled']);
    for (const [ended, code] of [
      [broken, 'ERR_FILE_FORMAT'],
      [missing, 'ERR_FILE'],
      [large, 'ERR_IMAGE_TOO_LARGE'],
    ] as const)
      expect(ended).toMatchObject({ status: 'rejected', reason: { name: 'DenseNetError', code } });
    expect(batcher.statistics).toMatchObject({ images: 2, waiting: 0 });
  });

  it('fail alone where nothing is left of them, in a model that has no size of its own', async () => {
    model = await makeModel({ blockConfig: [1, 1, 1, 1] });
    const batcher = batcherOf({ maxWait: 50 });
    const answers = await Promise.allSettled([batcher.predict(await png(0, 3)), batcher.predict(await png(0, 20))]);
    expect(answers).toMatchObject([{ reason: { code: 'ERR_INPUT_TOO_SMALL' } }, { status: 'fulfilled' }]);
  });

  it('that take long to decode hold nobody up but those behind them in the decoder', async () => {
    const batcher = batcherOf({ maxDecodes: 1, maxWait: 0 });
    const order: string[] = [];
    const slow = batcher.predict(await png(0, 6000)).then(() => order.push('slow picture'));
    const behind = batcher.predict(await png(1)).then(() => order.push('picture'));
    for (let index = 0; index < 20; index += 1) await batcher.predict(image(index));
    order.push('20 arrays, one after another');
    expect(batcher.statistics.waiting).toBe(2);
    await Promise.all([slow, behind]);
    expect(order).toEqual(['20 arrays, one after another', 'slow picture', 'picture']);
  });
});

describe('an image that cannot be computed', () => {
  const infinite = () => ({ data: new Float32Array(64).fill(Infinity), shape: [1, 1, 8, 8] });

  it('fails alone, also in the middle of a batch', async () => {
    const batcher = batcherOf();
    const answers = await Promise.allSettled(
      [image(0), image(1), infinite(), image(3), image(4)].map((one) => batcher.predict(one)),
    );
    expect(answers.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    expect(answers[2]).toMatchObject({ reason: { code: 'ERR_NON_FINITE_INPUT' } });
    const [alone] = await model.predict(image(3));
    expect(answers[3]).toMatchObject({ value: [{ label: alone!.label }] });
  });

  it('ends the others of its own call, which wait no longer', async () => {
    const batcher = batcherOf({ maxBatch: 2, ...LONG });
    const values = Float32Array.from(tinyImages(3).data as Float32Array).fill(NaN, 64, 128);
    await expectRefusal(() => batcher.forward({ data: values, shape: [3, 1, 8, 8] }), 'ERR_NON_FINITE_INPUT');
    expect(batcher.statistics.waiting).toBe(0);
  });
});

describe('a full queue', () => {
  it('refuses at once what finds no room, and says what the limit is', async () => {
    const batcher = batcherOf({ maxBatch: 8, maxQueue: 4, ...LONG });
    const answers = Array.from({ length: 3 }, (_, index) => batcher.predict(image(index)));
    const two = await refusal(() => batcher.predict(tinyImages(2)));
    expect([two.code, two.message]).toEqual(['ERR_OVERLOADED', expect.stringContaining('at most 4 may (maxQueue)')]);
    expect(batcher.statistics).toMatchObject({ waiting: 3, refused: 1 });
    // As many as can ever wait are a full batch.
    expect(await Promise.all([...answers, batcher.predict(image(3))])).toHaveLength(4);
    expect(batcher.statistics).toMatchObject({ waiting: 0, batches: 1, meanBatch: 4 });
  });

  it('counts calls that are all made in one turn, arrays and pictures', async () => {
    const batcher = batcherOf({ maxBatch: 4, maxQueue: 10 });
    const picture = await png(0);
    const answers = await Promise.allSettled(
      Array.from({ length: 1000 }, (_, index) => batcher.predict(index % 2 ? picture : image(0))),
    );
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
    expect(batcher.statistics).toMatchObject({ refused: 990, images: 10, waiting: 0 });
    for (const answer of answers.slice(10))
      expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'ERR_OVERLOADED' } });
  });

  it('has room again when its images are computed', async () => {
    const batcher = batcherOf({ maxBatch: 2, maxQueue: 2 });
    for (let round = 0; round < 5; round += 1)
      expect(await Promise.all([batcher.predict(image(0)), batcher.predict(image(1))])).toHaveLength(2);
    expect(batcher.statistics.refused).toBe(0);
  });

  it('says so for good where a call is larger than the queue', async () => {
    const batcher = batcherOf({ maxQueue: 4 });
    await expectRefusal(() => batcher.forward(tinyImages(5)), 'ERR_INVALID_ARGUMENT', '5 images', 'maxQueue is 4');
    expect(batcher.statistics.refused).toBe(0);
  });
});

describe('what makes no sense is refused:', () => {
  it.each<[string, unknown, string]>([
    ['an option that there is not', { maxSize: 3 }, 'maxBatch'],
    ['maxBatch', { maxBatch: 0 }, 'maxBatch must be an integer from 1 to 65536; got 0.'],
    ['maxWait', { maxWait: -1 }, 'maxWait'],
    ['maxQueue', { maxQueue: 1.5 }, 'maxQueue'],
    ['maxDecodes', { maxDecodes: '4' }, 'maxDecodes'],
    ['limitInputPixels', { limitInputPixels: Infinity }, 'limitInputPixels'],
  ])('%s', async (_, options, text) => {
    await expectRefusal(() => createBatcher(model, wrong(options)), 'ERR_INVALID_ARGUMENT', text);
  });

  it('a model that is none', async () => {
    await expectRefusal(() => createBatcher(wrong({})), 'ERR_INVALID_ARGUMENT', 'model must be a DenseNet');
  });

  it('arguments of a call, before they take a place in the queue', async () => {
    const batcher = batcherOf(LONG);
    const calls: [() => unknown, string][] = [
      [() => batcher.predict(wrong(3)), 'images'],
      [() => batcher.predict([]), 'at least one'],
      [() => batcher.predict({ data: new Float32Array(192), shape: [1, 3, 8, 8] }), '3 channels'],
      [() => batcher.predict(image(0), { topK: 4 }), 'topK must be an integer from 1 to 3'],
      [() => batcher.predict(image(0), wrong({ batchSize: 4 })), 'batchSize'],
      [() => batcher.predict(image(0), wrong({ signal: 'stop' })), 'AbortSignal'],
      [() => batcher.forward(wrong('picture.png')), 'input'],
      [() => batcher.forward(image(0), wrong({ topK: 1 })), 'signal'],
    ];
    for (const [call, text] of calls) await expectRefusal(call, 'ERR_INVALID_ARGUMENT', text);
    expect(batcher.statistics.waiting).toBe(0);
  });
});
