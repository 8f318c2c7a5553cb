import { datasets, DenseNet, Trainer } from '../../lib';
import { tinyBatch, tinyImages, tinyOptions } from '../tiny';
import { expectRefusal, valuesOf, wrong } from '../unit/support';
import { bridgeMaker } from './support';

const bridge = bridgeMaker();
const tiny = tinyOptions();
const trainer = { optimizer: { type: 'sgd', lr: 0.05 }, seed: 1 } as const;
const unfreeze = [{ epoch: 2, prefix: 'features.denseblock2' }];

describe('freezing over a bridge', () => {
  it.each(['keep', 'adapt'] as const)(
    'keeps parts as they are, as in the library (batchNorm: %s)',
    async (batchNorm) => {
      const remote = await bridge().client.createModel(tiny);
      await using local = await DenseNet.create(tiny);
      await remote.freeze('features', { batchNorm });
      local.freeze('features', { batchNorm });
      expect(remote.trainableParameterCount).toBe(local.trainableParameterCount);
      expect(remote.trainableParameterCount).toBeLessThan(remote.parameterCount);
      await remote.train(tinyBatch(12), { trainer, epochs: 2, batchSize: 4, unfreeze });
      await new Trainer(local, trainer).fit(datasets.fromArrays(tinyBatch(12)), { epochs: 2, batchSize: 4, unfreeze });
      expect(remote.trainableParameterCount).toBe(local.trainableParameterCount);
      expect(valuesOf(await remote.forward(tinyImages(2)))).toEqual(valuesOf(await local.forward(tinyImages(2))));
      await remote.unfreeze('features.conv0');
      local.unfreeze('features.conv0');
      expect(remote.trainableParameterCount).toBe(local.trainableParameterCount);
      await remote.unfreeze();
      expect(remote.trainableParameterCount).toBe(remote.parameterCount);
      await remote.freeze();
      expect(remote.trainableParameterCount).toBe(0);
    },
  );

  it('counts what a run has set free also when it was ended', async () => {
    const remote = await bridge().client.createModel(tiny);
    await remote.freeze('features');
    const frozen = remote.trainableParameterCount;
    const control = new AbortController();
    const { signal } = control;
    const run = remote.train(tinyBatch(12), { trainer, epochs: 1_000_000, batchSize: 4, unfreeze, signal });
    const ended = run.catch((reason: unknown) => reason);
    for await (const event of run) if (event.type === 'epoch' && event.epoch === 2) break;
    control.abort('enough');
    await ended;
    expect(remote.trainableParameterCount).toBeGreaterThan(frozen);
  });

  it('is refused as in the library: an unknown part, a model that is trained or gone, an option that there is not', async () => {
    const { client } = bridge();
    const remote = await client.createModel(tiny);
    await expectRefusal(() => remote.freeze('feature'), 'ERR_INVALID_ARGUMENT', 'feature');
    await expectRefusal(() => remote.unfreeze('classifier.b'), 'ERR_INVALID_ARGUMENT', 'classifier.b');
    await expectRefusal(() => remote.freeze(wrong(1)), 'ERR_INVALID_ARGUMENT', 'prefix');
    await expectRefusal(() => remote.freeze('features', { batchNorm: wrong('no') }), 'ERR_INVALID_ARGUMENT', '"adapt"');
    const run = remote.train(tinyBatch(12), { trainer, epochs: 1_000_000, batchSize: 4 });
    const ended = expectRefusal(() => run, 'ERR_DISPOSED');
    await run[Symbol.asyncIterator]().next();
    await expectRefusal(() => remote.freeze(), 'ERR_BUSY');
    await expectRefusal(() => remote.unfreeze(), 'ERR_BUSY');
    await remote.dispose();
    await ended;
    await expectRefusal(() => remote.freeze(), 'ERR_DISPOSED');
    await expectRefusal(() => remote.unfreeze(), 'ERR_DISPOSED');
  });
});
