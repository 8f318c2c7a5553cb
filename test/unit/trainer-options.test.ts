import { DenseNet, Trainer, type ScheduleOptions, type TrainerOptions } from '../../lib';
import { resolveTrainerOptions } from '../../lib/training/options';
import { tinyBatch, tinyDataset } from '../tiny';
import { expectRefusal, modelMaker, valuesOf, wrong } from './support';

const make = modelMaker();
const invalid = 'ERR_INVALID_ARGUMENT';
const sgd = { type: 'sgd', lr: 0.1 } as const;

describe('options of a trainer', () => {
  it('are complete after they were checked: PyTorch’s defaults stand where nothing was given', () => {
    expect(resolveTrainerOptions({ optimizer: sgd })).toEqual({
      optimizer: { type: 'sgd', lr: 0.1, momentum: 0, nesterov: false, weightDecay: 0 },
      schedule: { type: 'constant' },
      labelSmoothing: 0,
      seed: undefined,
    });
    const adam = { lr: 0.001, betas: [0.9, 0.999], eps: 1e-8 };
    const resolved = (type: 'adam' | 'adamw'): object => resolveTrainerOptions({ optimizer: { type } }).optimizer;
    expect(resolved('adam')).toEqual({ type: 'adam', ...adam, weightDecay: 0 });
    expect(resolved('adamw')).toEqual({ type: 'adamw', ...adam, weightDecay: 0.01 });
  });

  it('are taken as they were given', () => {
    const options: TrainerOptions = {
      optimizer: { type: 'sgd', lr: 2, momentum: 0.9, nesterov: true, weightDecay: 1e-4 },
      schedule: { type: 'step', stepSize: 30, gamma: 0.5 },
      labelSmoothing: 0.1,
      seed: 7,
    };
    expect(resolveTrainerOptions(options)).toEqual(options);
    const adam = { type: 'adam', lr: 0.5, betas: [0, 0.5], eps: 1e-4, weightDecay: 0.3 } as const;
    expect(resolveTrainerOptions({ optimizer: wrong(adam) }).optimizer).toEqual(adam);
  });

  it('of a cosine span the whole run where no length is given', () => {
    const schedule = (options: ScheduleOptions): object =>
      resolveTrainerOptions({ optimizer: sgd, schedule: options }).schedule;
    expect(schedule({ type: 'cosine' })).toEqual({ type: 'cosine', epochs: 0, minLr: 0 });
    expect(schedule({ type: 'cosine', epochs: 9, minLr: 0.1 })).toEqual({ type: 'cosine', epochs: 9, minLr: 0.1 });
    expect(schedule({ type: 'step', stepSize: 2 })).toEqual({ type: 'step', stepSize: 2, gamma: 0.1 });
  });

  it('are a copy: betas that are changed afterwards change nothing', () => {
    const betas: [number, number] = [0.5, 0.6];
    const resolved = resolveTrainerOptions({ optimizer: { type: 'adam', betas } });
    betas[0] = 7;
    expect(resolved.optimizer).toMatchObject({ betas: [0.5, 0.6] });
  });
});

