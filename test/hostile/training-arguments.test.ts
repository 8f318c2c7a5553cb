import { datasets, DenseNet, Trainer, type Dataset, type ErrorCode } from '../../lib';
import { tinyBatch, tinyDataset, tinyImages, tinyModel, tinyTrainer } from '../tiny';
import { expectRefusal, fingerprint, floats, wrong } from '../unit/support';

const invalid = 'ERR_INVALID_ARGUMENT';

let model: DenseNet;
let trainer: Trainer;
let before: string;
beforeEach(async () => {
  model = await tinyModel();
  trainer = tinyTrainer(model);
  before = await fingerprint(model);
});
// Whatever was refused has changed nothing, and the next valid step works.
afterEach(async () => {
  expect(await fingerprint(model)).toBe(before);
  expect((await trainer.step(tinyBatch())).size).toBe(6);
  await model.dispose();
});

const zeros = (shape: number[]) => floats(shape, new Float32Array(shape.reduce((a, b) => a * b, 1)));

function withNaN(count: number, image: number) {
  const images = tinyImages(count);
  images.data[image * 64 + 5] = NaN;
  return images;
}

describe('a trainer is not made of', () => {
  it.each<[string, () => unknown, string[]]>([
    [
      'nothing',
      () => new Trainer(wrong(undefined), { optimizer: { type: 'adam' } }),
      ['model must be a DenseNet', 'got undefined'],
    ],
    [
      'a configuration',
      () => new Trainer(wrong({ growthRate: 4 }), { optimizer: { type: 'adam' } }),
      ['model must be a DenseNet', 'got an object'],
    ],
    [
      'a promise of a model',
      () => new Trainer(wrong(Promise.resolve(model)), { optimizer: { type: 'adam' } }),
      ['model must be a DenseNet', 'got a Promise'],
    ],
    [
      'a model without options',
      () => new Trainer(model, wrong(undefined)),
      ['optimizer must be an object', 'got undefined.'],
    ],
    ['a model and null', () => new Trainer(model, wrong(null)), ['options must be an object', 'got null.']],
    [
      'an option that there is not',
      () => new Trainer(model, wrong({ optimizer: { type: 'adam' }, epochs: 3 })),
      ['no option "epochs"', 'optimizer, schedule'],
    ],
  ])('%s', async (_, call, texts) => {
    await expectRefusal(call, invalid, ...texts);
  });
});

