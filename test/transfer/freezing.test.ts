import { isDeepStrictEqual } from 'node:util';
import { DenseNet, gradualUnfreezing, transforms, type TensorData } from '../../lib';
import { relativeDifference } from '../parity/fixture';
import { stateOf, tinyBatch, tinyDataset, tinyImages, tinyModel, tinyTrainer } from '../tiny';

let model: DenseNet;
beforeEach(async () => (model = await tinyModel()));
afterEach(() => model.dispose());

/** The names of the state's entries that differ. */
function changed(before: Record<string, unknown>, after: Record<string, unknown>): string[] {
  return Object.keys(before).filter((name) => !isDeepStrictEqual(before[name], after[name]));
}

describe('freezing the features', () => {
  it('keeps all of them in training, the statistics of batch norm too', async () => {
    model.freeze('features');
    const before = await stateOf(model);
    await tinyTrainer(model).step(tinyBatch());
    expect(changed(before, await stateOf(model))).toEqual(['classifier.weight', 'classifier.bias']);
  });

  it('makes an image give the same logits whatever else is in its batch', async () => {
    model.freeze('features');
    const trainer = tinyTrainer(model, { optimizer: { type: 'sgd', lr: 1e-30 } });
    const alone = await trainer.step({ images: tinyImages(1), labels: [0] });
    const several = tinyImages(3);
    (several.data as Float32Array).fill(9, 64);
    const among = await trainer.step({ images: several, labels: [0, 0, 0] });
    const losses = [among.loss];
    for (const place of [1, 2]) {
      const data = (several.data as Float32Array).slice(place * 64, place * 64 + 64);
      losses.push((await trainer.step({ images: { data, shape: [1, 1, 8, 8] }, labels: [0] })).loss);
    }
    const [mean = 0, second = 0, third = 0] = losses;
    expect((alone.loss + second + third) / 3).toBeCloseTo(mean, 5);
  });

  it('with batchNorm: adapt lets the statistics follow, as PyTorch does', async () => {
    model.freeze('features', { batchNorm: 'adapt' });
    const before = await stateOf(model);
    await tinyTrainer(model).step(tinyBatch());
    const moved = changed(before, await stateOf(model));
    expect(moved).toContain('features.norm5.running_mean');
    expect(moved).toContain('features.denseblock1.denselayer1.norm1.num_batches_tracked');
    expect(moved.filter((name) => /(weight|bias)$/.test(name))).toEqual(['classifier.weight', 'classifier.bias']);
  });

  it('unfreezing lets everything learn again', async () => {
    model.freeze('features');
    model.unfreeze();
    const before = await stateOf(model);
    await tinyTrainer(model).step(tinyBatch());
    expect(changed(before, await stateOf(model))).toHaveLength(Object.keys(before).length);
    expect(model.trainableParameterCount).toBe(model.parameterCount);
  });

  it('of one block keeps that block alone', async () => {
    model.freeze('features.denseblock1');
    const before = await stateOf(model);
    await tinyTrainer(model).step(tinyBatch());
    const still = Object.keys(before).filter((name) => name.startsWith('features.denseblock1.'));
    const moved = changed(before, await stateOf(model));
    expect(moved.filter((name) => still.includes(name))).toEqual([]);
    expect(moved).toHaveLength(Object.keys(before).length - still.length);
  });

  it('refuses a batchNorm that it does not know', () => {
    expect(() => model.freeze('features', { batchNorm: 'eval' as 'keep' })).toThrow(/"keep", "adapt"/);
  });
});

