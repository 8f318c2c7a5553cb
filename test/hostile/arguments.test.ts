import { existsSync } from 'node:fs';
import { DenseNet, manualSeed, type ErrorCode } from '../../lib';
import { tinyConfig, tinyImages, tinyModel } from '../tiny';
import { expectRefusal, fingerprint, floats, temporaryFolder, wrong } from '../unit/support';

const inFolder = temporaryFolder();
const invalid = 'ERR_INVALID_ARGUMENT';

let model: DenseNet;
let before: string;
beforeAll(async () => {
  model = await tinyModel();
  before = await fingerprint(model);
});
// Whatever was refused has changed nothing, and the next valid call works.
afterEach(async () => {
  expect(await fingerprint(model)).toBe(before);
  expect((await model.forward(tinyImages(1))).shape).toEqual([1, 3]);
});
afterAll(() => model.dispose());

function withValue(value: number, place: number, count = 2) {
  const images = tinyImages(count);
  images.data[place] = value;
  return images;
}

const zeros = (shape: number[]) => floats(shape, new Float32Array(shape.reduce((a, b) => a * b, 1)));

describe.each<[string, string, (images: unknown) => Promise<unknown>]>([
  ['forward', 'input', (images) => model.forward(wrong(images))],
  ['features', 'input', (images) => model.features(wrong(images))],
  ['predict', 'images', (images) => model.predict(wrong(images))],
])('%s refuses images that are', (_, name, call) => {
  it.each<[string, unknown, ErrorCode, string[]]>([
    ['missing', undefined, invalid, [`${name} must be an object { data, shape }`, 'got undefined.']],
    ['null', null, invalid, [`${name} must be an object { data, shape }`, 'got null.']],
    ['a number', 5, invalid, [`${name} must be an object { data, shape }`, 'got 5.']],
    ['a typed array without a shape', new Float32Array(64), invalid, [`${name}.data`, 'got undefined.']],
    ['nested arrays', [[[[1, 2]]]], invalid, [name, 'got ']],
    [
      'numbers in an array',
      { data: [1, 2], shape: [1, 1, 1, 2] },
      invalid,
      ['Float32Array or Uint8Array', 'got [1, 2].'],
    ],
    [
      'doubles',
      { data: new Float64Array(64), shape: [1, 1, 8, 8] },
      invalid,
      ['Float32Array or Uint8Array', 'Float64Array of 512 bytes'],
    ],
    [
      'integers',
      { data: new Int32Array(64), shape: [1, 1, 8, 8] },
      invalid,
      ['Float32Array or Uint8Array', 'Int32Array of 256 bytes'],
    ],
    [
      'signed bytes',
      { data: new Int8Array(64), shape: [1, 1, 8, 8] },
      invalid,
      ['Float32Array or Uint8Array', 'Int8Array of 64 bytes'],
    ],
    [
      'a DataView',
      { data: new DataView(new ArrayBuffer(64)), shape: [1, 1, 8, 8] },
      invalid,
      ['Float32Array or Uint8Array', 'DataView'],
    ],
    [
      'a proxy of a typed array',
      { data: new Proxy(new Uint8Array(64), {}), shape: [1, 1, 8, 8] },
      invalid,
      [`${name}.data`],
    ],
    [
      'without a shape',
      { data: new Uint8Array(64) },
      invalid,
      [`${name}.shape must be an array of whole numbers`, 'got undefined.'],
    ],
    [
      'of a shape that is a text',
      { data: new Uint8Array(64), shape: '1,1,8,8' },
      invalid,
      [`${name}.shape`, 'got "1,1,8,8".'],
    ],
    [
      'of a shape with a fraction',
      { data: new Uint8Array(64), shape: [1, 1, 8, 8.5] },
      invalid,
      [`${name}.shape`, '8.5'],
    ],
    ['of a shape with NaN', { data: new Uint8Array(64), shape: [1, 1, 8, NaN] }, invalid, [`${name}.shape`, 'NaN']],
    ['of a shape with holes', { data: new Uint8Array(1), shape: new Array(4) }, invalid, [`${name}.shape`]],
    [
      'of a negative length',
      { data: new Uint8Array(64), shape: [1, 1, -8, -8] },
      invalid,
      [`${name}.shape`, '[1, 1, -8, -8]'],
    ],
    ['of three lengths', zeros([1, 8, 8]), invalid, ['N×C×H×W', 'got [1, 8, 8].']],
    ['of five lengths', zeros([1, 1, 1, 8, 8]), invalid, ['N×C×H×W', 'got [1, 1, 1, 8, 8].']],
    ['no images', zeros([0, 1, 8, 8]), invalid, ['no zero', 'got [0, 1, 8, 8].']],
    ['of no height', zeros([1, 1, 0, 8]), invalid, ['no zero', 'got [1, 1, 0, 8].']],
    [
      'fewer values than the shape has',
      { data: new Float32Array(63), shape: [1, 1, 8, 8] },
      invalid,
      ['63 values', '[1, 1, 8, 8] has 64'],
    ],
    [
      'more values than the shape has',
      { data: new Float32Array(65), shape: [1, 1, 8, 8] },
      invalid,
      ['65 values', '[1, 1, 8, 8] has 64'],
    ],
    [
      'of a shape that overflows',
      { data: new Uint8Array(64), shape: [2 ** 32, 1, 2 ** 32, 2 ** 32] },
      invalid,
      ['64 values'],
    ],
    ['of another number of channels', zeros([1, 3, 8, 8]), invalid, ['3 channels', 'takes 1', 'inChannels: 3']],
    ['in the order N×H×W×C', zeros([1, 8, 8, 1]), invalid, ['8 channels', 'N×C×H×W', 'takes 1']],
    ['too small', zeros([1, 1, 1, 8]), 'ERR_INPUT_TOO_SMALL', ['1×8', '2×2 or larger', 'Enlarge the images']],
    ['NaN somewhere', withValue(NaN, 70), 'ERR_NON_FINITE_INPUT', ['image 1', 'NaN', 'must be finite']],
    ['infinite somewhere', withValue(Infinity, 0), 'ERR_NON_FINITE_INPUT', ['image 0', 'infinity', 'must be finite']],
    ['minus infinity somewhere', withValue(-Infinity, 127), 'ERR_NON_FINITE_INPUT', ['image 1', 'infinity']],
    ['NaN beyond the first 256', withValue(NaN, 299 * 64, 300), 'ERR_NON_FINITE_INPUT', ['image 299']],
  ])('%s', async (_, images, code, texts) => {
    await expectRefusal(() => call(images), code, ...texts);
  });

  it('in memory that other threads share, or takes them as they are', async () => {
    const shared = new Float32Array(new SharedArrayBuffer(256));
    shared.set(tinyImages(1).data as Float32Array);
    const [outcome, plain] = [
      await call({ data: shared, shape: [1, 1, 8, 8] }).catch((error: unknown) => error),
      await call(tinyImages(1)),
    ];
    expect([plain, expect.objectContaining({ code: invalid })]).toContainEqual(outcome);
  });
});

