import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { datasets, type ArrayDataset } from '../../lib';
import { expectRefusal, temporaryFolder, wrong } from './support';

const inFolder = temporaryFolder();

/** Records whose pixels are all the number of the record, but the first: its 3,072 pixels count up. */
function records(labels: number[][]): Buffer {
  const pixels = (index: number) =>
    index === 0 ? Buffer.from(Array.from({ length: 3072 }, (_, n) => n % 251)) : Buffer.alloc(3072, index);
  return Buffer.concat(labels.flatMap((own, index) => [Buffer.from(own), pixels(index)]));
}

async function write(files: Record<string, Buffer | string>, folder: string): Promise<string> {
  for (const [name, bytes] of Object.entries(files)) {
    const file = path.join(inFolder(folder), name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, bytes);
  }
  return inFolder(folder);
}

const first = ({ images, size }: ArrayDataset) =>
  Array.from({ length: size }, (_, image) => images.data[image * 3072 + 3000]);

const ten = Object.fromEntries([1, 2, 3, 4, 5].map((n) => [`data_batch_${n}.bin`, records([[n], [0]])]));

describe('datasets.cifar10', () => {
  it('joins the five training files in their order, 3×32×32 as they are stored', async () => {
    const folder = await write({ ...ten, 'test_batch.bin': records([[9]]) }, 'ten');
    const train = await datasets.cifar10(folder, 'train');
    expect(train).toMatchObject({ kind: 'array', size: 10, images: { shape: [10, 3, 32, 32] } });
    expect([...train.labels]).toEqual([1, 0, 2, 0, 3, 0, 4, 0, 5, 0]);
    expect(first(train)).toEqual([3000 % 251, 1, 3000 % 251, 1, 3000 % 251, 1, 3000 % 251, 1, 3000 % 251, 1]);
    expect([...train.images.data.subarray(0, 300)]).toEqual(Array.from({ length: 300 }, (_, n) => n % 251));
    expect(train.classes).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    expect([...(await datasets.cifar10(folder, 'test')).labels]).toEqual([9]);
    expect((await datasets.cifar10(folder, 'all')).size).toBe(11);
  });

  it('takes the names that lie beside, and finds the folder inside another', async () => {
    const names = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];
    const inside = (name: string) => `cifar-10-batches-bin/${name}`;
    const folder = await write(
      { [inside('test_batch.bin')]: records([[3]]), [inside('batches.meta.txt')]: `${names.join('\r\n')}\n\n` },
      'outer',
    );
    expect((await datasets.cifar10(folder, 'test')).classes).toEqual(names);
  });

  it('tells of all files that are missing or damaged at once', async () => {
    const folder = await write(
      { ...ten, 'data_batch_2.bin': Buffer.alloc(3072), 'data_batch_4.bin': records([[1], [10]]) },
      'damaged',
    );
    await rm(path.join(folder, 'data_batch_3.bin'));
    await expectRefusal(
      () => datasets.cifar10(folder, 'train'),
      'ERR_DATASET',
      '3 faults',
      'data_batch_2.bin has 3072 bytes',
      'data_batch_3.bin cannot be read',
      'data_batch_4.bin has the label 10 in record 1',
    );
    await write({ 'data_batch_2.bin': '' }, 'damaged');
    await expectRefusal(() => datasets.cifar10(folder, 'train'), 'ERR_DATASET', 'has 0 bytes');
  });

  it('keeps the event loop free', async () => {
    const folder = await write({ 'test_batch.bin': Buffer.alloc(3073 * 6000) }, 'many');
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 0);
    await datasets.cifar10(folder, 'test');
    clearInterval(timer);
    expect(turns).toBeGreaterThan(2);
  });
});

describe('datasets.cifar100', () => {
  it('takes the fine label, or the coarse one', async () => {
    const folder = await write(
      {
        'train.bin': records([
          [19, 99],
          [0, 5],
        ]),
        'coarse_label_names.txt': Array.from({ length: 20 }, (_, n) => `group ${n}`).join('\n'),
      },
      'hundred',
    );
    const fine = await datasets.cifar100(folder, 'train');
    expect([[...fine.labels], fine.classes.length, fine.classes[99]]).toEqual([[99, 5], 100, '99']);
    const coarse = await datasets.cifar100(folder, 'train', { labels: 'coarse' });
    expect([[...coarse.labels], coarse.classes.length, coarse.classes[19]]).toEqual([[19, 0], 20, 'group 19']);
    expect(first(fine)).toEqual(first(coarse));
  });

  it('refuses a file of CIFAR-10, and labels out of range', async () => {
    await expectRefusal(
      async () => datasets.cifar100(await write({ 'test.bin': records([[1], [2]]) }, 'other'), 'test'),
      'ERR_DATASET',
      'records of 3074',
    );
    await expectRefusal(
      async () =>
        datasets.cifar100(await write({ 'test.bin': records([[20, 1]]) }, 'coarse'), 'test', { labels: 'coarse' }),
      'ERR_DATASET',
      'the label 20',
    );
  });
});

it.each<[unknown, unknown, string]>([
  [undefined, 'train', 'folder'],
  ['', 'train', 'folder'],
  ['a\0b', 'train', 'zero bytes'],
  ['x', 'trian', 'Did you mean "train"'],
  ['x', undefined, 'part'],
])('refuses the folder %p with the part %p', async (folder, part, text) => {
  await expectRefusal(() => datasets.cifar10(wrong(folder), wrong(part)), 'ERR_INVALID_ARGUMENT', text);
  await expectRefusal(() => datasets.cifar100(wrong(folder), wrong(part)), 'ERR_INVALID_ARGUMENT', text);
});

it('refuses other labels than fine and coarse', async () => {
  await expectRefusal(() => datasets.cifar100('x', 'train', wrong({ labels: 'all' })), 'ERR_INVALID_ARGUMENT', 'fine');
});