describe('gradual unfreezing', () => {
  it('goes from the last block to the stem', async () => {
    const deep = await tinyModel({ stem: 'imagenet', blockConfig: [1, 1, 1] });
    expect(gradualUnfreezing(deep, { every: 2 })).toEqual([
      { epoch: 3, prefix: 'features.denseblock3' },
      { epoch: 3, prefix: 'features.norm5' },
      { epoch: 5, prefix: 'features.denseblock2' },
      { epoch: 5, prefix: 'features.transition2' },
      { epoch: 7, prefix: 'features.denseblock1' },
      { epoch: 7, prefix: 'features.transition1' },
      { epoch: 9, prefix: 'features.conv0' },
      { epoch: 9, prefix: 'features.norm0' },
    ]);
    await deep.dispose();
  });

  it('lets each part learn from its epoch on, and the model knows it afterwards', async () => {
    model.freeze('features');
    const before = await stateOf(model);
    const plan = { batchSize: 4, unfreeze: gradualUnfreezing(model) };
    await tinyTrainer(model).fit(tinyDataset(), { ...plan, epochs: 1 });
    expect(changed(before, await stateOf(model)).filter((name) => name.startsWith('features'))).toEqual([]);
    await tinyTrainer(model).fit(tinyDataset(), { ...plan, epochs: 2 });
    const moved = changed(before, await stateOf(model));
    expect(moved).toContain('features.denseblock2.denselayer1.conv1.weight');
    expect(moved).not.toContain('features.denseblock1.denselayer1.conv1.weight');
    const classifier = (await model.stateDict()).get('classifier.weight') as TensorData;
    expect(model.trainableParameterCount).toBeGreaterThan(classifier.data.length);
    expect(model.trainableParameterCount).toBeLessThan(model.parameterCount);
    await tinyTrainer(model).fit(tinyDataset(), { ...plan, epochs: 4 });
    expect(changed(before, await stateOf(model))).toContain('features.conv0.weight');
    expect(model.trainableParameterCount).toBe(model.parameterCount);
  });

  it('refuses a part that there is not', async () => {
    const run = tinyTrainer(model).fit(tinyDataset(), {
      epochs: 1,
      batchSize: 4,
      unfreeze: [{ epoch: 1, prefix: 'features.denseblock9' }],
    });
    await expect(run).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });
});

describe('features that are kept', () => {
  const train = async (cacheFeatures: 'auto' | boolean, more: object = {}) => {
    const one = await tinyModel();
    one.freeze('features');
    const { epochs } = await tinyTrainer(one).fit(tinyDataset(14), {
      epochs: 4,
      batchSize: 4,
      validation: tinyDataset(7),
      cacheFeatures,
      ...more,
    });
    const state = await one.stateDict();
    await one.dispose();
    return { state, epochs };
  };

  it.each(['auto', true] as const)('(%s) end where the whole network would have ended', async (cacheFeatures) => {
    const [kept, whole] = [await train(cacheFeatures), await train(false)];
    for (const [name, tensor] of whole.state)
      if (name.startsWith('classifier'))
        expect(relativeDifference(kept.state.get(name) as TensorData, tensor)).toBeLessThan(1e-5);
    for (const [index, { train: metrics, validation }] of whole.epochs.entries()) {
      expect(kept.epochs[index]?.train.loss).toBeCloseTo(metrics.loss, 5);
      expect(kept.epochs[index]?.validation?.loss).toBeCloseTo(validation?.loss as number, 5);
    }
  });

  it('are given up when a part begins to learn in the middle of the run', async () => {
    const unfreeze = [{ epoch: 3, prefix: 'features.denseblock2' }];
    const [kept, whole] = [await train(true, { unfreeze }), await train(false, { unfreeze })];
    for (const [name, tensor] of whole.state)
      if (tensor.data instanceof Float32Array)
        expect([name, relativeDifference(kept.state.get(name) as TensorData, tensor)]).toEqual([
          name,
          expect.toBeBelow(1e-4),
        ]);
  });

  it('are not kept where augmentation changes them', async () => {
    const augment = [transforms.randomCrop({ padding: 1 })];
    const [kept, whole] = [await train(true, { augment }), await train(false, { augment })];
    expect(kept.state.get('classifier.weight')).toEqual(whole.state.get('classifier.weight'));
  });
});