describe('Trainer.step refuses', () => {
  const images = tinyImages(2);
  it.each<[string, unknown, ErrorCode, string[]]>([
    ['nothing', undefined, invalid, ['images must be an object', 'got undefined.']],
    ['null', null, invalid, ['batch must be an object', 'got null.']],
    ['a list', [images, [0, 1]], invalid, ['batch must be an object', 'got [']],
    ['targets', { images, targets: [0, 1] }, invalid, ['no option "targets"', 'images, labels']],
    [
      'images of another number of channels',
      { images: zeros([2, 3, 8, 8]), labels: [0, 1] },
      invalid,
      ['3 channels', 'takes 1'],
    ],
    [
      'doubles',
      { images: { data: new Float64Array(128), shape: [2, 1, 8, 8] }, labels: [0, 1] },
      invalid,
      ['images.data', 'Float64Array'],
    ],
    [
      'images too small',
      { images: zeros([2, 1, 1, 1]), labels: [0, 1] },
      'ERR_INPUT_TOO_SMALL',
      ['1×1', '2×2 or larger'],
    ],
    [
      'one image of which one pixel would be left',
      { images: zeros([1, 1, 3, 3]), labels: [0] },
      invalid,
      ['a batch of one image', 'at least 2 images'],
    ],
    ['NaN in an image', { images: withNaN(2, 1), labels: [0, 1] }, 'ERR_NON_FINITE_INPUT', ['image 1', 'NaN']],
    ['no labels', { images }, invalid, ['labels must be an array of class indices', 'got undefined.']],
    [
      'labels that are null',
      { images, labels: null },
      invalid,
      ['labels must be an array of class indices', 'got null.'],
    ],
    [
      'labels that are a text',
      { images, labels: '01' },
      invalid,
      ['labels must be an array of class indices', 'got "01".'],
    ],
    [
      'labels that are floats',
      { images, labels: { data: Float32Array.of(0, 1), shape: [2] } },
      invalid,
      ['labels.shape must be [2, 3]', 'got [2].'],
    ],
    [
      'labels N×classes of other classes',
      { images, labels: { data: new Float32Array(8), shape: [2, 4] } },
      invalid,
      ['labels.shape must be [2, 3]', 'got [2, 4].'],
    ],
    [
      'labels N×classes beyond 1',
      { images, labels: { data: Float32Array.of(0, 1, 0, 0, 0, 1.5), shape: [2, 3] } },
      'ERR_LABEL_OUT_OF_RANGE',
      ['labels[1][2] is 1.5', 'from 0 to 1'],
    ],
    [
      'labels N×classes that hold NaN',
      { images, labels: { data: Float32Array.of(0, NaN, 0, 0, 0, 1), shape: [2, 3] } },
      'ERR_LABEL_OUT_OF_RANGE',
      ['labels[0][1] is', 'from 0 to 1'],
    ],
    [
      'labels that are texts in an object',
      { images, labels: { data: ['0', '1'], shape: [2] } },
      'ERR_LABEL_OUT_OF_RANGE',
      ['labels[0]'],
    ],
    ['one label for two images', { images, labels: [0] }, invalid, ['labels has 1 labels for 2 images']],
    [
      'labels of a shape that is not theirs',
      { images, labels: { data: Int32Array.of(0, 1), shape: [7] } },
      invalid,
      ['labels', '[7]'],
    ],
    ['a label below 0', { images, labels: [0, -1] }, 'ERR_LABEL_OUT_OF_RANGE', ['labels[1]', '-1', 'from 0 to 2']],
    [
      'a label above the classes',
      { images, labels: [3, 0] },
      'ERR_LABEL_OUT_OF_RANGE',
      ['labels[0]', '3', 'from 0 to 2', '3 classes'],
    ],
    [
      'a huge label',
      { images, labels: [0, 1e12] },
      'ERR_LABEL_OUT_OF_RANGE',
      ['labels[1]', '1000000000000', 'from 0 to 2'],
    ],
    [
      'a huge 64-bit label',
      { images, labels: { data: BigInt64Array.of(0n, 2n ** 40n), shape: [2] } },
      'ERR_LABEL_OUT_OF_RANGE',
      ['labels[1]', '1099511627776'],
    ],
    ['half a label', { images, labels: [0.5, 1] }, 'ERR_LABEL_OUT_OF_RANGE', ['labels[0]', '0.5', 'from 0 to 2']],
    ['NaN for a label', { images, labels: [0, NaN] }, 'ERR_LABEL_OUT_OF_RANGE', ['labels[1]', 'NaN']],
    ['a text for a label', { images, labels: [0, '1'] }, 'ERR_LABEL_OUT_OF_RANGE', ['labels[1]', '1']],
    ['null for a label', { images, labels: [0, null] }, 'ERR_LABEL_OUT_OF_RANGE', ['labels[1]', 'null']],
    ['true for a label', { images, labels: [0, true] }, 'ERR_LABEL_OUT_OF_RANGE', ['labels[1]', 'true']],
    ['a list for a label', { images, labels: [0, [1]] }, 'ERR_LABEL_OUT_OF_RANGE', ['labels[1]']],
    ['a symbol for a label', { images, labels: [0, Symbol('one')] }, 'ERR_LABEL_OUT_OF_RANGE', ['labels[1]']],
    ['a hole for a label', { images, labels: new Array(2) }, 'ERR_LABEL_OUT_OF_RANGE', ['labels[0]', 'undefined']],
  ])('%s', async (_, batch, code, texts) => {
    await expectRefusal(() => trainer.step(wrong(batch)), code, ...texts);
  });

  it('a step whose loss is not finite, and batch norm’s statistics stay as they were too', async () => {
    const huge = { images: floats([2, 1, 8, 8], new Float32Array(128).fill(3e38)), labels: [0, 1] };
    await expectRefusal(
      () => trainer.step(huge),
      'ERR_NON_FINITE_LOSS',
      'the step was not taken',
      'Lower the learning rate',
    );
  });
});

