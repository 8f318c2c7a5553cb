import { setTimeout as sleep } from 'node:timers/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import {
  datasets,
  Trainer,
  transforms,
  type ArrayDataset,
  type FitOptions,
  type StreamedDataset,
  type Transform,
} from '../../lib';
import { expectRefusal, fingerprint, modelMaker, rawImages, refusal, temporaryFolder, wrong } from '../unit/support';

const make = modelMaker();
const inFolder = temporaryFolder();

const images = rawImages([22, 1, 8, 8]);
const labels = Array.from({ length: 22 }, (_, n) => (n < 12 ? 0 : n < 18 ? 1 : 2));
const inMemory = datasets.fromArrays({ images, labels });

type Read = StreamedDataset['read'];

const one = (index: number): Uint8Array => images.data.slice(index * 64, index * 64 + 64) as Uint8Array;

/** The same images, each read when it is needed; some later than those that are asked for after them. */
function streamed(read: Read = async (index) => (await sleep(index % 3), one(index))): StreamedDataset {
  return datasets.fromReader({ size: 22, imageShape: [1, 8, 8], labels, classes: ['0', '1', '2'], read });
}

async function train(
  data: ArrayDataset | StreamedDataset,
  options: Partial<FitOptions> = {},
  freeze = false,
): Promise<{ weights: string; steps: number[]; losses: number[] }> {
  const model = await make();
  if (freeze) model.freeze('features');
  const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.1, momentum: 0.9 }, seed: 3 });
  const run = trainer.fit(data, { epochs: 3, batchSize: 5, ...options });
  const steps: number[] = [];
  const losses: number[] = [];
  for await (const event of run)
    if (event.type === 'epoch') losses.push(event.train.loss, event.validation?.loss ?? 0);
    else if (event.type === 'step') steps.push(event.steps);
  return { weights: await fingerprint(model), steps, losses };
}

const augment: Transform[] = [transforms.randomCrop({ padding: 1 }), transforms.randomErasing()];

describe('a run over a streamed data set ends where one over the same images in memory ends, bit for bit:', () => {
  it.each<[string, Partial<FitOptions>, boolean]>([
    ['shuffled and augmented', { augment }, false],
    ['in the given order', { shuffle: false }, false],
    ['balanced', { shuffle: 'balanced' }, false],
    ['one image a step', { batchSize: 1, epochs: 1 }, false],
    ['all in one step', { batchSize: 64 }, false],
    ['with a rest of one, which joins the batch before it', { batchSize: 7 }, false],
    ['on features that are computed once', {}, true],
    ['on features that are not kept', { cacheFeatures: false }, true],
  ])('%s', async (_, options, freeze) => {
    const expected = await train(inMemory, { validation: inMemory, ...options }, freeze);
    const found = await train(streamed(), { validation: streamed(), ...options }, freeze);
    expect(found.weights).toBe(expected.weights);
    expect(found.losses).toEqual(expected.losses);
    expect(new Set(found.steps)).toEqual(new Set(expected.steps));
  });
});

/** As many images of floats, with the same labels. */
const streamedFloats = (read: (index: number) => Promise<Float32Array>) =>
  datasets.fromReader({ size: 22, imageShape: [1, 8, 8], dtype: 'float32', labels, classes: ['0', '1', '2'], read });

it('trains on floats as on floats in memory', async () => {
  const floats = Float32Array.from(images.data as Uint8Array, (value) => value / 100 - 1);
  const expected = await train(datasets.fromArrays({ images: { data: floats, shape: images.shape }, labels }));
  const data = streamedFloats((index) => Promise.resolve(floats.slice(index * 64, index * 64 + 64)));
  expect((await train(data)).weights).toBe(expected.weights);
});

it('evaluates as on images in memory', async () => {
  const trainer = new Trainer(await make(), { optimizer: { type: 'sgd', lr: 0.1 } });
  expect(await trainer.evaluate(streamed(), { batchSize: 5 })).toEqual(
    await trainer.evaluate(inMemory, { batchSize: 5 }),
  );
});

it('gives subset and split of it, which read from it', async () => {
  const trainer = new Trainer(await make(), { optimizer: { type: 'sgd', lr: 0.1 } });
  const pairs = [
    [datasets.subset(streamed(), [3, 20, 3]), datasets.subset(inMemory, [3, 20, 3])],
    ...datasets.split(streamed(), 0.5, { seed: 2 }).map((part, index) => {
      return [part, datasets.split(inMemory, 0.5, { seed: 2 })[index] as ArrayDataset] as const;
    }),
  ] as const;
  for (const [found, expected] of pairs) {
    expect([found?.size, found?.labels]).toEqual([expected?.size, expected?.labels]);
    expect(await trainer.evaluate(found)).toEqual(await trainer.evaluate(expected));
  }
});

