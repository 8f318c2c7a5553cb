import { learningRates, Trainer, type ScheduleOptions } from '../../lib';
import { tinyDataset } from '../tiny';
import { difference, expectRefusal, modelMaker, wrong } from '../unit/support';
import { readSchedules } from './fixtures';

const make = modelMaker();

describe('the rates of 1,000 steps are PyTorch’s within 1e-12:', () => {
  it.each(Object.entries(readSchedules()))('%s', async (_, fixture) => {
    const { options: schedule, lr, values } = fixture;
    const byStep = { ...schedule, interval: 'step' } as ScheduleOptions;
    const count = fixture.learningRate.length;
    expect(count).toBe(1000);
    const found =
      schedule.type === 'plateau'
        ? await learningRates({ lr, schedule, epochs: count, values: values ?? [] })
        : await learningRates({ lr, schedule: byStep, epochs: 8, stepsPerEpoch: count / 8 });
    expect(difference(found.learningRate, fixture.learningRate)).toBeLessThan(1e-12);
    expect(difference(found.momentum, fixture.momentum)).toBeLessThan(1e-12);
    // The same by epochs, whose steps share a rate.
    if (schedule.type === 'plateau') return;
    const byEpoch = { ...schedule, interval: 'epoch' } as ScheduleOptions;
    const repeated = await learningRates({ lr, schedule: byEpoch, epochs: count, stepsPerEpoch: 2 });
    const twice = fixture.learningRate.flatMap((rate) => [rate, rate]);
    expect(difference(repeated.learningRate, twice)).toBeLessThan(1e-12);
  });
});

test('every schedule has a fixture', () => {
  const found = new Set(Object.values(readSchedules()).map(({ options }) => options.type));
  const all = [
    'constant',
    'step',
    'multistep',
    'exponential',
    'cosine',
    'cosineRestarts',
    'onecycle',
    'polynomial',
    'plateau',
  ];
  expect([...found].sort()).toEqual(all.sort());
});

test.each<ScheduleOptions>([
  { type: 'cosine', interval: 'step' },
  { type: 'step', stepSize: 2, gamma: 0.5, interval: 'epoch', warmup: 1 },
  { type: 'onecycle' },
])('a run has the rates that learningRates tells: %j', async (schedule) => {
  const trainer = new Trainer(await make(), { optimizer: { type: 'sgd', lr: 0.02, momentum: 0.9 }, schedule, seed: 1 });
  const rates: number[] = [];
  for await (const event of trainer.fit(tinyDataset(), { epochs: 4, batchSize: 5 }))
    if (event.type === 'step') rates[(event.epoch - 1) * 3 + event.step - 1] = event.learningRate;
  const { learningRate } = await learningRates({ lr: 0.02, schedule, epochs: 4, stepsPerEpoch: 3 });
  expect(rates.length).toBe(12);
  // A slow listener may miss a step, never the newest of an epoch.
  for (const step of [2, 5, 8, 11]) expect(rates[step]).toBeDefined();
  rates.forEach((rate, step) => expect(rate).toBe(learningRate[step]));
});

test('a plateau lowers the rate by the validation data, where there are any', async () => {
  const schedule: ScheduleOptions = { type: 'plateau', patience: 0, threshold: 1e9, thresholdMode: 'absolute' };
  const trainer = new Trainer(await make(), { optimizer: { type: 'sgd', lr: 0.1 }, schedule, seed: 1 });
  const rates: number[] = [];
  const run = trainer.fit(tinyDataset(), { epochs: 4, batchSize: 12, validation: tinyDataset(3) });
  for await (const event of run) if (event.type === 'step') rates[event.epoch - 1] = event.learningRate;
  expect(rates).toEqual([0.1, 0.1, expect.closeTo(0.01, 12), expect.closeTo(0.001, 12)]);
});

describe('a bad schedule is refused with its name, what is allowed and what was given:', () => {
  it.each<[unknown, string, string]>([
    [{ type: 'multistep' }, 'schedule.milestones must be an array', 'got undefined.'],
    [{ type: 'multistep', milestones: [] }, 'schedule.milestones must be an array', 'got [].'],
    [{ type: 'multistep', milestones: [0] }, 'schedule.milestones[0] must be an integer of at least 1', 'got 0.'],
    [{ type: 'exponential' }, 'schedule.gamma must be', 'got undefined.'],
    [{ type: 'cosineRestarts' }, 'schedule.period must be an integer of at least 1', 'got undefined.'],
    [{ type: 'cosineRestarts', period: 2, periodFactor: 0 }, 'schedule.periodFactor must be', 'got 0.'],
    [{ type: 'polynomial', power: 0 }, 'schedule.power must be', 'got 0.'],
    [{ type: 'onecycle', rising: 1.5 }, 'schedule.rising must be a finite number from 0 to 1', 'got 1.5.'],
    [{ type: 'onecycle', shape: 'cosin' }, 'schedule.shape must be one of', 'Did you mean "cosine"?'],
    [{ type: 'onecycle', warmup: 5 }, 'schedule.warmup is not for onecycle', 'rising'],
    [{ type: 'onecycle', cycleMomentum: true }, 'schedule.cycleMomentum needs an optimizer with momentum', 'none'],
    [{ type: 'plateau', interval: 'step' }, 'schedule.interval must be one of "epoch"', 'got "step".'],
    [{ type: 'plateau', gamma: 1 }, 'schedule.gamma must be a finite number from 0 to below 1', 'got 1.'],
    [{ type: 'plateau', monitor: 'accuracy' }, 'schedule.monitor must be one of "loss", "top1"', 'got "accuracy".'],
    [{ type: 'cosine', interval: 'batch' }, 'schedule.interval must be one of "epoch", "step"', 'got "batch".'],
    [{ type: 'cosine', warmup: 0 }, 'schedule.warmup must be an integer of at least 1', 'got 0.'],
    [{ type: 'cosine', warmup: 'long' }, 'schedule.warmup must be a length or an object', 'got "long".'],
    [{ type: 'cosine', warmup: { length: 2, start: 2 } }, 'schedule.warmup.start must be', 'got 2.'],
    [{ type: 'cosine', warmup: { epochs: 2 } }, 'schedule.warmup has no option', '"epochs"'],
  ])('%j', async (schedule, allowed, given) => {
    const model = await make();
    const options = { optimizer: { type: 'sgd', lr: 0.1 }, schedule: wrong(schedule) } as const;
    await expectRefusal(() => new Trainer(model, options), 'ERR_INVALID_ARGUMENT', allowed, given);
  });

  it.each<[string, object]>([
    ['lr must be', { lr: 0, epochs: 1, schedule: { type: 'cosine' } }],
    ['epochs must be', { lr: 1, epochs: 0, schedule: { type: 'cosine' } }],
    ['values[1] must be', { lr: 1, epochs: 2, schedule: { type: 'plateau' }, values: [1, NaN] }],
    ['values must be', { lr: 1, epochs: 2, schedule: { type: 'plateau' }, values: 3 }],
    ['schedule must be', { lr: 1, epochs: 2 }],
  ])('%s, in learningRates', async (text, options) => {
    await expectRefusal(() => learningRates(wrong(options)), 'ERR_INVALID_ARGUMENT', text);
  });
});
