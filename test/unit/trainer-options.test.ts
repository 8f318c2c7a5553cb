import { DenseNet, Trainer, type ScheduleOptions, type TrainerOptions } from '../../lib';
import { tinyBatch, tinyDataset } from '../tiny';
import { expectRefusal, fingerprint, modelMaker, valuesOf, wrong } from './support';

const make = modelMaker();
const invalid = 'ERR_INVALID_ARGUMENT';
const sgd = { type: 'sgd', lr: 0.1 } as const;

describe('an option that is not given', () => {
  /** The weights after two epochs by a trainer with these options. */
  async function weightsAfter(options: TrainerOptions, change?: () => void): Promise<string> {
    const model = await make();
    const trainer = new Trainer(model, { seed: 1, ...options });
    change?.();
    await trainer.fit(tinyDataset(), { epochs: 2, batchSize: 5 });
    return fingerprint(model);
  }
  const adam = { lr: 0.001, betas: [0.9, 0.999] as [number, number], eps: 1e-8 };

  it.each<[string, TrainerOptions, TrainerOptions]>([
    ['of SGD', { optimizer: sgd }, { optimizer: { ...sgd, momentum: 0, nesterov: false, weightDecay: 0 } }],
    ['of Adam', { optimizer: { type: 'adam' } }, { optimizer: { type: 'adam', ...adam, weightDecay: 0 } }],
    ['of AdamW', { optimizer: { type: 'adamw' } }, { optimizer: { type: 'adamw', ...adam, weightDecay: 0.01 } }],
    [
      'of the trainer',
      { optimizer: sgd },
      {
        optimizer: sgd,
        schedule: { type: 'constant' },
        loss: 'crossEntropy',
        labelSmoothing: 0,
        precision: 'fp32',
        channelsLast: false,
        deterministic: false,
        accumulate: 1,
        ema: false,
      },
    ],
    [
      'of RMSprop',
      { optimizer: { type: 'rmsprop' } },
      {
        optimizer: { type: 'rmsprop', lr: 0.01, alpha: 0.99, eps: 1e-8, momentum: 0, centered: false, weightDecay: 0 },
      },
    ],
    [
      'of the focal loss',
      { optimizer: sgd, loss: 'focal' },
      { optimizer: sgd, loss: { type: 'focal', gamma: 2 }, classWeights: [1, 1, 1] },
    ],
    [
      'of the warm-up',
      { optimizer: sgd, schedule: { type: 'constant', warmup: 2 } },
      {
        optimizer: sgd,
        schedule: { type: 'constant', interval: 'epoch', warmup: { length: 2, start: 1 / 3, type: 'linear' } },
      },
    ],
    [
      'of the schedule step',
      { optimizer: sgd, schedule: { type: 'step', stepSize: 1 } },
      { optimizer: sgd, schedule: { type: 'step', stepSize: 1, gamma: 0.1 } },
    ],
    [
      'of the schedule cosine',
      { optimizer: sgd, schedule: { type: 'cosine' } },
      { optimizer: sgd, schedule: { type: 'cosine', length: 2, minLr: 0 } },
    ],
  ])('%s has PyTorch’s default', async (_, short, complete) => {
    expect(await weightsAfter(short)).toBe(await weightsAfter(complete));
  });

  it.each<[string, TrainerOptions]>([
    ['momentum', { optimizer: { ...sgd, momentum: 0.9 } }],
    ['Nesterov’s momentum', { optimizer: { ...sgd, momentum: 0.9, nesterov: true } }],
    ['SGD’s weight decay', { optimizer: { ...sgd, weightDecay: 0.1 } }],
    ['SGD’s rate', { optimizer: { type: 'sgd', lr: 0.2 } }],
    ['a schedule', { optimizer: sgd, schedule: { type: 'cosine' } }],
    ['label smoothing', { optimizer: sgd, labelSmoothing: 0.1 }],
    ['Adam’s first beta', { optimizer: { type: 'adam', betas: [0.5, 0.999] } }],
    ['Adam’s second beta', { optimizer: { type: 'adam', betas: [0.9, 0.5] } }],
    ['Adam’s eps', { optimizer: { type: 'adam', eps: 0.1 } }],
    ['Adam’s weight decay', { optimizer: { type: 'adam', weightDecay: 0.1 } }],
    ['AdamW’s weight decay', { optimizer: { type: 'adamw', weightDecay: 0 } }],
  ])('is missed: %s makes a difference', async (_, options) => {
    const { type } = options.optimizer;
    const plain: TrainerOptions = { optimizer: type === 'sgd' ? sgd : { type } };
    expect(await weightsAfter(options)).not.toBe(await weightsAfter(plain));
  });

  it('is not taken from the given object later', async () => {
    const optimizer: TrainerOptions['optimizer'] = { type: 'adam', betas: [0.5, 0.6] };
    const options: TrainerOptions = { optimizer };
    const expected = await weightsAfter({ optimizer: { type: 'adam', betas: [0.5, 0.6] } });
    const change = (): void => {
      optimizer.betas?.fill(0.1);
      optimizer.lr = 7;
      options.labelSmoothing = 0.5;
    };
    expect(await weightsAfter(options, change)).toBe(expected);
  });
});