test('images are read a bounded number ahead of the step, several at once, each once an epoch', async () => {
  let [done, reading, most] = [0, 0, 0];
  const asked: number[] = [];
  const data = streamed(async (index) => {
    asked.push(index);
    reading += 1;
    most = Math.max(most, reading);
    await sleep(1);
    reading -= 1;
    return one(index);
  });
  const trainer = new Trainer(await make(), { optimizer: { type: 'sgd', lr: 0.1 }, seed: 1 });
  // By how many were asked for: of steps that are told of together the last is the one that counts.
  const ahead = new Map<number, number>();
  for await (const event of trainer.fit(data, { epochs: 2, batchSize: 2 }))
    if (event.type === 'step') {
      done = (event.epoch - 1) * 22 + event.step * 2;
      ahead.set(asked.length, asked.length - done);
    }
  expect(asked.slice(0, 22).sort((a, b) => a - b)).toEqual([...labels.keys()]);
  expect(asked).toHaveLength(44);
  // Three batches and one image beyond what was taken, which is a step more than an event tells of.
  expect(Math.max(...ahead.values())).toBeLessThanOrEqual(9);
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(8);
});

describe('a picture that cannot be read', () => {
  const fault = new Error('the disk went away');

  it('ends the run with what read rejected with, the model as the last whole step left it', async () => {
    const model = await make();
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.1 }, seed: 1 });
    const before = await fingerprint(model);
    const failing = streamed((index) => (index === 13 ? Promise.reject(fault) : Promise.resolve(one(index))));
    const { code, message, cause } = await refusal(() => trainer.fit(failing, { epochs: 1, batchSize: 22 }));
    expect([code, cause]).toEqual(['ERR_INTERNAL', fault]);
    expect(message).toContain('the disk went away');
    expect(await fingerprint(model)).toBe(before);
    await trainer.fit(streamed(), { epochs: 1, batchSize: 22 });
    expect(await fingerprint(model)).not.toBe(before);
  });

  it('ends an evaluation, and one that is used as validation the run', async () => {
    const trainer = new Trainer(await make(), { optimizer: { type: 'sgd', lr: 0.1 }, seed: 1 });
    const failing = () => streamed(() => Promise.reject(fault));
    for (const call of [
      () => trainer.evaluate(failing()),
      () => trainer.fit(inMemory, { epochs: 1, batchSize: 5, validation: failing() }),
    ])
      expect((await refusal(call)).message).toContain('the disk went away');
    expect((await trainer.evaluate(inMemory)).size).toBe(22);
  });

  it.each<[string, unknown]>([
    ['too few values', new Uint8Array(63)],
    ['floats in place of bytes', new Float32Array(64)],
    ['null', null],
    ['a list', Array(64).fill(0)],
  ])('as %s is refused, with what it must be', async (_, value) => {
    const trainer = new Trainer(await make(), { optimizer: { type: 'sgd', lr: 0.1 } });
    const data = streamed(() => Promise.resolve(wrong(value)));
    const call = () => trainer.fit(data, { epochs: 1, batchSize: 4 });
    await expectRefusal(call, 'ERR_INVALID_ARGUMENT', 'read(', 'Uint8Array of 64 values (1×8×8)');
  });

  it('that is thrown, not rejected, ends the run too', async () => {
    const trainer = new Trainer(await make(), { optimizer: { type: 'sgd', lr: 0.1 } });
    const data = streamed(() => {
      throw fault;
    });
    expect((await refusal(() => trainer.fit(data, { epochs: 1, batchSize: 4 }))).message).toContain('went away');
  });

  it('of floats that are not finite ends the run', async () => {
    const read = (index: number) => Promise.resolve(new Float32Array(64).fill(index === 9 ? NaN : 0));
    const data = streamedFloats(read);
    const trainer = new Trainer(await make(), { optimizer: { type: 'sgd', lr: 0.1 } });
    await expectRefusal(() => trainer.fit(data, { epochs: 1, batchSize: 4 }), 'ERR_NON_FINITE_INPUT');
  });
});

