import { setImmediate as turn } from 'node:timers/promises';
import { datasets, DenseNet, type TrainingEvent } from '../../lib';
import { stateOf, tinyBatch, tinyDataset, tinyImages, tinyModel, tinyTrainer } from '../tiny';

let model: DenseNet;
beforeEach(async () => (model = await tinyModel()));
afterEach(() => model.dispose());

const plan = { epochs: 3, batchSize: 5 };
const endless = { epochs: 1_000_000, batchSize: 4 };

test('a run resolves to its history: one entry an epoch', async () => {
  const { epochs, seconds } = await tinyTrainer(model).fit(tinyDataset(), { ...plan, validation: tinyDataset(7) });
  expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
  expect(epochs.every(({ train, validation }) => train.size === 12 && validation?.size === 7)).toBe(true);
  expect(seconds).toBeGreaterThan(0);
});

test('its events come in order, the epochs all of them, and end with the run', async () => {
  const events: TrainingEvent[] = [];
  const run = tinyTrainer(model).fit(tinyDataset(), plan);
  for await (const event of run) events.push(event);
  expect(events.filter(({ type }) => type === 'epoch').map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
  const places = events.map((event) => event.epoch * 1000 + (event.type === 'step' ? event.step : 999));
  expect(places).toEqual([...places].sort((a, b) => a - b));
  for (const event of events) if (event.type === 'step') expect(event.steps).toBe(3);
  expect((await run).epochs).toEqual(events.filter(({ type }) => type === 'epoch'));
});

test('a slow listener gets the newest step and every epoch', async () => {
  const run = tinyTrainer(model).fit(tinyDataset(), { epochs: 4, batchSize: 1 });
  const { epochs } = await run;
  const events: TrainingEvent[] = [];
  for await (const event of run) events.push(event);
  expect(events.filter(({ type }) => type === 'epoch')).toEqual(epochs);
  const steps = events.filter((event) => event.type === 'step');
  expect(steps.length).toBeLessThanOrEqual(4);
  expect(steps.every(({ step }) => step === 12)).toBe(true);
});

test('several listeners each get the events', async () => {
  const run = tinyTrainer(model).fit(tinyDataset(), plan);
  const listen = async (): Promise<number> => {
    let epochs = 0;
    for await (const event of run) if (event.type === 'epoch') epochs += 1;
    return epochs;
  };
  expect(await Promise.all([listen(), listen()])).toEqual([3, 3]);
});

test('leaving the loop over the events does not end the run', async () => {
  const run = tinyTrainer(model).fit(tinyDataset(), plan);
  for await (const event of run) if (event.type === 'step') break;
  expect((await run).epochs).toHaveLength(3);
});

test('a signal that is aborted before rejects the run with its reason, and nothing is trained', async () => {
  const before = await stateOf(model);
  const reason = new Error('changed my mind');
  const run = tinyTrainer(model).fit(tinyDataset(), { ...plan, signal: AbortSignal.abort(reason) });
  await expect(run).rejects.toBe(reason);
  expect(await stateOf(model)).toEqual(before);
});

test('a signal that is aborted in the middle rejects the run and its loop with its reason', async () => {
  const control = new AbortController();
  const reason = new Error('enough');
  const run = tinyTrainer(model).fit(tinyDataset(), { ...endless, signal: control.signal });
  const loop = (async () => {
    for await (const event of run) if (event.epoch === 3) control.abort(reason);
  })();
  await expect(loop).rejects.toBe(reason);
  await expect(run).rejects.toBe(reason);
});

test('after a run that was ended, model and trainer go on', async () => {
  const trainer = tinyTrainer(model);
  const run = trainer.fit(tinyDataset(), endless);
  await run[Symbol.asyncIterator]().next();
  run.cancel();
  run.cancel();
  await expect(run).rejects.toMatchObject({ name: 'AbortError' });
  expect((await trainer.fit(tinyDataset(), plan)).epochs).toHaveLength(3);
  expect((await trainer.step(tinyBatch())).size).toBe(6);
});

test('an evaluation can be ended by a signal', async () => {
  const reason = new Error('no time');
  const control = new AbortController();
  const trainer = tinyTrainer(model);
  const evaluation = trainer.evaluate(tinyDataset(3000), { batchSize: 1, signal: control.signal });
  await turn();
  control.abort(reason);
  await expect(evaluation).rejects.toBe(reason);
  expect((await trainer.evaluate(tinyDataset())).size).toBe(12);
});

test('a loss that is not finite ends the run with ERR_NON_FINITE_LOSS before it reaches the weights', async () => {
  const trainer = tinyTrainer(model, { optimizer: { type: 'sgd', lr: 1e30 } });
  await expect(trainer.fit(tinyDataset(), endless).then()).rejects.toMatchObject({ code: 'ERR_NON_FINITE_LOSS' });
});

test.each(['training', 'validation'])(
  'a label of the %s data outside the classes is refused by its index',
  async (which) => {
    const bad = datasets.fromArrays({ images: tinyImages(3), labels: [0, 1, 7] });
    const run =
      which === 'training'
        ? tinyTrainer(model).fit(bad, plan)
        : tinyTrainer(model).fit(tinyDataset(), { ...plan, validation: bad });
    const before = await stateOf(model);
    await expect(run).rejects.toMatchObject({
      code: 'ERR_LABEL_OUT_OF_RANGE',
      message: expect.stringContaining('labels[2] is 7') as unknown,
    });
    expect(await stateOf(model)).toEqual(before);
  },
);

test('an image that holds NaN is refused by its index before anything is trained', async () => {
  const images = tinyImages(5);
  images.data[3 * 64 + 7] = NaN;
  const before = await stateOf(model);
  const run = tinyTrainer(model).fit(datasets.fromArrays({ images, labels: [0, 1, 2, 0, 1] }), plan);
  await expect(run).rejects.toMatchObject({
    code: 'ERR_NON_FINITE_INPUT',
    message: expect.stringContaining('image 3') as unknown,
  });
  expect(await stateOf(model)).toEqual(before);
});

test('the last batch of an epoch may be smaller, and one image too few for batch norm joins the one before', async () => {
  // Two blocks leave one pixel of a 2×2 image, so a single image would leave one value a channel.
  const images = { data: tinyImages(1).data.slice(0, 36), shape: [9, 1, 2, 2] };
  const data = datasets.fromArrays({ images, labels: [0, 1, 2, 0, 1, 2, 0, 1, 2] });
  const steps: number[] = [];
  for await (const event of tinyTrainer(model).fit(data, { epochs: 1, batchSize: 4 }))
    if (event.type === 'step') steps.push(event.steps);
  expect(new Set(steps)).toEqual(new Set([2]));
});

test('the event loop turns while a long step runs', async () => {
  const large = await DenseNet.create({ variant: 'densenet121', numClasses: 3, device: 'cpu', seed: 1 });
  const images = { data: new Float32Array(2 * 3 * 64 * 64).fill(0.1), shape: [2, 3, 64, 64] };
  let done = false;
  const step = tinyTrainer(large)
    .step({ images, labels: [0, 1] })
    .finally(() => (done = true));
  let turns = 0;
  while (!done) {
    await turn();
    turns += 1;
  }
  await step;
  expect(turns).toBeGreaterThan(100);
  await large.dispose();
});
