import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { datasets, DenseNet, Trainer, type ArrayDataset } from '../../lib';
import { digitsRecipe } from '../../lib/cli/recipe';
import { runNode } from '../child';
import { fingerprint, temporaryFolder } from '../unit/support';

const inFolder = temporaryFolder();
const plan = { epochs: 3, batchSize: 64 };

/** As a folder of classes lists them: class by class. */
function byClass(data: ArrayDataset): ArrayDataset {
  const label = (image: number): number => data.labels[image] as number;
  return datasets.subset(
    data,
    [...data.labels.keys()].sort((a, b) => label(a) - label(b) || a - b),
  );
}

/** Trains by the recipe of `npm start`, from arrays. */
async function trainOn(images: ArrayDataset, exam: ArrayDataset): Promise<{ weights: string; top1: number }> {
  await using model = await DenseNet.create({ ...structuredClone(digitsRecipe.model), device: 'cpu', seed: 1 });
  const trainer = new Trainer(model, digitsRecipe.trainer({ lr: digitsRecipe.lr, seed: 1 }));
  await trainer.fit(images, { ...plan, augment: [...digitsRecipe.augment] });
  return { weights: await fingerprint(model), top1: (await trainer.evaluate(exam)).top1 };
}

const trainOnFolder = async (name: string, args: string[] = []): Promise<{ weights: string; top1: number }> => {
  const out = inFolder(name);
  const command = ['train', '--config', inFolder('digits/run.json'), '--epochs', String(plan.epochs), '--out', out];
  const main = path.join('dist', 'cli', 'main.js');
  const { code, stdout, stderr } = await runNode([main, ...command, '--device', 'cpu', '--json', ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const result = JSON.parse(stdout.trim().split('\n').at(-1) as string) as { weights: string; test: { top1: number } };
  await using model = await DenseNet.load(result.weights, { device: 'cpu' });
  return { weights: await fingerprint(model), top1: result.test.top1 };
};

let [train, held] = [] as unknown as [ArrayDataset, ArrayDataset];
beforeAll(async () => {
  const { code, stdout } = await runNode([path.join('examples', 'digits-folder.mjs'), inFolder('digits')]);
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: expect.stringContaining('1433 pictures of 10 classes') as unknown,
  });
  [train, held] = await Promise.all([datasets.digits('train'), datasets.digits('test')]);
});

test('the pictures are the digits, pixel for pixel, with the same split', async () => {
  const found = await datasets.imageFolders(inFolder('digits'), { imageSize: [8, 8], channels: 1 });
  for (const [own, expected] of [
    [found.train, byClass(train)],
    [found.validation, byClass(held)],
  ] as const) {
    expect([own.size, own.classes]).toEqual([expected.size, expected.classes]);
    expect([...own.labels]).toEqual([...expected.labels]);
    expect(Buffer.compare(own.images.data as Uint8Array, expected.images.data as Uint8Array)).toBe(0);
    expect(own.files?.[0]).toMatch(/digits[/\\](train|test)[/\\]0[/\\]\d{4}\.png$/);
  }
});

test('their configuration file is the recipe of `npm start`', async () => {
  const { model, trainer, augment, epochs, batchSize } = JSON.parse(
    await readFile(inFolder('digits/run.json'), 'utf8'),
  ) as Record<string, unknown>;
  const { schedule, seed, ...rest } = digitsRecipe.trainer({ lr: digitsRecipe.lr, seed: 1 });
  expect([schedule, seed]).toEqual([{ type: 'cosine' }, 1]); // what every recipe of the command has
  expect(trainer).toEqual(rest);
  expect(digitsRecipe.model).toMatchObject(model as object);
  expect(digitsRecipe.augment).toMatchObject(augment as object[]);
  expect([epochs, batchSize]).toEqual([digitsRecipe.epochs, digitsRecipe.batchSize]);
});

test('training on the folder, in memory or streamed, ends with the weights that arrays in the same order give', async () => {
  const expected = await trainOn(byClass(train), byClass(held));
  expect(await trainOnFolder('memory')).toEqual(expected);
  expect(await trainOnFolder('streamed', ['--cache', 'memory'])).toEqual(expected);
  // In the order of `npm start`, other images make a batch; that they are the same ones is all there is to it.
  const shuffled = await trainOn(train, held);
  expect(Math.abs(shuffled.top1 - expected.top1)).toBeLessThan(0.15);
  expect(expected.top1).toBeGreaterThan(0.6);
}, 300_000);

test('--data names another folder for the same configuration file', async () => {
  const { code, stderr } = await runNode([
    ...[path.join('dist', 'cli', 'main.js'), 'train', '--config', inFolder('digits/run.json')],
    ...['--data', inFolder('digits/test'), '--epochs', '1', '--out', inFolder('other'), '--device', 'cpu', '--json'],
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { data } = JSON.parse(await readFile(inFolder('other/config.json'), 'utf8')) as { data: object };
  expect(data).toEqual({ path: inFolder('digits/test'), imageSize: [8, 8], channels: 1 });
});