describe('a picture that is left out', () => {
  it('is missing from its batch alone', async () => {
    const gaps = streamed((index) => Promise.resolve(index % 4 === 1 ? undefined : one(index)));
    const kept = [...labels.keys()].filter((index) => index % 4 !== 1);
    const found = await train(gaps, { batchSize: 22, shuffle: false });
    const expected = await train(datasets.subset(inMemory, kept), { batchSize: 22, shuffle: false });
    expect(found.weights).toBe(expected.weights);
    const trainer = new Trainer(await make(), { optimizer: { type: 'sgd', lr: 0.1 } });
    expect((await trainer.evaluate(gaps)).size).toBe(kept.length);
  });

  it('may be all of a batch, or all but one where batch norm needs two', async () => {
    const model = await make({ blockConfig: [1, 1, 1, 1] }); // 8×8 to one pixel
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.1 } });
    const gaps = streamed((index) => Promise.resolve(index < 4 || index === 5 || index > 10 ? one(index) : undefined));
    const { epochs } = await trainer.fit(gaps, { epochs: 1, batchSize: 4, shuffle: false });
    // Of 4 to 7 there is 5 alone, and none of 8 to 10 but 11; 20 and 21 are the rest.
    expect(epochs[0]?.train.size).toBe(4 + 4 + 4 + 2);
  });

  it('does not shift the labels of features that are computed once', async () => {
    const gaps = streamed((index) => Promise.resolve(index % 4 === 1 ? undefined : one(index)));
    const kept = [...labels.keys()].filter((index) => index % 4 !== 1);
    const options = { batchSize: 22, shuffle: false };
    const expected = await train(datasets.subset(inMemory, kept), options, true);
    const found = await train(gaps, options, true);
    expect(found.losses.map((loss) => loss.toFixed(5))).toEqual(expected.losses.map((loss) => loss.toFixed(5)));
  });
});

describe('a run that is ended while it waits for images', () => {
  it.each<[string, (control: AbortController, model: { dispose(): Promise<void> }) => unknown]>([
    ['by its signal', (control) => control.abort(new Error('enough'))],
    ['by dispose', (_, model) => model.dispose()],
  ])('%s, ends at once and stops the reads', async (how, end) => {
    const model = await make();
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.1 } });
    const control = new AbortController();
    const signals: AbortSignal[] = [];
    const data = streamed((_, signal) => {
      signals.push(signal);
      return new Promise(() => undefined);
    });
    const run = trainer.fit(data, { epochs: 1, batchSize: 4, signal: control.signal });
    const ended = run.then(
      () => 'finished',
      (error: unknown) => (error as Error).message,
    );
    while (signals.length < 8) await sleep(1);
    const start = performance.now();
    await end(control, model);
    expect(await ended).toMatch(how === 'by its signal' ? 'enough' : 'ERR_DISPOSED');
    expect(performance.now() - start).toBeLessThan(2000);
    expect(signals).toHaveLength(8);
    expect(signals.every(({ aborted }) => aborted)).toBe(true);
  });

  it('answers predictions meanwhile', async () => {
    const model = await make();
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.1 } });
    let asked = 0;
    const data = streamed(() => {
      asked += 1;
      return new Promise(() => undefined);
    });
    const run = trainer.fit(data, { epochs: 1, batchSize: 4 });
    while (asked < 8) await sleep(1);
    expect(await model.predict(images)).toHaveLength(22);
    run.cancel();
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
  });
});

it('goes on from a checkpoint in mid-epoch, and reads no image that it had before', async () => {
  const asked: number[] = [];
  const logged = () => streamed((index) => (asked.push(index), Promise.resolve(one(index))));
  const options = { epochs: 2, batchSize: 4, augment };
  const whole = await make();
  const wholeTrainer = new Trainer(whole, { optimizer: { type: 'sgd', lr: 0.1, momentum: 0.9 }, seed: 5 });
  await wholeTrainer.fit(streamed(), options);
  const broken = await make();
  const trainer = new Trainer(broken, { optimizer: { type: 'sgd', lr: 0.1, momentum: 0.9 }, seed: 5 });
  // Slow enough that the run is ended before its epoch is over.
  const run = trainer.fit(
    streamed(async (index) => (await sleep(20), one(index))),
    options,
  );
  for await (const event of run)
    if (event.type === 'step' && event.epoch === 1 && event.step >= 2) {
      run.cancel();
      break;
    }
  await run.catch(() => undefined);
  const file = inFolder('middle.safetensors');
  await trainer.save(file);
  asked.length = 0;
  const again = await make();
  const other = new Trainer(again, { optimizer: { type: 'sgd', lr: 0.1, momentum: 0.9 }, seed: 9 });
  const { epoch, step } = await other.resume(file);
  expect(epoch).toBe(1);
  await other.fit(logged(), options);
  expect(asked.length).toBe(44 - 4 * step);
  expect(await fingerprint(again)).toBe(await fingerprint(whole));
});

