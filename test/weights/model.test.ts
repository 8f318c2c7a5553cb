import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { DenseNet, type CreateOptions, type TensorData } from '../../lib';
import { relativeDifference } from '../parity/fixture';
import { hostileFiles } from '../hostile/checkpoint-corpus';
import { fixtures, readTensors } from './read';

const { torch: _torch, ...config } = JSON.parse(
  readFileSync(path.join(fixtures, 'config.json'), 'utf8'),
) as CreateOptions & { torch: string };
const fixture = (file: string): string => path.join(fixtures, file);

/** A Python with torch, which most machines that run these tests do not have: without it that check is skipped. */
const python = process.env['DENSENET_TORCH_PYTHON'];
const withTorch = python === undefined ? it.skip : it;

let folder: string;
let model: DenseNet;
let expected: Map<string, TensorData>;

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'densenet-'));
  expected = new Map(
    [...(await readTensors('expected.safetensors'))].map(([name, { shape, hex }]) => [
      name,
      { data: new Float32Array(Uint8Array.from(Buffer.from(hex, 'hex')).buffer), shape },
    ]),
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(async () => {
  model = await DenseNet.create({ ...config, device: 'cpu', seed: 1 });
});
afterEach(() => model.dispose());

const expectedOf = (name: string): TensorData => expected.get(name) as TensorData;

async function snapshot(of: DenseNet = model): Promise<string> {
  const state = await of.stateDict();
  return JSON.stringify([...state].map(([name, { data }]) => [name, Array.from(data, String)]));
}

test.each([
  ['plain.safetensors', 1e-5],
  ['plain.pth', 1e-5],
  ['plain-legacy.pth', 1e-5],
  ['shared.pth', 1e-5],
  ['shared-legacy.pth', 1e-5],
  ['strided-legacy.pth', 1e-5],
  ['training.pth', 1e-5],
  ['training-legacy.pth', 1e-5],
  ['ema-first.pth', 1e-5],
  ['dotted-legacy.pth', 1e-5],
  ['dotted-counters-legacy.pth', 1e-5],
  ['monai-legacy.pth', 1e-5],
  ['gpleiss-legacy.pth', 1e-5],
  ['compiled-legacy.pth', 1e-5],
  ['chexnet-legacy.pth', 1e-5],
  ['double-legacy.pth', 1e-5],
  ['half.pth', 1e-2],
  ['half.safetensors', 1e-2],
  ['bfloat16-legacy.pth', 5e-2],
])("%s loads strictly and gives PyTorch's logits within %d", async (file, limit) => {
  const { matched, missing, unexpected, adapted } = await model.loadWeights(fixture(file));
  expect([...missing, ...unexpected]).toEqual([]);
  const counters = file === 'dotted-legacy.pth' ? 7 : 0;
  expect(adapted).toHaveLength(counters);
  expect(adapted.every((name) => name.endsWith('num_batches_tracked'))).toBe(true);
  expect(matched).toHaveLength(43 - counters);
  const logits = await model.forward(expectedOf('images'));
  expect(relativeDifference(logits, expectedOf('logits'))).toBeLessThan(limit);
});

test('one model in all three formats gives the same state, byte for byte', async () => {
  const states: string[] = [];
  for (const file of ['plain.safetensors', 'plain.pth', 'plain-legacy.pth', 'shared.pth', 'strided-legacy.pth']) {
    await model.loadWeights(fixture(file));
    states.push(await snapshot());
  }
  expect(new Set(states).size).toBe(1);
});

test('a missing counter becomes 0, whatever it was', async () => {
  await model.loadWeights(fixture('plain.pth'));
  expect((await model.stateDict()).get('features.norm5.num_batches_tracked')?.data).toEqual(BigInt64Array.of(7n));
  await model.loadWeights(fixture('dotted-legacy.pth'));
  expect((await model.stateDict()).get('features.norm5.num_batches_tracked')?.data).toEqual(BigInt64Array.of(0n));
});

test.each([
  ['grey', 1],
  ['four', 4],
])('weights for RGB are adapted to %s images', async (name, inChannels) => {
  const other = await DenseNet.create({ ...config, inChannels, device: 'cpu' });
  try {
    await expect(other.loadWeights(fixture('plain.pth'))).rejects.toThrow(
      `features.conv0.weight is [4, 3, 7, 7] in the file, but [4, ${inChannels}, 7, 7] in the model`,
    );
    const report = await other.loadWeights(fixture('plain.pth'), { adaptInput: true });
    expect(report).toMatchObject({ missing: [], unexpected: [], adapted: ['features.conv0.weight'] });
    const logits = await other.forward(expectedOf(name));
    expect(relativeDifference(logits, expectedOf(`${name}.logits`))).toBeLessThan(1e-5);
  } finally {
    await other.dispose();
  }
});

test('adaptClassifier takes all but the classifier of another number of classes', async () => {
  const other = await DenseNet.create({ ...config, numClasses: 3, device: 'cpu' });
  try {
    await model.loadWeights(fixture('plain.pth'));
    const head = (await other.stateDict()).get('classifier.weight');
    const report = await other.loadWeights(fixture('plain.pth'), { adaptClassifier: true });
    expect(report).toMatchObject({ missing: [], unexpected: [], adapted: ['classifier.weight', 'classifier.bias'] });
    expect((await other.stateDict()).get('classifier.weight')).toEqual(head);
    const [theirs, ours] = [await other.features(expectedOf('images')), await model.features(expectedOf('images'))];
    expect(theirs['norm5']).toEqual(ours['norm5']);
  } finally {
    await other.dispose();
  }
});

test('without strict what fits is taken, and the report says what was left', async () => {
  const other = await DenseNet.create({ ...config, numClasses: 3, device: 'cpu' });
  try {
    const report = await other.loadWeights(fixture('plain.pth'), { strict: false });
    expect(report.matched).toHaveLength(41);
    expect(report.missing).toEqual(['classifier.weight', 'classifier.bias']);
    expect(report.unexpected).toEqual(['classifier.weight', 'classifier.bias']);
  } finally {
    await other.dispose();
  }
});

test.each([
  ['refused-deep-stem.pth', 'ERR_WEIGHTS_MISMATCH', /deep stem/],
  ['refused-blur-pool.pth', 'ERR_WEIGHTS_MISMATCH', /blur pooling/],
  ['refused-twice.pth', 'ERR_WEIGHTS_MISMATCH', /either would be classifier\.bias/],
  ['refused-sparse.pth', 'ERR_FILE_FORMAT', /classifier\.bias is torch\._utils\._rebuild_sparse_tensor/],
  ['refused-negated.pth', 'ERR_FILE_FORMAT', /classifier\.bias is a conjugated or negated tensor/],
  ['refused-expanded.pth', 'ERR_FILE_FORMAT', /that it repeats/],
  ['refused-whole-model.pth', 'ERR_FILE_FORMAT', /whole Python object/],
  ['tiny.pth', 'ERR_WEIGHTS_MISMATCH', /0 tensors match/],
  ['not-there.pth', 'ERR_FILE', /ENOENT/],
])('%s is refused with %s, and the model stays as it was', async (file, code, why) => {
  const before = await snapshot();
  await expect(model.loadWeights(fixture(file), { strict: false })).rejects.toMatchObject({ code });
  await expect(model.loadWeights(fixture(file), { strict: false })).rejects.toThrow(why);
  expect(await snapshot()).toBe(before);
});

test('no hostile file changes the model, is taken for a model, or ends the process', async () => {
  const before = await snapshot();
  const file = path.join(folder, 'hostile.pth');
  for (const { name, bytes } of hostileFiles()) {
    writeFileSync(file, bytes);
    const code = await model.loadWeights(file, { strict: false }).then(
      () => 'loaded',
      (error: unknown) => (error as { code?: string }).code,
    );
    // A good directory over a damaged tensor does not fit this model either, and that is seen first.
    const codes = name.includes('checksum of a tensor') ? ['ERR_WEIGHTS_MISMATCH'] : ['ERR_FILE_FORMAT'];
    expect([name, code]).toEqual([name, ...codes]);
  }
  expect(await snapshot()).toBe(before);
});

test('a file whose tensor is damaged loads nothing', async () => {
  const bytes = readFileSync(fixture('plain.pth'));
  const tensors = await readTensors('plain.pth');
  const last = Buffer.from(tensors.get('classifier.weight')?.hex ?? '', 'hex');
  bytes[bytes.indexOf(last)]! ^= 1;
  const file = path.join(folder, 'damaged.pth');
  writeFileSync(file, bytes);
  const before = await snapshot();
  await expect(model.loadWeights(file)).rejects.toThrow(/do not have the checksum/);
  expect(await snapshot()).toBe(before);
});

test('a .pth of PyTorch says how to load it', async () => {
  await expect(DenseNet.load(fixture('plain.pth'))).rejects.toMatchObject({ code: 'ERR_FILE_FORMAT' });
  await expect(DenseNet.load(fixture('plain.pth'))).rejects.toThrow(/DenseNet\.create\(.*loadWeights/);
});

describe.each(['safetensors', 'pth'] as const)('a model that was saved as %s', (format) => {
  let file: string;

  beforeEach(async () => {
    file = path.join(folder, `saved.${format}`);
    await model.loadWeights(fixture('plain.pth'));
    await model.saveWeights(file, { format });
  });

  it('loads again with nothing else, the same to the bit', async () => {
    const again = await DenseNet.load(file, { device: 'cpu' });
    expect(again.config).toEqual(model.config);
    expect(await snapshot(again)).toBe(await snapshot());
    await again.dispose();
  });

  it('is parsed once', async () => {
    const open = jest.spyOn(fs, 'open');
    try {
      const again = await DenseNet.load(file, { device: 'cpu' });
      await again.dispose();
      expect(open.mock.calls.map(([name]) => name)).toEqual([file]);
    } finally {
      open.mockRestore();
    }
  });

  it('loads into a model that is there', async () => {
    const other = await DenseNet.create({ ...config, device: 'cpu', seed: 2 });
    expect((await other.loadWeights(file)).matched).toHaveLength(43);
    expect(await snapshot(other)).toBe(await snapshot());
    await other.dispose();
  });

  withTorch(
    "is read by PyTorch to the bit, and PyTorch's copy is read here (where DENSENET_TORCH_PYTHON is set)",
    async () => {
      const copy = path.join(folder, `copy-${format}.pth`);
      const program = path.join(__dirname, 'check_written.py');
      const { stdout } = await promisify(execFile)(python as string, [
        program,
        file,
        fixture('plain.pth'),
        '--copy',
        copy,
      ]);
      expect(stdout).toContain('43 tensors, the same to the bit');
      const other = await DenseNet.create({ ...config, device: 'cpu', seed: 2 });
      await other.loadWeights(copy);
      expect(await snapshot(other)).toBe(await snapshot());
      await other.dispose();
    },
  );
});

test('an unknown option or format is refused', async () => {
  await expect(model.saveWeights(path.join(folder, 'x'), { format: 'onnx' as 'pth' })).rejects.toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
  });
  await expect(model.loadWeights(fixture('plain.pth'), { adaptInput: 1 as unknown as boolean })).rejects.toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
  });
});
