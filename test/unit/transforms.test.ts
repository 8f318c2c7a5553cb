import { transforms } from '../../lib';
import { tinyDataset, tinyTrainer } from '../tiny';
import { expectRefusal, fingerprint, modelMaker, wrong } from './support';

const make = modelMaker();

const invalid = 'ERR_INVALID_ARGUMENT';

test('transforms are plain descriptions, complete', () => {
  expect(transforms.randomCrop()).toEqual({ type: 'randomCrop', padding: 4 });
  expect(transforms.randomCrop({ padding: 2 })).toEqual({ type: 'randomCrop', padding: 2 });
  expect(transforms.randomHorizontalFlip()).toEqual({ type: 'randomHorizontalFlip', probability: 0.5 });
  expect(transforms.randomHorizontalFlip({ probability: 0 })).toEqual({ type: 'randomHorizontalFlip', probability: 0 });
  const still = { translate: [0, 0], scale: [1, 1], shear: 0 };
  expect(transforms.randomAffine()).toEqual({ type: 'randomAffine', degrees: 10, ...still });
  const affine = { degrees: 180, translate: [0.1, 1], scale: [0.5, 2], shear: 80 } as const;
  expect(transforms.randomAffine(affine)).toEqual({ type: 'randomAffine', ...affine });
});

test('there are no other functions among them, such as those that check lists', () => {
  expect(Object.keys(transforms).sort()).toEqual([
    'apply',
    'colorJitter',
    'operation',
    'randAugment',
    'randomAffine',
    'randomCrop',
    'randomErasing',
    'randomHorizontalFlip',
    'randomResizedCrop',
    'randomRotation',
    'randomVerticalFlip',
    'trivialAugment',
  ]);
});

test('lists that are changed afterwards change nothing', () => {
  const [scale, translate]: [number, number][] = [
    [0.9, 1.1],
    [0, 0.5],
  ];
  const transform = transforms.randomAffine({ scale: scale!, translate: translate! });
  scale![0] = 5;
  translate![0] = 5;
  expect(transform).toMatchObject({ scale: [0.9, 1.1], translate: [0, 0.5] });
});

describe('a bad option is refused with its name, what is allowed and what was given:', () => {
  it.each<['randomCrop' | 'randomHorizontalFlip' | 'randomAffine', unknown, string, string]>([
    ['randomCrop', null, 'options must be an object', 'got null.'],
    ['randomCrop', 4, 'options must be an object', 'got 4.'],
    ['randomCrop', { padding: 0 }, 'padding must be an integer from 1 to 1024', 'got 0.'],
    ['randomCrop', { padding: 1025 }, 'padding must be an integer from 1 to 1024', 'got 1025.'],
    ['randomCrop', { padding: 1.5 }, 'padding must be an integer from 1 to 1024', 'got 1.5.'],
    ['randomCrop', { paddin: 4 }, 'the options are padding', 'Did you mean "padding"?'],
    ['randomHorizontalFlip', { probability: 1.1 }, 'probability must be a finite number from 0 to 1', 'got 1.1.'],
    ['randomHorizontalFlip', { probability: NaN }, 'probability must be a finite number from 0 to 1', 'got NaN.'],
    ['randomHorizontalFlip', { p: 0.5 }, 'the options are probability', '"p"'],
    ['randomAffine', { degrees: -1 }, 'degrees must be a finite number from 0 to 180', 'got -1.'],
    ['randomAffine', { degrees: 181 }, 'degrees must be a finite number from 0 to 180', 'got 181.'],
    ['randomAffine', { degrees: [0, 10] }, 'degrees must be a finite number from 0 to 180', 'got [0, 10].'],
    ['randomAffine', { scale: 1 }, 'scale must be an array of two numbers', 'got 1.'],
    ['randomAffine', { scale: [1] }, 'scale must be an array of two numbers', 'got [1].'],
    ['randomAffine', { scale: [0, 1] }, 'scale[0] must be a finite number from', 'got 0.'],
    ['randomAffine', { scale: [1, 11] }, 'scale[1] must be a finite number from', 'got 11.'],
    ['randomAffine', { scale: new Array(2) }, 'scale[0] must be a finite number from', 'got undefined.'],
    ['randomAffine', { translate: 0.1 }, 'translate must be an array of two numbers', 'got 0.1.'],
    ['randomAffine', { translate: [0.1, -0.1] }, 'translate[1] must be a finite number from 0 to 1', 'got -0.1.'],
    ['randomAffine', { translate: [1.1, 0] }, 'translate[0] must be a finite number from 0 to 1', 'got 1.1.'],
    ['randomAffine', { shear: 81 }, 'shear must be a finite number from 0 to 80', 'got 81.'],
    ['randomAffine', { shear: [5, 5] }, 'shear must be a finite number from 0 to 80', 'got [5, 5].'],
    ['randomAffine', { scale: [1.2, 0.8] }, 'in this order', 'got [1.2, 0.8].'],
    ['randomAffine', { angle: 10 }, 'the options are degrees, translate, scale, shear', '"angle"'],
  ])('%s(%j)', async (name, options, allowed, given) => {
    await expectRefusal(() => transforms[name](wrong(options)), invalid, allowed, given);
  });
});

describe('a list of transforms', () => {
  const data = tinyDataset();

  /** The weights of a fresh model after an epoch with these transforms. */
  async function weightsAfter(augment: unknown): Promise<string> {
    const model = await make();
    await tinyTrainer(model).fit(data, {
      epochs: 1,
      batchSize: 4,
      ...(augment === null ? {} : { augment: wrong(augment) }),
    });
    return fingerprint(model);
  }

  it('may be left out, or be empty', async () => {
    expect(await weightsAfter([])).toBe(await weightsAfter(null));
  });

  it('may hold what was written by hand; defaults are filled in', async () => {
    const list = [{ type: 'randomCrop' }, { type: 'randomHorizontalFlip' }, { type: 'randomAffine', degrees: 3 }];
    const made = [transforms.randomCrop(), transforms.randomHorizontalFlip(), transforms.randomAffine({ degrees: 3 })];
    expect(await weightsAfter(list)).toBe(await weightsAfter(made));
    expect(await weightsAfter(list)).not.toBe(await weightsAfter([]));
  });

  it.each<[unknown, string, string]>([
    [transforms.randomCrop(), 'augment must be an array of transforms', 'got an object.'],
    ['flip', 'augment must be an array of transforms', 'got "flip".'],
    [null, 'augment must be an array of transforms', 'got null.'],
    [[transforms.randomCrop(), null], 'augment[1] must be a transform', 'got null.'],
    [[transforms.randomCrop], 'augment[0] must be a transform', 'got a function.'],
    [new Array(1), 'augment[0] must be a transform', 'got undefined.'],
    [
      [{ type: 'randomFlip' }],
      'augment[0].type must be one of "randomCrop", "randomHorizontalFlip"',
      'got "randomFlip".',
    ],
    [[{}], 'augment[0].type must be one of', 'got undefined.'],
    [[transforms.randomCrop(), { type: 'randomCrop', padding: -1 }], 'augment[1]', 'got -1.'],
    [[{ type: 'randomAffine', degrees: 'ten' }], 'augment[0]', 'got "ten".'],
    [[{ type: 'randomCrop', size: 8 }], 'augment[0]', '"size"'],
  ])('%j is refused with the place of the bad one', async (list, allowed, given) => {
    const trainer = tinyTrainer(await make());
    const options = { epochs: 1, batchSize: 4, augment: wrong(list) };
    await expectRefusal(() => trainer.fit(data, options), invalid, allowed, given);
  });
});