describe('a model is not made of', () => {
  it.each<[unknown, ErrorCode, string[]]>([
    [null, invalid, ['options must be an object', 'got null.']],
    ['densenet121', invalid, ['options must be an object', 'got "densenet121".']],
    [['densenet121'], invalid, ['options must be an object']],
    [{ variant: 'densnet121' }, 'ERR_UNKNOWN_VARIANT', ['got "densnet121"', 'Did you mean "densenet121"?']],
    [{ depth: 121 }, invalid, ['options has no option "depth"', 'growthRate']],
    [{ device: 'gpu' }, invalid, ['device must be "auto", "cpu", "cuda" or "cuda:N"', 'got "gpu".']],
    [{ device: 'cuda:-1' }, invalid, ['device must be', 'got "cuda:-1".']],
    [{ device: 'cpu ' }, invalid, ['device must be', 'Did you mean "cpu"?']],
    [{ device: 0 }, invalid, ['device must be', 'got 0.']],
    [{ device: null }, invalid, ['device must be', 'got null.']],
    [{ seed: -1 }, invalid, ['seed must be an integer of at least 0', 'got -1.']],
    [{ seed: 0.5 }, invalid, ['seed must be an integer of at least 0', 'got 0.5.']],
    [{ seed: 2 ** 53 }, invalid, ['seed', '9007199254740992']],
    [{ seed: '7' }, invalid, ['seed', 'got "7".']],
    [{ seed: null }, invalid, ['seed', 'got null.']],
    [{ growthRate: -1 }, invalid, ['growthRate must be an integer from 1 to 1000000', 'got -1.']],
    [{ blockConfig: new Float32Array(2) }, invalid, ['blockConfig must be an array', 'Float32Array of 8 bytes']],
    [{ blockConfig: Symbol('blocks') }, invalid, ['blockConfig must be an array', 'Symbol']],
    [JSON.parse('{"__proto__": {"numClasses": 5}}'), invalid, ['"__proto__"']],
  ])('%p', async (options, code, texts) => {
    const given = typeof options === 'object' && options !== null && !Array.isArray(options);
    await expectRefusal(() => DenseNet.create(wrong(given ? { ...tinyConfig, ...options } : options)), code, ...texts);
  });

  it('a list that holds itself', async () => {
    const loop: unknown[] = [];
    loop.push(loop);
    await expectRefusal(() => DenseNet.create(wrong({ blockConfig: loop })), invalid, 'blockConfig[0]');
  });

  it('a CUDA device that is not there', async () => {
    await expectRefusal(
      () => DenseNet.create({ ...tinyConfig, blockConfig: [1], device: 'cuda:99' }),
      'ERR_CUDA_UNAVAILABLE',
      'cuda:99',
    );
  });

  it('a constructor: there is nothing to construct it from', async () => {
    const Class = DenseNet as unknown as new (...values: unknown[]) => DenseNet;
    for (const values of [[], [tinyConfig], [model]])
      await expectRefusal(() => new Class(...values), invalid, 'DenseNet.create');
  });
});

