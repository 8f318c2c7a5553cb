import { readFile, writeFile } from 'node:fs/promises';
import { DenseNet, type ErrorCode } from '../../lib';
import { tinyConfig } from '../tiny';
import { expectRefusal, packSafetensors, temporaryFolder } from '../unit/support';

const inFolder = temporaryFolder();
const version = 'libtorch_densenet.version';
const key = 'libtorch_densenet.config';

type Header = Record<string, Record<string, unknown>>;

let header: Header;
let data: Buffer;
let config: Record<string, unknown>;
beforeAll(async () => {
  const model = await DenseNet.create({ ...tinyConfig, blockConfig: [1], seed: 1 });
  await model.saveWeights(inFolder('whole'));
  await model.dispose();
  const whole = await readFile(inFolder('whole'));
  const start = 8 + Number(whole.readBigUInt64LE());
  header = JSON.parse(whole.toString('utf8', 8, start)) as Header;
  data = whole.subarray(start);
  config = JSON.parse(header['__metadata__']?.[key] as string) as Record<string, unknown>;
});

/** Writes the file with other metadata. */
async function write(metadata: Record<string, string>): Promise<string> {
  await writeFile(inFolder('changed'), packSafetensors({ ...header, __metadata__: metadata }, data));
  return inFolder('changed');
}

async function expectRefused(metadata: Record<string, string>, code: ErrorCode, ...texts: string[]): Promise<void> {
  const file = await write(metadata);
  await expectRefusal(() => DenseNet.load(file, { device: 'cpu' }), code, ...texts);
}

/** With some fields of the configuration changed; `undefined` leaves one out. */
const withFields = (fields: object): Record<string, string> => ({
  [version]: '1',
  [key]: JSON.stringify({ ...config, ...fields }),
});

test('the file that the others are made from is a good one', async () => {
  await (await DenseNet.load(await write(withFields({})), { device: 'cpu' })).dispose();
});

test('fields that an older file does not have get their defaults', async () => {
  const older = {
    dropPlacement: undefined,
    initialization: undefined,
    normalization: undefined,
    classes: undefined,
    imageSize: undefined,
  };
  const model = await DenseNet.load(await write(withFields(older)), { device: 'cpu' });
  expect(model.config).toMatchObject({
    dropPlacement: 'layer',
    initialization: 'fan-out',
    normalization: null,
    classes: null,
  });
  await model.dispose();
});

describe('a file without a configuration', () => {
  it('is refused by DenseNet.load, which says what to do', async () => {
    await expectRefused({}, 'ERR_FILE_FORMAT', 'no configuration', 'DenseNet.create', 'loadWeights');
  });

  it('is read by loadWeights', async () => {
    const model = await DenseNet.create({ ...tinyConfig, blockConfig: [1] });
    expect((await model.loadWeights(await write({}))).missing).toEqual([]);
    await model.dispose();
  });
});

describe('a configuration is refused', () => {
  it.each<[string, Record<string, string>, string]>([
    ['of a newer version', { [version]: '2', [key]: '{}' }, 'version 2, and this package reads version 1'],
    ['without a version', { [key]: '{}' }, 'version'],
    ['of a version that is a word', { [version]: 'one', [key]: '{}' }, 'version one'],
    ['that is no JSON', { [version]: '1', [key]: '{"growthRate":' }, 'not JSON'],
    ['that is empty', { [version]: '1', [key]: '' }, 'not JSON'],
    ['that is a list', { [version]: '1', [key]: '[4]' }, 'not an object'],
    ['that is null', { [version]: '1', [key]: 'null' }, 'not an object'],
    ['that is a number', { [version]: '1', [key]: '7' }, 'not an object'],
    ['with a key twice', { [version]: '1', [key]: '{"growthRate":8,"growthRate":4}' }, '"growthRate" twice'],
  ])('%s', async (_, metadata, text) => {
    await expectRefused(metadata, 'ERR_FILE_FORMAT', text);
  });

  it('with the path of its file, whatever is wrong with it', async () => {
    for (const metadata of [
      { [version]: '2', [key]: '{}' },
      { [version]: '1', [key]: '{' },
      { [version]: '1', [key]: '[]' },
    ])
      await expectRefused(metadata, 'ERR_FILE_FORMAT', inFolder('changed'));
    await expectRefused(withFields({ growthRate: 0 }), 'ERR_FILE_FORMAT', inFolder('changed'));
  });

  it.each<[object, string, string]>([
    [{ depth: 121 }, 'no option "depth"', 'growthRate'],
    [{ variant: 'densenet121' }, 'no option "variant"', 'growthRate'],
    [JSON.parse('{"__proto__":{"growthRate":4}}') as object, '"__proto__"', 'option'],
    [{ growthRate: -4 }, 'growthRate must be an integer from 1', 'got -4.'],
    [{ growthRate: '4' }, 'growthRate must be an integer from 1', 'got "4".'],
    [{ growthRate: 1e300 }, 'growthRate must be an integer from 1', 'got 1e+300.'],
    [{ growthRate: null }, 'growthRate must be an integer from 1', 'got null.'],
    [{ blockConfig: [] }, 'blockConfig must be an array of 1 to 16', 'got [].'],
    [{ blockConfig: 'many' }, 'blockConfig must be an array of 1 to 16', 'got "many".'],
    [{ blockConfig: [1e9] }, 'blockConfig[0] must be an integer', 'got 1000000000.'],
    [{ compression: 0 }, 'compression must be', 'above 0 and at most 1; got 0.'],
    [{ stem: 'mobile' }, 'stem must be one of "imagenet", "cifar"', 'got "mobile".'],
    [{ bottleneck: 'true' }, 'bottleneck must be true or false', 'got "true".'],
    [{ normalization: { mean: [0], std: [0] } }, 'normalization.std[0] must be', 'above 0; got 0.'],
    [{ normalization: [0, 1] }, 'normalization must be an object', 'got [0, 1].'],
    [{ classes: ['only one'] }, 'classes has 1 names', 'numClasses is 3'],
    [{ classes: [1, 2, 3] }, 'classes must be an array of names', 'got [1, 2, 3].'],
    [{ imageSize: [8, 0] }, 'imageSize[1] must be an integer from 1', 'got 0.'],
    [{ dropRate: 1 }, 'dropRate must be a finite number from 0 to below 1', 'got 1.'],
  ])('with the fields %j', async (fields, allowed, given) => {
    await expectRefused(withFields(fields), 'ERR_FILE_FORMAT', 'a configuration that cannot be used', allowed, given);
  });
});

describe('a configuration that is not that of the file’s tensors is refused', () => {
  it.each<[string, object]>([
    ['of more classes', { numClasses: 4 }],
    ['of more channels', { inChannels: 3 }],
    ['of another growth rate', { growthRate: 5 }],
    ['of more layers', { blockConfig: [2] }],
    ['of more blocks', { blockConfig: [1, 1] }],
    ['of another stem', { stem: 'imagenet' }],
    ['without a bottleneck', { bottleneck: false }],
  ])('%s', async (_, fields) => {
    await expectRefused(withFields(fields), 'ERR_WEIGHTS_MISMATCH', 'does not fit the model');
  });

  it('of a network that no memory holds, before any memory is asked for', async () => {
    // 196 TB of weights, said to be in a file of a few kilobytes.
    await expectRefused(
      withFields({ inChannels: 1_000_000, initChannels: 1_000_000, stem: 'imagenet' }),
      'ERR_WEIGHTS_MISMATCH',
    );
  });
});