describe('a bad option is refused with its name, what is allowed and what was given:', () => {
  const optimizer = (fields: object): object => ({ optimizer: { ...sgd, ...fields } });
  const adam = (fields: object): object => ({ optimizer: { type: 'adam', ...fields } });
  const rmsprop = (fields: object): object => ({ optimizer: { type: 'rmsprop', ...fields } });
  const schedule = (fields: unknown): object => ({ optimizer: sgd, schedule: fields });
  it.each<[unknown, string, string]>([
    [null, 'options must be an object', 'got null.'],
    [[], 'options must be an object', 'got [].'],
    [undefined, 'optimizer must be an object such as', 'got undefined.'],
    [{}, 'optimizer must be an object such as', 'got undefined.'],
    [{ optimizer: 'sgd' }, 'optimizer must be an object such as', 'got "sgd".'],
    [{ optimizer: null }, 'optimizer must be an object such as', 'got null.'],
    [{ optimizer: {} }, 'optimizer.type must be one of "sgd", "adam", "adamw", "rmsprop"', 'got undefined.'],
    [{ optimizer: { type: 'sdg', lr: 1 } }, 'optimizer.type must be one of', 'got "sdg". Did you mean "sgd"?'],
    [{ optimizer: sgd, learningRate: 1 }, 'options has no option', '"learningRate"'],
    [{ optimizer: { type: 'sgd' } }, 'optimizer.lr must be a finite number', 'got undefined.'],
    [optimizer({ lr: 0 }), 'optimizer.lr must be', 'above 0; got 0.'],
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
    [optimizer({ betas: [0.9, 0.99] }), 'momentum, dampening, nesterov, weightDecay', '"betas"'],
    [adam({ lr: 0 }), 'optimizer.lr must be', 'above 0; got 0.'],
    [adam({ betas: 0.9 }), 'optimizer.betas must be an array of two numbers', 'got 0.9.'],
    [adam({ betas: [0.9] }), 'optimizer.betas must be an array of two numbers', 'got [0.9].'],
    [adam({ betas: [0.9, 1] }), 'optimizer.betas[1] must be a finite number from 0 to below 1', 'got 1.'],
    [adam({ betas: ['a', 0.9] }), 'optimizer.betas[0] must be a finite number from 0 to below 1', 'got "a".'],
    [adam({ betas: new Array(2) }), 'optimizer.betas[0] must be a finite number from 0 to below 1', 'got undefined.'],
    [adam({ eps: 0 }), 'optimizer.eps must be', 'above 0; got 0.'],
    [adam({ weightDecay: -0.1 }), 'optimizer.weightDecay must be a finite number of at least 0', 'got -0.1.'],
    [adam({ momentum: 0.9 }), 'betas, eps, weightDecay', '"momentum"'],
    [adam({ amsgrad: 1 }), 'optimizer.amsgrad must be true or false', 'got 1.'],
    [optimizer({ dampening: 1 }), 'optimizer.dampening must be a finite number from 0 to below 1', 'got 1.'],
    [
      optimizer({ dampening: 0.1, nesterov: true, momentum: 0.9 }),
      'optimizer.dampening must be 0 when nesterov',
      'got 0.1.',
    ],
    [optimizer({ decayNormsAndBiases: 0 }), 'optimizer.decayNormsAndBiases must be true or false', 'got 0.'],
    [rmsprop({ alpha: 1 }), 'optimizer.alpha must be a finite number from 0 to below 1', 'got 1.'],
    [rmsprop({ eps: 0 }), 'optimizer.eps must be', 'got 0.'],
    [rmsprop({ momentum: -1 }), 'optimizer.momentum must be a finite number from 0 to below 1', 'got -1.'],
    [rmsprop({ centered: 'yes' }), 'optimizer.centered must be true or false', 'got "yes".'],
    [rmsprop({ betas: [0.9, 0.9] }), 'alpha, eps, momentum', '"betas"'],
    [{ optimizer: sgd, loss: 'mse' }, 'loss must be one of "crossEntropy", "focal"', 'got "mse".'],
    [{ optimizer: sgd, loss: null }, 'loss must be a name or an object', 'got null.'],
    [{ optimizer: sgd, loss: { type: 'focal', gamma: -1 } }, 'loss.gamma must be', 'got -1.'],
    [{ optimizer: sgd, loss: { type: 'crossEntropy', gamma: 1 } }, 'loss has no option', '"gamma"'],
    [{ optimizer: sgd, loss: { type: 'binaryFocal', alpha: 2 } }, 'loss.alpha must be', 'from 0 to 1; got 2.'],
    [
      { optimizer: sgd, loss: { type: 'binaryCrossEntropy', positiveWeights: [1] } },
      'loss.positiveWeights must be an array of 3 numbers',
      'got [1].',
    ],
    [{ optimizer: sgd, loss: 'binaryFocal', classWeights: [1, 1, 1] }, 'classWeights is for crossEntropy', 'leave it'],
    [{ optimizer: sgd, classWeights: [1, 2] }, 'classWeights must be an array of 3 numbers', 'got [1, 2].'],
    [{ optimizer: sgd, classWeights: [1, 2, -1] }, 'classWeights[2] must be', 'got -1.'],
    [{ optimizer: sgd, classWeights: [0, 0, 0] }, 'classWeights must be above 0 for one class', 'got [0, 0, 0].'],
    [{ optimizer: sgd, mixup: 0 }, 'mixup must be a finite number above 0', 'got 0.'],
    [{ optimizer: sgd, cutmix: true }, 'cutmix must be a finite number above 0', 'got true.'],
    [{ optimizer: sgd, precision: 'fp64' }, 'precision must be one of "fp32", "bf16", "fp16"', 'got "fp64".'],
    [{ optimizer: sgd, channelsLast: 1 }, 'channelsLast must be true or false', 'got 1.'],
    [{ optimizer: sgd, deterministic: 1 }, 'deterministic must be true or false', 'got 1.'],
    [{ optimizer: sgd, clipGradNorm: -1 }, 'clipGradNorm must be a finite number above 0', 'got -1.'],
    [{ optimizer: sgd, clipGradValue: 0 }, 'clipGradValue must be a finite number above 0', 'got 0.'],
    [{ optimizer: sgd, accumulate: 0 }, 'accumulate must be an integer of at least 1', 'got 0.'],
    [{ optimizer: sgd, ema: 1 }, 'ema must be a finite number from 0 to below 1', 'got 1.'],
    [{ optimizer: sgd, ema: 'yes' }, 'ema must be a finite number', 'got "yes".'],
    [{ optimizer: sgd, swa: true }, 'swa must be an object', 'got true.'],
    [{ optimizer: sgd, swa: {} }, 'swa.from must be an integer of at least 1', 'got undefined.'],
    [{ optimizer: sgd, swa: { from: 1, lr: 0 } }, 'swa.lr must be', 'got 0.'],
    [{ optimizer: sgd, swa: { from: 1 }, ema: 0.9 }, 'ema and swa', 'choose one'],
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
    [schedule({ type: 'cosine', length: 0 }), 'schedule.length must be an integer of at least 1', 'got 0.'],
    [schedule({ type: 'cosine', minLr: -1 }), 'schedule.minLr must be a finite number of at least 0', 'got -1.'],
    [schedule({ type: 'cosine', stepSize: 2 }), 'schedule has no option', '"stepSize"'],
    [{ optimizer: sgd, labelSmoothing: 1 }, 'labelSmoothing must be a finite number from 0 to below 1', 'got 1.'],
    [{ optimizer: sgd, labelSmoothing: '0' }, 'labelSmoothing must be a finite number from 0 to below 1', 'got "0".'],
    [{ optimizer: sgd, seed: -1 }, 'seed must be an integer of at least 0', 'got -1.'],
    [{ optimizer: sgd, seed: 1.5 }, 'seed must be an integer of at least 0', 'got 1.5.'],
  ])('%j', async (options, allowed, given) => {
    const model = await make();
    await expectRefusal(() => new Trainer(model, wrong(options)), invalid, allowed, given);
  });

  it.each([
    ['optimizer.lr', optimizer({ lr: -1 })],
    ['optimizer.eps', adam({ eps: -1 })],
  ])('%s: a range without 0 is told as one, whatever was given', async (name, options) => {
    const model = await make();
    await expectRefusal(() => new Trainer(model, wrong(options)), invalid, name, 'above 0', 'got -1.');
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
    ['follows a cosine of its own length', { type: 'cosine', length: 2 }, [1, 0.5]],
    ['falls no lower than minLr', { type: 'cosine', length: 3, minLr: 0.2 }, [1, 0.8, 0.4, 0.2]],
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