describe.each<[string, (path: unknown, options?: unknown) => Promise<unknown>]>([
  ['DenseNet.load', (path, options) => DenseNet.load(wrong(path), wrong(options))],
  ['loadWeights', (path, options) => model.loadWeights(wrong(path), wrong(options))],
  ['saveWeights', (path, options) => model.saveWeights(wrong(path), wrong(options))],
])('%s refuses', (name, call) => {
  it.each([[undefined], [null], [''], [7], [Buffer.from('a')], [new URL('file:///a')], [['a']]])(
    'the path %p',
    async (path) => {
      await expectRefusal(() => call(path), invalid, 'path must be a string that is not empty', 'got ');
    },
  );

  it.each([[null], ['strict'], [true], [[]]])('the options %p', async (options) => {
    await expectRefusal(() => call('a.safetensors', options), invalid, 'options must be an object', 'got ');
  });

  it('an option that there is not', async () => {
    const known = { 'DenseNet.load': 'device', loadWeights: 'strict', saveWeights: 'format' }[name] as string;
    await expectRefusal(() => call('a.safetensors', { force: true }), invalid, 'no option "force"', known);
  });

  it('a path with a zero byte, and writes nothing to what stands before it', async () => {
    const error = await call(inFolder('cut\0short')).then(
      () => 'not refused',
      (reason: unknown) => (reason as { code?: string }).code,
    );
    expect([invalid, 'ERR_FILE']).toContain(error);
    expect(existsSync(inFolder('cut'))).toBe(false);
  });
});

