import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { DenseNetError, isDenseNetError } from '../errors';
import { checkOneOf, checkOptions, checkPath } from '../validate';
import type { ArrayDataset } from './dataset';
import { refuseFaults } from './faults';
import { indexNames } from './labels';
import { readWhole } from './read-file';

/** Which images: 50,000 to train on, 10,000 to test on, or both. */
export type CifarPart = 'train' | 'test' | 'all';

/** Options of {@link cifar100}. */
export interface Cifar100Options {
  /** 100 `fine` classes, the default, or the 20 `coarse` ones that hold them. */
  labels?: 'fine' | 'coarse';
}

/** How the binary version of a CIFAR data set is laid out. */
export interface CifarLayout {
  /** Label bytes before the pixels of a record. */
  labelBytes: number;
  /** Which of them is the label. */
  label: number;
  classes: number;
}

const pixelBytes = 3 * 32 * 32;

/** Records that are taken apart before the event loop gets its turn. */
const RECORDS_AT_ONCE = 2000;

const ADVICE = 'Unpack the binary version anew (www.cs.toronto.edu/~kriz/cifar.html).';

/**
 * CIFAR-10 (Krizhevsky, 2009) from its binary version: 32×32, RGB, ten classes.
 *
 * @param folder The unpacked `cifar-10-batches-bin`, or the folder that it lies in.
 * @param part `train` (files `data_batch_*.bin`), `test` (`test_batch.bin`) or `all`.
 * @throws DenseNetError `ERR_DATASET` with every fault that was found in the files.
 */
export async function cifar10(folder: string, part: CifarPart): Promise<ArrayDataset> {
  return readCifar(await findFolder(folder, 'cifar-10-batches-bin'), checkPart(part), {
    layout: { labelBytes: 1, label: 0, classes: 10 },
    train: [1, 2, 3, 4, 5].map((number) => `data_batch_${number}.bin`),
    test: ['test_batch.bin'],
    names: 'batches.meta.txt',
  });
}

/**
 * CIFAR-100 (Krizhevsky, 2009) from its binary version: 32×32, RGB, 100 classes in 20 groups.
 *
 * @param folder The unpacked `cifar-100-binary`, or the folder that it lies in.
 * @param part `train` (file `train.bin`), `test` (`test.bin`) or `all`.
 * @throws DenseNetError `ERR_DATASET` with every fault that was found in the files.
 */
export async function cifar100(folder: string, part: CifarPart, options?: Cifar100Options): Promise<ArrayDataset> {
  const { labels = 'fine' } = checkOptions('options', options, ['labels']);
  const fine = checkOneOf('labels', labels, ['fine', 'coarse']) === 'fine';
  return readCifar(await findFolder(folder, 'cifar-100-binary'), checkPart(part), {
    layout: { labelBytes: 2, label: fine ? 1 : 0, classes: fine ? 100 : 20 },
    train: ['train.bin'],
    test: ['test.bin'],
    names: `${labels}_label_names.txt`,
  });
}

const checkPart = (part: CifarPart): CifarPart => checkOneOf('part', part, ['train', 'test', 'all']);

async function findFolder(folder: string, name: string): Promise<string> {
  checkPath('folder', folder);
  const inside = path.join(folder, name);
  return access(inside).then(
    () => inside,
    () => folder,
  );
}

interface CifarFiles {
  layout: CifarLayout;
  train: string[];
  test: string[];
  names: string;
}

async function readCifar(
  folder: string,
  part: CifarPart,
  { layout, train, test, names }: CifarFiles,
): Promise<ArrayDataset> {
  const files = { train, test, all: [...train, ...test] }[part];
  const faults: string[] = [];
  const pieces: CifarRecords[] = [];
  for (const file of files) {
    const place = path.join(folder, file);
    try {
      pieces.push(await parseCifar(place, await readWhole(place), layout));
    } catch (error) {
      if (!isDenseNetError(error) || error.code === 'ERR_OUT_OF_MEMORY') throw error;
      faults.push(error.message);
    }
  }
  refuseFaults(folder, faults, ADVICE);
  const size = pieces.reduce((sum, { labels }) => sum + labels.length, 0);
  const data = new Uint8Array(size * pixelBytes);
  const labels = new Int32Array(size);
  let place = 0;
  for (const piece of pieces) {
    data.set(piece.pixels, place * pixelBytes);
    labels.set(piece.labels, place);
    place += piece.labels.length;
    await setImmediate();
  }
  const classes = await classNames(path.join(folder, names), layout.classes);
  return { kind: 'array', size, images: { data, shape: [size, 3, 32, 32] }, labels, classes };
}

/** The names that come with the data, a line each; their indices where that file is missing or not complete. */
async function classNames(file: string, count: number): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const names = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  return names.length === count ? names : indexNames(count);
}

interface CifarRecords {
  pixels: Uint8Array;
  labels: Int32Array;
}

/** Takes the records of one file apart: label bytes, then 3×32×32 pixels, plane by plane. */
export async function parseCifar(
  name: string,
  bytes: Buffer,
  { labelBytes, label, classes }: CifarLayout,
): Promise<CifarRecords> {
  const record = labelBytes + pixelBytes;
  if (bytes.length === 0 || bytes.length % record !== 0)
    throw new DenseNetError(
      'ERR_FILE_FORMAT',
      `${name} has ${bytes.length} bytes, which is no whole number of records of ${record}; it was cut short, or is not ` +
        'of the binary version.',
    );
  const size = bytes.length / record;
  const pixels = new Uint8Array(size * pixelBytes);
  const labels = new Int32Array(size);
  for (let index = 0; index < size; index += 1) {
    const start = index * record;
    labels[index] = bytes[start + label] as number;
    if ((labels[index] as number) >= classes)
      throw new DenseNetError(
        'ERR_FILE_FORMAT',
        `${name} has the label ${labels[index]} in record ${index}; labels are from 0 to ${classes - 1}.`,
      );
    pixels.set(bytes.subarray(start + labelBytes, start + record), index * pixelBytes);
    if (index % RECORDS_AT_ONCE === RECORDS_AT_ONCE - 1) await setImmediate();
  }
  return { pixels, labels };
}
