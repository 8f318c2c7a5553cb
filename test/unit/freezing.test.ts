import type { DenseNet, TensorData } from '../../lib';
import { tinyBatch, tinyDataset, tinyImages, tinyTrainer } from '../tiny';
import { expectRefusal, modelMaker } from './support';

const make = modelMaker();

/** The names of the parameters and buffers that a step changes. */
async function movedBy(model: DenseNet, change: () => PromiseLike<unknown>): Promise<string[]> {
  const before = await model.stateDict();
  await change();
  const after = await model.stateDict();
  return [...before].filter(([name, { data }]) => !equal(data, after.get(name)?.data)).map(([name]) => name);
}

function equal(a: TensorData['data'], b: TensorData['data'] | undefined): boolean {
  return b !== undefined && a.every((value: number | bigint, place: number) => value === b[place]);
}

const parameters = (names: string[]): string[] => names.filter((name) => /\.(weight|bias)$/.test(name));

async function parameterNames(model: DenseNet): Promise<string[]> {
  return parameters([...(await model.stateDict()).keys()]);
}

/** With momentum and weight decay, which would move a frozen weight that is not left out. */
const step = (model: DenseNet) => async () =>
  tinyTrainer(model, { optimizer: { type: 'sgd', lr: 0.1, momentum: 0.9, weightDecay: 0.1 } }).step(tinyBatch());

describe('a step', () => {
  it('moves every parameter where nothing is frozen', async () => {
    const model = await make();
    expect(parameters(await movedBy(model, step(model)))).toEqual(await parameterNames(model));
  });

  it('leaves a frozen backbone as it is, and moves the classifier', async () => {
    const model = await make();
    model.freeze('features');
    expect(parameters(await movedBy(model, step(model)))).toEqual(['classifier.weight', 'classifier.bias']);
  });

  it.each(['features.denseblock1', 'features.denseblock1.denselayer1', 'features.norm5.weight', 'classifier'])(
    'leaves %s as it is, and moves all else',
    async (prefix) => {
      const model = await make();
      model.freeze(prefix);
      const others = (await parameterNames(model)).filter((name) => name !== prefix && !name.startsWith(`${prefix}.`));
      expect(others.length).toBeLessThan((await parameterNames(model)).length);
      expect(parameters(await movedBy(model, step(model)))).toEqual(others);
    },
  );

  it('does not take a part for another whose name begins with its name', async () => {
    const model = await make({ blockConfig: [11] });
    model.freeze('features.denseblock1.denselayer1');
    const moved = await movedBy(model, step(model));
    expect(moved).toContain('features.denseblock1.denselayer10.conv1.weight');
    expect(moved).not.toContain('features.denseblock1.denselayer1.conv1.weight');
  });

  it('moves no parameter where all are frozen, and still tells the loss', async () => {
    const model = await make();
    model.freeze();
    const trainer = tinyTrainer(model);
    expect(parameters(await movedBy(model, () => trainer.step(tinyBatch())))).toEqual([]);
    expect((await trainer.step(tinyBatch())).loss).toBeGreaterThan(0);
    expect((await model.gradients()).size).toBe(0);
  });

  it('moves again what was unfrozen', async () => {
    const model = await make();
    model.freeze();
    model.unfreeze('features.transition1');
    expect(parameters(await movedBy(model, step(model)))).toEqual([
      'features.transition1.norm.weight',
      'features.transition1.norm.bias',
      'features.transition1.conv.weight',
    ]);
    model.unfreeze();
    expect(parameters(await movedBy(model, step(model)))).toEqual(await parameterNames(model));
  });
});

test.each(['sgd', 'adam', 'adamw'] as const)(
  '%s goes on where parameters are frozen and unfrozen between its steps',
  async (type) => {
    const model = await make();
    const optimizer = type === 'sgd' ? { type, lr: 0.1, momentum: 0.9 } : { type, lr: 0.01, weightDecay: 0.1 };
    const trainer = tinyTrainer(model, { optimizer });
    await trainer.step(tinyBatch());
    model.freeze('features.denseblock1');
    const moved = parameters(await movedBy(model, () => trainer.step(tinyBatch())));
    expect(moved.some((name) => name.startsWith('features.denseblock1.'))).toBe(false);
    expect(moved).toContain('features.denseblock2.denselayer1.conv1.weight');
    model.unfreeze();
    expect(parameters(await movedBy(model, () => trainer.step(tinyBatch())))).toEqual(await parameterNames(model));
  },
);

test('fit leaves frozen parameters alone too', async () => {
  const model = await make();
  model.freeze('features');
  const moved = await movedBy(model, () => tinyTrainer(model).fit(tinyDataset(), { epochs: 2, batchSize: 4 }));
  expect(parameters(moved)).toEqual(['classifier.weight', 'classifier.bias']);
});

describe('gradients', () => {
  it('are there for every parameter that learned in the last step, in its shape', async () => {
    const model = await make();
    await step(model)();
    const [gradients, state] = [await model.gradients(), await model.stateDict()];
    expect([...gradients.keys()]).toEqual(await parameterNames(model));
    for (const [name, { shape, data }] of gradients) {
      expect(shape).toEqual(state.get(name)?.shape);
      expect([name, data.some((value: number | bigint) => value !== 0)]).toEqual([name, true]);
    }
  });

  it('are not there before a step, nor made by forward', async () => {
    const model = await make();
    expect((await model.gradients()).size).toBe(0);
    await model.forward(tinyImages(2));
    expect((await model.gradients()).size).toBe(0);
  });

  it('of the last step are not added to those of the step before', async () => {
    const [once, twice] = [await make(), await make()];
    const still = { optimizer: { type: 'sgd', lr: 1e-30 } } as const;
    await tinyTrainer(once, still).step(tinyBatch());
    const trainer = tinyTrainer(twice, still);
    await trainer.step(tinyBatch());
    await trainer.step(tinyBatch());
    expect(await twice.gradients()).toEqual(await once.gradients());
  });

  it('of frozen parameters are gone', async () => {
    const model = await make();
    await step(model)();
    model.freeze('features');
    expect([...(await model.gradients()).keys()]).toEqual(['classifier.weight', 'classifier.bias']);
    await step(model)();
    expect([...(await model.gradients()).keys()]).toEqual(['classifier.weight', 'classifier.bias']);
  });
});

test.each([
  ['classifer', 'Did you mean "classifier"?'],
  ['feature', 'Did you mean "features"?'],
  ['features.denseblock3', 'Did you mean "features.denseblock1"?'],
  ['features.', 'Did you mean "features"?'],
  ['num_batches_tracked', 'got'],
])('there is no part %s to freeze, and the nearest is named', async (prefix, hint) => {
  const model = await make();
  for (const call of [() => model.freeze(prefix), () => model.unfreeze(prefix)])
    await expectRefusal(call, 'ERR_INVALID_ARGUMENT', `"${prefix}"`, ...(hint === 'got' ? [] : [hint]));
  expect(model.trainableParameterCount).toBe(model.parameterCount);
});