/** Data sets that are none, or none for this model; `name` is what the message calls it. */
const badDatasets: [string, () => unknown, ErrorCode, (name: string) => string[]][] = [
  ['nothing', () => undefined, invalid, (name) => [`${name} must be a data set`, 'got undefined.']],
  ['null', () => null, invalid, (name) => [`${name} must be a data set`, 'got null.']],
  [
    'a promise of one',
    () => Promise.resolve(tinyDataset()),
    invalid,
    (name) => [`${name} must be a data set`, 'got a Promise.'],
  ],
  ['a batch', () => tinyBatch(), invalid, (name) => [`${name} must be a data set`, 'got an object.']],
  [
    'one without images',
    () => ({ ...tinyDataset(), images: undefined }),
    invalid,
    (name) => [`${name}.images must be an object`, 'got undefined.'],
  ],
  [
    'one of other labels',
    () => ({ ...tinyDataset(), labels: [0, 1, 2] }),
    invalid,
    (name) => [`${name}.labels must be an Int32Array of 12`, 'got [0, 1, 2].'],
  ],
  [
    'one with too few labels',
    () => ({ ...tinyDataset(), labels: Int32Array.of(1) }),
    invalid,
    (name) => [`${name}.labels must be an Int32Array of 12`],
  ],
  [
    'one of another number of channels',
    () => datasets.fromArrays({ images: zeros([2, 3, 8, 8]), labels: [0, 1] }),
    invalid,
    (name) => [`${name}.images has 3 channels`, 'takes 1'],
  ],
  [
    'one of images too small',
    () => datasets.fromArrays({ images: zeros([2, 1, 1, 9]), labels: [0, 1] }),
    'ERR_INPUT_TOO_SMALL',
    () => ['1×9', '2×2 or larger'],
  ],
  [
    'one with NaN',
    () => datasets.fromArrays({ images: withNaN(9, 7), labels: Array<number>(9).fill(0) }),
    'ERR_NON_FINITE_INPUT',
    () => ['image 7', 'NaN'],
  ],
  [
    'one of other classes',
    () => datasets.fromArrays({ images: tinyImages(3), labels: [0, 5, 1] }),
    'ERR_LABEL_OUT_OF_RANGE',
    () => ['labels[1]', '5', 'from 0 to 2'],
  ],
  [
    'one with a label below 0',
    () => ({ ...tinyDataset(), labels: new Int32Array(12).fill(-1) }),
    'ERR_LABEL_OUT_OF_RANGE',
    () => ['labels[0]', '-1', 'from 0 to 2'],
  ],
];

describe.each<[string, string, (data: Dataset) => PromiseLike<unknown>]>([
  ['Trainer.fit', 'data', (data) => trainer.fit(data, { epochs: 1, batchSize: 4 })],
  [
    'Trainer.fit, for validation,',
    'validation',
    (data) => trainer.fit(tinyDataset(), { epochs: 1, batchSize: 4, validation: data }),
  ],
  ['Trainer.evaluate', 'data', (data) => trainer.evaluate(data)],
])('%s refuses', (title, name, call) => {
  // Left out, validation is no mistake.
  const cases = badDatasets.filter(([what]) => name !== 'validation' || what !== 'nothing');
  it.each(cases)('%s', async (_, dataset, code, texts) => {
    await expectRefusal(() => call(wrong(dataset())), code, ...texts(name));
  });

  it('tells which data set has the wrong label', async () => {
    if (!title.startsWith('Trainer.fit')) return;
    const data = datasets.fromArrays({ images: tinyImages(3), labels: [0, 5, 1] });
    await expectRefusal(() => call(data), 'ERR_LABEL_OUT_OF_RANGE', name === 'data' ? 'training' : 'validation');
  });
});

