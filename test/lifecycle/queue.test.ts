import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DenseNet } from '../../lib';
import { stateOf, tinyBatch, tinyDataset, tinyImages, tinyModel, tinyTrainer } from '../tiny';

let folder: string;
let model: DenseNet;
beforeAll(async () => (folder = await mkdtemp(path.join(os.tmpdir(), 'densenet-'))));
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => (model = await tinyModel()));
afterEach(() => model.dispose());

test('32 predictions at once equal serial ones', async () => {
  const serial = [];
  for (let count = 1; count <= 32; count += 1) serial.push(await model.forward(tinyImages(count)));
  const atOnce = await Promise.all(serial.map((_, index) => model.forward(tinyImages(index + 1))));
  expect(atOnce).toEqual(serial);
});

test('calls run in the order in which they were made, whatever they wait for', async () => {
  const file = path.join(folder, 'other.safetensors');
  const other = await tinyModel({ seed: 2 });
  await other.saveWeights(file);
  const [own, theirs] = [await model.forward(tinyImages(2)), await other.forward(tinyImages(2))];
  // Loading first reads the file's header; the calls behind it must wait for that.
  const [before, , after] = await Promise.all([
    model.forward(tinyImages(2)),
    model.loadWeights(file),
    model.forward(tinyImages(2)),
  ]);
  expect(before).toEqual(own);
  expect(after).toEqual(theirs);
  await other.dispose();
});

test('a run that is begun right after loadWeights trains the loaded weights', async () => {
  const file = path.join(folder, 'start.safetensors');
  const other = await tinyModel({ seed: 3 });
  await other.saveWeights(file);
  const plan = { epochs: 2, batchSize: 4 };
  const expected = tinyTrainer(other).fit(tinyDataset(), plan);
  await expected;
  const loading = model.loadWeights(file);
  await tinyTrainer(model).fit(tinyDataset(), plan);
  expect((await loading).missing).toEqual([]);
  expect(await stateOf(model)).toEqual(await stateOf(other));
  await other.dispose();
});

test('freezing right after replaceClassifier freezes the new classifier', async () => {
  const replaced = model.replaceClassifier(5);
  model.freeze('classifier');
  await replaced;
  const before = (await model.stateDict()).get('classifier.weight');
  await tinyTrainer(model).step(tinyBatch());
  expect((await model.stateDict()).get('classifier.weight')).toEqual(before);
  expect([...(await model.gradients()).keys()]).not.toContain('classifier.weight');
});

test('two models train side by side as they would alone', async () => {
  const others = await Promise.all([tinyModel({ seed: 4 }), tinyModel({ seed: 4 })]);
  const train = (one: DenseNet) => tinyTrainer(one).fit(tinyDataset(), { epochs: 3, batchSize: 4 });
  await Promise.all([train(model), train(others[0])]);
  await train(others[1]);
  expect(await stateOf(others[0])).toEqual(await stateOf(others[1]));
  await Promise.all(others.map((one) => one.dispose()));
});

describe('while a run trains the model', () => {
  const busy = expect.objectContaining({ code: 'ERR_BUSY' }) as Error;
  const endless = { epochs: 1_000_000, batchSize: 4 };

  it('whatever would change it is refused with ERR_BUSY', async () => {
    const trainer = tinyTrainer(model);
    const run = trainer.fit(tinyDataset(), endless);
    await run[Symbol.asyncIterator]().next();
    await expect(trainer.step(tinyBatch())).rejects.toEqual(busy);
    await expect(trainer.fit(tinyDataset(), endless).then()).rejects.toEqual(busy);
    await expect(tinyTrainer(model).fit(tinyDataset(), endless).then()).rejects.toEqual(busy);
    await expect(trainer.evaluate(tinyDataset())).rejects.toEqual(busy);
    await expect(model.loadWeights('nowhere.safetensors')).rejects.toEqual(busy);
    await expect(model.replaceClassifier(4)).rejects.toEqual(busy);
    expect(() => model.freeze()).toThrow(busy);
    expect(() => model.unfreeze()).toThrow(busy);
    run.cancel();
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('whatever only reads it is answered between two steps', async () => {
    const run = tinyTrainer(model).fit(tinyDataset(), endless);
    await run[Symbol.asyncIterator]().next();
    const file = path.join(folder, 'during.safetensors');
    const [logits, features, predictions, state] = await Promise.all([
      model.forward(tinyImages(2)),
      model.features(tinyImages(2)),
      model.predict(tinyImages(2)),
      model.stateDict(),
      model.saveWeights(file),
    ]);
    expect(logits.shape).toEqual([2, 3]);
    expect(Object.keys(features)).toEqual(['norm5']);
    expect(predictions).toHaveLength(2);
    expect(state.size).toBeGreaterThan(20);
    run.cancel();
    await run.catch(() => undefined);
    const loaded = await DenseNet.load(file);
    expect(loaded.config).toEqual(model.config);
    await loaded.dispose();
  });

  it('and after it the model can be changed again', async () => {
    const run = tinyTrainer(model).fit(tinyDataset(), endless);
    run.cancel();
    await run.catch(() => undefined);
    await model.replaceClassifier(4);
    expect((await model.forward(tinyImages(1))).shape).toEqual([1, 4]);
  });
});