describe('a bad option is refused with its name, what is allowed and what was given:', () => {
  const optimizer = (fields: object): object => ({ optimizer: { ...sgd, ...fields } });
  const adam = (fields: object): object => ({ optimizer: { type: 'adam', ...fields } });
  const schedule = (fields: unknown): object => ({ optimizer: sgd, schedule: fields });
  it.each<[unknown, string, string]>([
    [null, 'options must be an object', 'got null.'],
    [[], 'options must be an object', 'got [].'],
    [undefined, 'optimizer must be an object such as', 'got undefined.'],
    [{}, 'optimizer must be an object such as', 'got undefined.'],
    [{ optimizer: 'sgd' }, 'optimizer must be an object such as', 'got "sgd".'],
    [{ optimizer: null }, 'optimizer must be an object such as', 'got null.'],
    [{ optimizer: {} }, 'optimizer.type must be one of "sgd", "adam", "adamw"', 'got undefined.'],
    [{ optimizer: { type: 'sdg', lr: 1 } }, 'optimizer.type must be one of', 'got "sdg". Did you mean "sgd"?'],
    [{ optimizer: sgd, learningRate: 1 }, 'options has no option', '"learningRate"'],
    [{ optimizer: { type: 'sgd' } }, 'optimizer.lr must be a finite number', 'got undefined.'],
    [optimizer({ lr: 0 }), 'optimizer.lr must be above 0', 'got 0.'],
    [optimizer({ lr: NaN }), 'optimizer.lr must be a finite number', 'got NaN.'],
    [optimizer({ lr: '0.1' }), 'optimizer.lr must be a finite number', 'got "0.1".'],
    [optimizer({ momentum: 1 }), 'optimizer.momentum must be a finite number from 0 to below 1', 'got 1.'],
    [optimizer({ momentum: -0.5 }), 'optimizer.momentum must be a finite number from 0 to below 1', 'got -0.5.'],
    [optimizer({ nesterov: 1, momentum: 0.9 }), 'optimizer.nesterov must be true or false', 'got 1.'],
    [optimizer({ nesterov: true }), 'optimizer.momentum must be above 0 when nesterov is true', 'got 0.'],
    [optimizer({ weightDecay: -1 }), 'optimizer.weightDecay must be a finite number of at least 0', 'got -1.'],
    [
      optimizer({ weightDecay: Infinity }),
      'optimizer.weightDecay must be a finite number of at least 0',
      'got Infinity.',
    ],
    [optimizer({ betas: [0.9, 0.99] }), 'momentum, nesterov, weightDecay', '"betas"'],
    [adam({ lr: 0 }), 'optimizer.lr must be above 0', 'got 0.'],
    [adam({ betas: 0.9 }), 'optimizer.betas must be an array of two numbers', 'got 0.9.'],
    [adam({ betas: [0.9] }), 'optimizer.betas must be an array of two numbers', 'got [0.9].'],
    [adam({ betas: [0.9, 1] }), 'optimizer.betas[1] must be a finite number from 0 to below 1', 'got 1.'],
    [adam({ betas: ['a', 0.9] }), 'optimizer.betas[0] must be a finite number from 0 to below 1', 'got "a".'],
    [adam({ betas: new Array(2) }), 'optimizer.betas[0] must be a finite number from 0 to below 1', 'got undefined.'],
    [adam({ eps: 0 }), 'optimizer.eps must be above 0', 'got 0.'],
    [adam({ weightDecay: -0.1 }), 'optimizer.weightDecay must be a finite number of at least 0', 'got -0.1.'],
    [adam({ momentum: 0.9 }), 'betas, eps, weightDecay', '"momentum"'],
    [schedule('cosine'), 'schedule must be an object such as', 'got "cosine".'],
    [schedule({ type: 'cosin' }), 'schedule.type must be one of', 'got "cosin". Did you mean "cosine"?'],
    [schedule({ type: 'constant', gamma: 1 }), 'schedule has no option', '"gamma"'],
    [schedule({ type: 'step' }), 'schedule.stepSize must be an integer of at least 1', 'got undefined.'],
    [schedule({ type: 'step', stepSize: 0 }), 'schedule.stepSize must be an integer of at least 1', 'got 0.'],
    [
      schedule({ type: 'step', stepSize: 1, gamma: -1 }),
      'schedule.gamma must be a finite number of at least 0',
      'got -1.',
    ],
    [schedule({ type: 'step', stepSize: 1, epochs: 2 }), 'schedule has no option', '"epochs"'],
    [schedule({ type: 'cosine', epochs: 0 }), 'schedule.epochs must be an integer of at least 1', 'got 0.'],
    [schedule({ type: 'cosine', minLr: -1 }), 'schedule.minLr must be a finite number of at least 0', 'got -1.'],
    [schedule({ type: 'cosine', stepSize: 2 }), 'schedule has no option', '"stepSize"'],
    [{ optimizer: sgd, labelSmoothing: 1 }, 'labelSmoothing must be a finite number from 0 to below 1', 'got 1.'],
    [{ optimizer: sgd, labelSmoothing: '0' }, 'labelSmoothing must be a finite number from 0 to below 1', 'got "0".'],
    [{ optimizer: sgd, seed: -1 }, 'seed must be an integer of at least 0', 'got -1.'],
    [{ optimizer: sgd, seed: 1.5 }, 'seed must be an integer of at least 0', 'got 1.5.'],
  ])('%j', async (options, allowed, given) => {
    await expectRefusal(() => resolveTrainerOptions(wrong(options)), invalid, allowed, given);
    const model = await make();
    await expectRefusal(() => new Trainer(model, wrong(options)), invalid, allowed, given);
  });

  it.each([
    ['optimizer.lr', optimizer({ lr: -1 })],
    ['optimizer.eps', adam({ eps: -1 })],
  ])('%s: a range without 0 is told as one, whatever was given', async (name, options) => {
    await expectRefusal(() => resolveTrainerOptions(wrong(options)), invalid, name, 'above 0', 'got -1.');
  });
});