it('trains on several labels an image as in memory', async () => {
  const targets = Float32Array.from({ length: 66 }, (_, n) => Number(n % 3 === 0 || n % 5 === 0));
  const classes = ['a', 'b', 'c'];
  const weights = async (data: ArrayDataset | StreamedDataset): Promise<string> => {
    const model = await make();
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.1 }, loss: 'binaryCrossEntropy', seed: 1 });
    await trainer.fit(data, { epochs: 2, batchSize: 5 });
    return fingerprint(model);
  };
  const read = (index: number) => Promise.resolve(one(index));
  const fed = datasets.fromReader({ size: 22, imageShape: [1, 8, 8], labels: targets, classes, read });
  expect(await weights(fed)).toBe(await weights(datasets.fromArrays({ images, labels: targets, classes })));
});

test('the event loop stays free', async () => {
  const model = await make();
  const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.1 } });
  const read = (index: number) => Promise.resolve(one(index % 22));
  const size = 4000;
  const many = datasets.fromReader({
    size,
    imageShape: [1, 8, 8],
    labels: Int32Array.from({ length: size }, (_, n) => n % 3),
    classes: ['0', '1', '2'],
    read,
  });
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  await trainer.fit(many, { epochs: 1, batchSize: 16 });
  delays.disable();
  expect(delays.percentile(99) / 1e6).toBeLessThan(50);
});

describe('balanced sampling', () => {
  it('gives each class the same share, whatever it has of its own', async () => {
    const rare = Int32Array.from({ length: 400 }, (_, n) => (n < 360 ? 0 : n < 396 ? 1 : 2));
    const counts = [0, 0, 0];
    const data = datasets.fromReader({
      size: 400,
      imageShape: [1, 8, 8],
      labels: rare,
      classes: ['0', '1', '2'],
      read: (index) => {
        counts[rare[index] as number]! += 1;
        return Promise.resolve(one(index % 22));
      },
    });
    const trainer = new Trainer(await make(), { optimizer: { type: 'sgd', lr: 0.01 }, seed: 1 });
    await trainer.fit(data, { epochs: 3, batchSize: 64, shuffle: 'balanced' });
    expect(counts.reduce((sum, count) => sum + count)).toBe(1200);
    for (const count of counts) expect(Math.abs(count - 400)).toBeLessThan(70);
  });

  it('is refused for another word, and where an image may have several labels', async () => {
    const trainer = new Trainer(await make(), { optimizer: { type: 'sgd', lr: 0.01 } });
    const options = { epochs: 1, batchSize: 4 };
    await expectRefusal(
      () => trainer.fit(inMemory, { ...options, shuffle: wrong('even') }),
      'ERR_INVALID_ARGUMENT',
      'shuffle',
    );
  });
});

describe('datasets.fromReader refuses', () => {
  const good = { size: 2, imageShape: [1, 2, 2], labels: [0, 1], classes: ['a', 'b'], read: () => undefined };
  it.each<[string, object, string]>([
    ['no images', { size: 0, labels: [] }, 'size'],
    ['a size that the labels have not', { size: 3 }, 'labels'],
    ['a shape of two lengths', { imageShape: [2, 2] }, 'imageShape'],
    ['a length of 0', { imageShape: [1, 0, 2] }, 'imageShape[1]'],
    ['no function', { read: 'file' }, 'read'],
    ['another type', { dtype: 'float16' }, 'dtype'],
    ['no classes', { classes: [] }, 'classes'],
    ['targets of another number of classes', { labels: Float32Array.of(0, 1, 1) }, 'labels'],
    ['an option that there is not', { sizes: 2 }, 'sizes'],
  ])('%s', async (_, change, text) => {
    await expectRefusal(() => datasets.fromReader(wrong({ ...good, ...change })), 'ERR_INVALID_ARGUMENT', text);
  });

  it('a label beyond the classes', async () => {
    await expectRefusal(
      () => datasets.fromReader(wrong({ ...good, labels: [0, 2] })),
      'ERR_LABEL_OUT_OF_RANGE',
      '0 to 1',
    );
  });
});
