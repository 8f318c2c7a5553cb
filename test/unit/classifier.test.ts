import { DenseNet, type TensorData } from '../../lib';
import { DenseNetError } from '../../lib/errors';
import { ModelHandle } from '../../lib/model/handle';
import type { Native, NativeModel } from '../../lib/native';
import { tinyBatch, tinyDataset, tinyImages, tinyTrainer } from '../tiny';
import { expectRefusal, modelMaker, temporaryFolder, valuesOf, wrong } from './support';

const make = modelMaker();
const inFolder = temporaryFolder();

describe('replaceClassifier', () => {
  it('changes the classes, the shapes and the counts, and nothing before the classifier', async () => {
    const model = await make();
    const before = await model.stateDict();
    await model.replaceClassifier(7);
    const after = await model.stateDict();
    expect(model.config.numClasses).toBe(7);
    expect(after.get('classifier.weight')?.shape).toEqual([7, 16]);
    expect(after.get('classifier.bias')?.shape).toEqual([7]);
    expect(model.parameterCount).toBe(3467 + 4 * 17);
    expect((await model.forward(tinyImages(2))).shape).toEqual([2, 7]);
    for (const [name, { data }] of before)
      if (name.startsWith('features.')) expect([name, after.get(name)?.data]).toEqual([name, data]);
    expect([...after.keys()]).toEqual([...before.keys()]);
  });

  it('draws fresh weights, also for the same number of classes', async () => {
    const model = await make();
    const old = (await model.stateDict()).get('classifier.weight') as TensorData;
    await model.replaceClassifier(3);
    const fresh = (await model.stateDict()).get('classifier.weight') as TensorData;
    expect(fresh.data).not.toEqual(old.data);
    expect(Math.max(...valuesOf(fresh).map(Math.abs))).toBeLessThan(0.06);
    expect(valuesOf((await model.stateDict()).get('classifier.bias'))).toEqual([0, 0, 0]);
  });

  it('forgets the names of the old classes', async () => {
    const model = await make({ classes: ['a', 'b', 'c'] });
    await model.replaceClassifier(3);
    expect(model.config.classes).toBeNull();
    const [prediction] = await model.predict(tinyImages(1));
    expect(prediction?.label).toBe(String(prediction?.index));
  });

  it('gives one that learns, whatever was frozen before', async () => {
    const model = await make();
    model.freeze();
    await model.replaceClassifier(4);
    expect(model.trainableParameterCount).toBe(4 * 17);
    await tinyTrainer(model).step(tinyBatch());
    expect([...(await model.gradients()).keys()]).toEqual(['classifier.weight', 'classifier.bias']);
  });

  it('may come between two steps of one trainer', async () => {
    const model = await make();
    const trainer = tinyTrainer(model, { optimizer: { type: 'adam', lr: 0.01 } });
    await trainer.step(tinyBatch());
    await model.replaceClassifier(5);
    const before = await model.stateDict();
    await trainer.step({ images: tinyImages(2), labels: [4, 3] });
    expect((await model.stateDict()).get('classifier.weight')?.data).not.toEqual(before.get('classifier.weight')?.data);
    await expectRefusal(
      () => trainer.step({ images: tinyImages(2), labels: [4, 5] }),
      'ERR_LABEL_OUT_OF_RANGE',
      'from 0 to 4',
    );
  });

  it('is saved with the model', async () => {
    const model = await make({ classes: ['a', 'b', 'c'] });
    await model.replaceClassifier(6);
    await model.saveWeights(inFolder('six.safetensors'));
    const loaded = await DenseNet.load(inFolder('six.safetensors'), { device: 'cpu' });
    expect(loaded.config).toEqual(model.config);
    expect(await loaded.forward(tinyImages(2))).toEqual(await model.forward(tinyImages(2)));
    await loaded.dispose();
  });
});

