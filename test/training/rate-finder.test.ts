import { datasets, Trainer, type DenseNet } from '../../lib';
import { stateOf, tinyBatch, tinyDataset, tinyTrainer } from '../tiny';
import { expectRefusal, fingerprint, modelMaker, wrong } from '../unit/support';

const make = modelMaker();
const sgd = { optimizer: { type: 'sgd', lr: 0.05, momentum: 0.9 }, seed: 1 } as const;

/** What two steps of training come to, which show the optimizer's state as well as the weights. */
async function nextLosses(trainer: Trainer): Promise<number[]> {
  return [(await trainer.step(tinyBatch())).loss, (await trainer.step(tinyBatch())).loss];
}

async function gradientsOf(model: DenseNet): Promise<unknown> {
  return Object.fromEntries(await model.gradients());
}

describe('findLearningRate', () => {
  it('tries rates that grow by one factor, and takes real steps', async () => {
    const model = await make();
    const options = { lowest: 1e-5, highest: 1, steps: 21, batchSize: 4 };
    const { rates, losses, smoothed } = await new Trainer(model, sgd).findLearningRate(tinyDataset(), options);
    expect(rates).toHaveLength(21);
    for (const [step, rate] of rates.entries()) expect(rate).toBeCloseTo(1e-5 * 10 ** (step / 4), 10);
    // The first loss is that of the model as it is, and its own mean.
    expect(smoothed[0]).toBeCloseTo(losses[0] as number, 12);
    expect(smoothed[1]).toBeCloseTo(((losses[0] as number) * 0.9 + (losses[1] as number)) / 1.9, 12);
    expect(Math.min(...losses)).toBeLessThan((losses[0] as number) - 0.05);
  });

  it('suggests a rate at which the loss fell, below the one at which it ran away', async () => {
    const trainer = new Trainer(await make({ growthRate: 8, numClasses: 10 }), sgd);
    const options = { lowest: 1e-4, highest: 100, steps: 60, batchSize: 32 };
    const { rates, smoothed, suggestion } = await trainer.findLearningRate(await datasets.digits('train'), options);
    const least = rates[smoothed.indexOf(Math.min(...smoothed))] as number;
    // Below it nothing is learned, as the first losses show; above, the loss rises.
    expect(smoothed[10]).toBeCloseTo(smoothed[0] as number, 1);
    expect(smoothed.at(-1)).toBeGreaterThan(Math.min(...smoothed) + 0.2);
    expect(suggestion).toBeGreaterThan(0.01);
    expect(suggestion).toBeLessThan(least);
    expect(rates).toContain(suggestion);
  });

  it('leaves weights, statistics, gradients, optimizer and order as they were', async () => {
    const [model, twin] = [await make({ dropRate: 0.2 }), await make({ dropRate: 0.2 })];
    const [trainer, untouched] = [new Trainer(model, sgd), new Trainer(twin, sgd)];
    for (const one of [trainer, untouched]) await nextLosses(one);
    const before = [await stateOf(model), await gradientsOf(model)];
    await trainer.findLearningRate(tinyDataset(), { steps: 30, batchSize: 4, highest: 1e6 });
    expect([await stateOf(model), await gradientsOf(model)]).toEqual(before);
    expect(await nextLosses(trainer)).toEqual(await nextLosses(untouched));
    for (const one of [trainer, untouched]) await one.fit(tinyDataset(), { epochs: 2, batchSize: 4 });
    expect(await fingerprint(model)).toBe(await fingerprint(twin));
  });

  it('ends where the loss runs away or is no number any more, which is no error', async () => {
    const trainer = new Trainer(await make(), sgd);
    const { rates, losses, smoothed } = await trainer.findLearningRate(tinyDataset(), {
      lowest: 1,
      highest: 1e30,
      steps: 60,
      batchSize: 4,
    });
    expect(rates.length).toBeLessThan(60);
    expect(losses.every(Number.isFinite)).toBe(true);
    expect(smoothed).toHaveLength(rates.length);
  });

  it('ends with the reason of its signal, and everything is as it was', async () => {
    const model = await make();
    const before = await fingerprint(model);
    const stop = new AbortController();
    const search = new Trainer(model, sgd).findLearningRate(tinyDataset(), {
      steps: 1_000_000,
      batchSize: 4,
      highest: 2e-7,
      signal: stop.signal,
    });
    setTimeout(() => stop.abort(new Error('enough')), 30);
    await expect(search).rejects.toThrow('enough');
    expect(await fingerprint(model)).toBe(before);
  });

  it('leaves everything as it was where it fails', async () => {
    const model = await make();
    const before = await fingerprint(model);
    const data = tinyDataset();
    data.labels[7] = 5;
    await expectRefusal(() => tinyTrainer(model).findLearningRate(data), 'ERR_LABEL_OUT_OF_RANGE');
    expect(await fingerprint(model)).toBe(before);
  });

  it.each([
    ['rates that do not grow', { lowest: 1, highest: 1 }, 'highest must be above lowest'],
    ['a rate of 0', { lowest: 0 }, 'lowest'],
    ['a single step', { steps: 1 }, 'steps'],
    ['a factor of 1', { stopFactor: 1 }, 'stopFactor must be above 1'],
    ['no images a step', { batchSize: 0 }, 'batchSize'],
    ['an option that there is not', { start: 1 }, 'no option "start"'],
  ])('refuses %s', async (_, options, text) => {
    const trainer = tinyTrainer(await make());
    await expectRefusal(() => trainer.findLearningRate(tinyDataset(), wrong(options)), 'ERR_INVALID_ARGUMENT', text);
  });

  it('waits for a training run', async () => {
    const trainer = tinyTrainer(await make());
    const run = trainer.fit(tinyDataset(), { epochs: 2, batchSize: 4 });
    await expect(trainer.findLearningRate(tinyDataset())).rejects.toThrow('ERR_BUSY');
    await run;
  });
});