describe('Trainer.fit refuses', () => {
  const plan = { epochs: 1, batchSize: 4 };
  it.each<[string, unknown, string[]]>([
    ['no options', undefined, ['epochs must be an integer of at least 1', 'got undefined.']],
    ['null', null, ['options must be an object', 'got null.']],
    ['a number', 5, ['options must be an object', 'got 5.']],
    ['no epochs', { batchSize: 4 }, ['epochs must be an integer of at least 1', 'got undefined.']],
    ['0 epochs', { ...plan, epochs: 0 }, ['epochs must be an integer of at least 1', 'got 0.']],
    ['half an epoch', { ...plan, epochs: 0.5 }, ['epochs must be an integer of at least 1', 'got 0.5.']],
    ['endless epochs', { ...plan, epochs: Infinity }, ['epochs must be an integer of at least 1', 'got Infinity.']],
    ['no batch size', { epochs: 1 }, ['batchSize must be an integer of at least 1', 'got undefined.']],
    ['a batch size of 0', { ...plan, batchSize: 0 }, ['batchSize must be an integer of at least 1', 'got 0.']],
    [
      'a batch size that is a text',
      { ...plan, batchSize: '4' },
      ['batchSize must be an integer of at least 1', 'got "4".'],
    ],
    ['shuffle that is a number', { ...plan, shuffle: 1 }, ['shuffle must be true or false', 'got 1.']],
    ['a signal that is null', { ...plan, signal: null }, ['signal must be an AbortSignal', 'got null.']],
    ['a signal that is an object', { ...plan, signal: {} }, ['signal must be an AbortSignal', 'got an object.']],
    [
      'a signal that is a controller',
      { ...plan, signal: new AbortController() },
      ['signal must be an AbortSignal', 'got a'],
    ],
    ['an option that there is not', { ...plan, batchsize: 4 }, ['no option "batchsize"', 'Did you mean "batchSize"?']],
    ['a learning rate, which is the trainer’s', { ...plan, lr: 0.1 }, ['no option "lr"', 'epochs, batchSize']],
  ])('%s, by a rejection and not by a throw', async (_, options, texts) => {
    const run = trainer.fit(tinyDataset(), wrong(options));
    await expectRefusal(() => run, invalid, ...texts);
  });

  it('batches of one image of which one pixel would be left', async () => {
    const data = datasets.fromArrays({ images: zeros([4, 1, 3, 3]), labels: [0, 1, 2, 0] });
    await expectRefusal(
      () => trainer.fit(data, { epochs: 1, batchSize: 1 }),
      invalid,
      'a batch of one image',
      'at least 2 images',
    );
  });

  it('its events with the same error as the run', async () => {
    const run = trainer.fit(tinyDataset(), { epochs: 0, batchSize: 4 });
    const listen = async (): Promise<void> => {
      for await (const event of run) expect(event).toBe('none');
    };
    await expectRefusal(listen, invalid, 'epochs', 'got 0.');
    await expectRefusal(() => run, invalid, 'epochs', 'got 0.');
  });
});

describe('Trainer.evaluate refuses', () => {
  it.each<[string, unknown, string[]]>([
    ['null', null, ['options must be an object', 'got null.']],
    ['a batch size of 0', { batchSize: 0 }, ['batchSize must be an integer of at least 1', 'got 0.']],
    ['half an image', { batchSize: 1.5 }, ['batchSize must be an integer of at least 1', 'got 1.5.']],
    ['a signal that is a text', { signal: 'stop' }, ['signal must be an AbortSignal', 'got "stop".']],
    ['a topK that is no list', { topK: 5 }, ['topK must be an array', 'got 5.']],
    ['an option that there is not', { top: 5 }, ['no option "top"', 'batchSize, signal', 'Did you mean "topK"?']],
  ])('%s', async (_, options, texts) => {
    await expectRefusal(() => trainer.evaluate(tinyDataset(), wrong(options)), invalid, ...texts);
  });
});