describe('the learning rate of each epoch', () => {
  /** Of a run of as many epochs as there are rates expected. */
  async function rates(lr: number, schedule: ScheduleOptions, epochs: number): Promise<number[]> {
    const found: number[] = [];
    const trainer = new Trainer(await make(), { optimizer: { type: 'sgd', lr }, schedule, seed: 1 });
    for await (const event of trainer.fit(tinyDataset(), { epochs, batchSize: 12 }))
      if (event.type === 'step') found[event.epoch - 1] = event.learningRate;
    return found;
  }
  const half = Math.SQRT1_2;

  it.each<[string, ScheduleOptions, number[]]>([
    ['stays without a schedule', { type: 'constant' }, [1, 1, 1]],
    ['falls after every stepSize epochs', { type: 'step', stepSize: 2, gamma: 0.5 }, [1, 1, 0.5, 0.5, 0.25]],
    ['falls to a tenth where no gamma is given', { type: 'step', stepSize: 1 }, [1, 0.1, 0.01]],
    ['follows half a cosine over the run', { type: 'cosine' }, [1, (1 + half) / 2, 0.5, (1 - half) / 2]],
    ['follows a cosine of its own length', { type: 'cosine', epochs: 2 }, [1, 0.5]],
    ['falls no lower than minLr', { type: 'cosine', epochs: 3, minLr: 0.2 }, [1, 0.8, 0.4, 0.2]],
  ])('%s', async (_, schedule, factors) => {
    const expected = factors.map((factor) => expect.closeTo(factor * 0.01, 12) as number);
    const scaled =
      schedule.type === 'cosine' && schedule.minLr !== undefined ? { ...schedule, minLr: 0.002 } : schedule;
    expect(await rates(0.01, scaled, factors.length)).toEqual(expected);
  });
});

describe('one step', () => {
  const weight = 'classifier.weight';

  /** Takes a step, and gives what a parameter was, its gradient, and what it is. */
  async function step(
    model: DenseNet,
    options: TrainerOptions,
  ): Promise<{ before: number[]; gradient: number[]; after: number[] }> {
    const before = valuesOf((await model.stateDict()).get(weight));
    await new Trainer(model, options).step(tinyBatch());
    const gradient = valuesOf((await model.gradients()).get(weight));
    return { before, gradient, after: valuesOf((await model.stateDict()).get(weight)) };
  }

  it('of SGD goes down the gradient, weight decay added to it', async () => {
    const { before, gradient, after } = await step(await make(), {
      optimizer: { type: 'sgd', lr: 0.5, weightDecay: 0.1 },
    });
    expect(gradient.some((value) => Math.abs(value) > 1e-3)).toBe(true);
    after.forEach((value, place) => {
      const slope = (gradient[place] as number) + 0.1 * (before[place] as number);
      expect(value).toBeCloseTo((before[place] as number) - 0.5 * slope, 6);
    });
  });

  it('of Adam, the first, goes by the learning rate against the gradient’s sign', async () => {
    const { before, gradient, after } = await step(await make(), { optimizer: { type: 'adam', lr: 0.01, eps: 1e-12 } });
    after.forEach((value, place) => {
      expect(value).toBeCloseTo((before[place] as number) - 0.01 * Math.sign(gradient[place] as number), 6);
    });
  });

  it('of AdamW shrinks the weights by lr × weightDecay first', async () => {
    const options: TrainerOptions = { optimizer: { type: 'adamw', lr: 0.01, weightDecay: 5, eps: 1e-12 } };
    const { before, gradient, after } = await step(await make(), options);
    after.forEach((value, place) => {
      expect(value).toBeCloseTo((before[place] as number) * 0.95 - 0.01 * Math.sign(gradient[place] as number), 6);
    });
  });

  it('with label smoothing has the loss (1 − ε)·cross-entropy + ε·mean over all classes', async () => {
    const loss = async (label: number, labelSmoothing: number): Promise<number> => {
      const trainer = new Trainer(await make(), { optimizer: sgd, labelSmoothing });
      return (await trainer.step({ ...tinyBatch(), labels: Array<number>(6).fill(label) })).loss;
    };
    const each = [await loss(0, 0), await loss(1, 0), await loss(2, 0)] as const;
    const mean = (each[0] + each[1] + each[2]) / 3;
    expect(Math.abs(each[1] - mean)).toBeGreaterThan(1e-3);
    expect(await loss(1, 0.3)).toBeCloseTo(0.7 * each[1] + 0.3 * mean, 5);
  });
});