describe('calls that are made while replaceClassifier waits for its turn', () => {
  let model: DenseNet;
  beforeEach(async () => {
    model = await make();
    await model.saveWeights(inFolder('own.safetensors'));
  });

  /** Loading first reads the file, and what is called after it waits for that. */
  const behindLoading = (): Promise<unknown> => model.loadWeights(inFolder('own.safetensors'));

  it('save the new classifier as what it is', async () => {
    const file = inFolder('mixed.safetensors');
    await Promise.all([behindLoading(), model.replaceClassifier(5), model.saveWeights(file)]);
    const loaded = await DenseNet.load(file, { device: 'cpu' });
    expect(loaded.config.numClasses).toBe(5);
    expect(await loaded.forward(tinyImages(2))).toEqual(await model.forward(tinyImages(2)));
    await loaded.dispose();
  });

  it('predict the classes that there are then', async () => {
    const [, , predictions] = await Promise.all([
      behindLoading(),
      model.replaceClassifier(2),
      model.predict(tinyImages(1)),
    ]);
    expect(predictions[0]?.top.map(({ index }) => index).sort()).toEqual([0, 1]);
  });

  it('predict with the names that there were before, when they were called before', async () => {
    const named = await make({ classes: ['ant', 'bee', 'cow'] });
    const alone = await named.predict(tinyImages(4));
    const [predictions] = await Promise.all([named.predict(tinyImages(4)), named.replaceClassifier(3)]);
    expect(predictions).toEqual(alone);
  });

  it('freeze the new classifier, and count it as frozen', async () => {
    const waiting = Promise.all([behindLoading(), model.replaceClassifier(5)]);
    model.freeze('classifier');
    await waiting;
    await tinyTrainer(model).step(tinyBatch());
    expect((await model.gradients()).has('classifier.weight')).toBe(false);
    expect(model.trainableParameterCount).toBe(model.parameterCount - 5 * 17);
  });

  it('evaluate with the classes that there were before, when they were called before', async () => {
    const alone = await tinyTrainer(model).evaluate(tinyDataset());
    const [evaluation] = await Promise.all([tinyTrainer(model).evaluate(tinyDataset()), model.replaceClassifier(2)]);
    expect(evaluation).toEqual(alone);
  });
});

test('a classifier that cannot be made leaves the configuration of the old one', async () => {
  const model = await make();
  const failing: Partial<NativeModel> = {
    replaceClassifier: () => Promise.reject(new DenseNetError('ERR_OUT_OF_MEMORY', 'none left.')),
  };
  const state = [
    { name: 'classifier.weight', shape: [3, 16], dtype: 'F32' as const, isParameter: true },
    { name: 'classifier.bias', shape: [3], dtype: 'F32' as const, isParameter: true },
  ];
  const handle = new ModelHandle({} as Native, failing as NativeModel, model.config, state);
  const Made = DenseNet as unknown as new (handle: ModelHandle) => DenseNet;
  const broken = new Made(handle);
  await expectRefusal(() => broken.replaceClassifier(1000), 'ERR_OUT_OF_MEMORY', 'none left.');
  expect(broken.config.numClasses).toBe(3);
  expect(broken.parameterCount).toBe(51);
});

test.each([[0], [-1], [2.5], [NaN], [1_000_001]])('%p is no number of classes', async (given) => {
  const model = await make();
  const texts = ['an integer from 1 to 1000000', `got ${given}.`];
  await expectRefusal(() => model.replaceClassifier(given), 'ERR_INVALID_ARGUMENT', ...texts);
  expect(model.config.numClasses).toBe(3);
});

test.each([['5'], [undefined], [null], [{}], [5n], [[1, 2]]])('%p are no classes', async (given) => {
  const model = await make();
  await expectRefusal(() => model.replaceClassifier(wrong(given)), 'ERR_INVALID_ARGUMENT', 'lasses must be', 'got ');
  expect(model.config.numClasses).toBe(3);
});