describe('what else a model is asked', () => {
  it.each<[string, () => unknown, ErrorCode, string[]]>([
    [
      'features: taps that are a text',
      () => model.features(tinyImages(1), wrong({ taps: 'norm5' })),
      invalid,
      ['taps must be an array of names', 'got "norm5".'],
    ],
    [
      'features: no taps',
      () => model.features(tinyImages(1), { taps: [] }),
      invalid,
      ['taps must be an array of names', 'got [].'],
    ],
    [
      'features: a tap of the other stem',
      () => model.features(tinyImages(1), { taps: ['conv0', 'pool0'] }),
      invalid,
      ['conv0, denseblock1, transition1, denseblock2, norm5', 'got "pool0".'],
    ],
    [
      'features: a transition after the last block',
      () => model.features(tinyImages(1), { taps: ['transition2'] }),
      invalid,
      ['got "transition2".', 'Did you mean "transition1"?'],
    ],
    [
      'features: a tap that is a number',
      () => model.features(tinyImages(1), wrong({ taps: [5] })),
      invalid,
      ['got 5.'],
    ],
    [
      'features: taps with a hole',
      () => model.features(tinyImages(1), wrong({ taps: new Array(1) })),
      invalid,
      ['got undefined.'],
    ],
    [
      'features: an unknown option',
      () => model.features(tinyImages(1), wrong({ tap: 'norm5' })),
      invalid,
      ['no option "tap"', 'Did you mean "taps"?'],
    ],
    [
      'features: options that are a list',
      () => model.features(tinyImages(1), wrong(['norm5'])),
      invalid,
      ['options must be an object'],
    ],
    [
      'predict: no class',
      () => model.predict(tinyImages(1), { topK: 0 }),
      invalid,
      ['topK must be an integer from 1 to 3', 'got 0.'],
    ],
    [
      'predict: more than all classes',
      () => model.predict(tinyImages(1), { topK: 4 }),
      invalid,
      ['topK must be an integer from 1 to 3', 'got 4.'],
    ],
    ['predict: a text', () => model.predict(tinyImages(1), wrong({ topK: '2' })), invalid, ['topK', 'got "2".']],
    ['predict: null', () => model.predict(tinyImages(1), wrong({ topK: null })), invalid, ['topK', 'got null.']],
    [
      'predict: an unknown option',
      () => model.predict(tinyImages(1), wrong({ topk: 2 })),
      invalid,
      ['no option "topk"', 'Did you mean "topK"?'],
    ],
    [
      'loadWeights: strict that is a text',
      () => model.loadWeights('a', wrong({ strict: 'no' })),
      invalid,
      ['strict must be true or false', 'got "no".'],
    ],
    [
      'saveWeights: a format that there is not',
      () => model.saveWeights('a', wrong({ format: 'onnx' })),
      invalid,
      ['format must be one of "safetensors"', 'got "onnx".'],
    ],
    [
      'DenseNet.load: a device that there is not',
      () => DenseNet.load('a', wrong({ device: 'tpu' })),
      invalid,
      ['device must be', 'got "tpu".'],
    ],
    ['freeze: nothing', () => model.freeze(''), invalid, ['prefix must be a string that is not empty', 'got "".']],
    ['freeze: null', () => model.freeze(wrong(null)), invalid, ['prefix must be a string', 'got null.']],
    [
      'freeze: a list',
      () => model.freeze(wrong(['features'])),
      invalid,
      ['prefix must be a string', 'got ["features"].'],
    ],
    [
      'unfreeze: a part that there is not',
      () => model.unfreeze('clasifier'),
      invalid,
      ['"clasifier"', 'Did you mean "classifier"?'],
    ],
    [
      'replaceClassifier: no class',
      () => model.replaceClassifier(0),
      invalid,
      ['lasses must be an integer from 1 to 1000000', 'got 0.'],
    ],
    ['replaceClassifier: numbers', () => model.replaceClassifier(wrong([1, 2])), invalid, ['lasses', 'got [1, 2].']],
    ['manualSeed: below 0', () => manualSeed(-1), invalid, ['seed must be an integer of at least 0', 'got -1.']],
    ['manualSeed: nothing', () => manualSeed(wrong(undefined)), invalid, ['seed', 'got undefined.']],
    ['manualSeed: a bigint', () => manualSeed(wrong(5n)), invalid, ['seed', 'got 5n.']],
  ])('%s', async (_, call, code, texts) => {
    await expectRefusal(call, code, ...texts);
  });
});

describe('saveWeights to a place that cannot be written', () => {
  it.each([
    ['in a folder that there is not', 'missing/a.safetensors'],
    ['that is a folder', '.'],
  ])('%s is refused with the path, and leaves nothing behind', async (_, place) => {
    await expectRefusal(() => model.saveWeights(inFolder(place)), 'ERR_FILE', inFolder(place));
    expect(existsSync(inFolder('missing'))).toBe(false);
  });
});
