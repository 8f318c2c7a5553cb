import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { DenseNet, type CreateOptions } from '../../lib';

/** Each measurement is a process of its own: a peak is one of the whole process, and never goes down. */
const run = promisify(execFile);

async function measure(options: CreateOptions, shape: number[]): Promise<{ predicted: number; measured: number }> {
  const program = path.join(__dirname, 'measure.js');
  const { stdout } = await run(process.execPath, [program, JSON.stringify({ options, shape })]);
  return JSON.parse(stdout) as { predicted: number; measured: number };
}

const cases: [string, CreateOptions, number[]][] = [
  ['DenseNet-121, fast', { variant: 'densenet121', memory: 'fast' }, [4, 3, 224, 224]],
  ['DenseNet-121, efficient', { variant: 'densenet121', memory: 'efficient' }, [4, 3, 224, 224]],
  ['DenseNet-121, large and not square', { variant: 'densenet121', memory: 'fast' }, [2, 3, 384, 256]],
  ['DenseNet-169', { variant: 'densenet169', memory: 'fast' }, [2, 3, 224, 224]],
  ['BC-100-12, fast', { variant: 'cifar-bc-100-12', memory: 'fast' }, [32, 3, 32, 32]],
  ['BC-100-12, efficient', { variant: 'cifar-bc-100-12', memory: 'efficient' }, [64, 3, 32, 32]],
  ['BC-100-12 with dropout', { variant: 'cifar-bc-100-12', memory: 'fast', dropRate: 0.2 }, [32, 3, 32, 32]],
  ['plain 40-12', { variant: 'cifar-40-12' }, [64, 3, 32, 32]],
  ['BC-190-40', { variant: 'cifar-bc-190-40', memory: 'fast' }, [4, 3, 32, 32]],
];

test.each(cases)(
  'the estimate holds within a tenth: %s',
  async (_, options, shape) => {
    const { predicted, measured } = await measure(options, shape);
    expect(Math.abs(predicted / measured - 1)).toBeLessThan(0.1);
  },
  300_000,
);

test('the estimate follows what is frozen, the batch, and the memory option', async () => {
  const model = await DenseNet.create({ variant: 'cifar-bc-190-40', device: 'cpu', memory: 'fast' });
  const lean = await DenseNet.create({ variant: 'cifar-bc-190-40', device: 'cpu', memory: 'efficient' });
  const all = await model.estimateMemory({ batch: 4, size: 32 });
  expect(await model.estimateMemory({ batch: 8, size: [32, 32] })).toBeGreaterThan(all);
  expect(await lean.estimateMemory({ batch: 4, size: 32 })).toBeLessThan(all);
  model.freeze('features');
  expect(await model.estimateMemory({ batch: 4, size: 32 })).toBeLessThan(all);
  await expect(model.estimateMemory({ batch: 0, size: 32 })).rejects.toThrow('ERR_INVALID_ARGUMENT');
  await Promise.all([model.dispose(), lean.dispose()]);
});
