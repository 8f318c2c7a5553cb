import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { DenseNetError } from '../errors';
import { checkOneOf } from '../validate';
import { fromArrays } from './arrays';
import { split as splitDataset } from './parts';
import type { ArrayDataset } from './dataset';

const file = path.join(__dirname, '..', '..', 'data', 'digits.csv.gz');
const side = 8;
const brightest = 16;

/**
 * The digits that ship with the package (E. Alpaydin and C. Kaynak, 1998; CC BY 4.0): 8×8 pixels, one channel, bright
 * ink on black, ten classes.
 *
 * @param part `train` (1,433 images), `test` (364: the last fifth of each class, in file order) or `all`.
 * @throws DenseNetError `ERR_INVALID_ARGUMENT`, or `ERR_FILE` where the package is not complete.
 */
export async function digits(part: 'train' | 'test' | 'all'): Promise<ArrayDataset> {
  checkOneOf('part', part, ['train', 'test', 'all']);
  const all = parse((await promisify(gunzip)(await read())).toString('latin1'));
  if (part === 'all') return all;
  const [train, test] = splitDataset(all, 0.8);
  return part === 'train' ? train : test;
}

async function read(): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new DenseNetError('ERR_FILE', `${file} is missing; it comes with the package. Install the package anew.`, {
      cause: error,
    });
  }
}

function parse(text: string): ArrayDataset {
  const lines = text.trim().split('\n');
  const pixels = new Uint8Array(lines.length * side * side);
  const labels = lines.map((line, image) => {
    const values = line.split(',').map(Number);
    for (let place = 0; place < side * side; place += 1)
      pixels[image * side * side + place] = Math.round(((values[place] as number) * 255) / brightest);
    return values[side * side] as number;
  });
  return fromArrays({
    images: { data: pixels, shape: [lines.length, 1, side, side] },
    labels,
    classes: Array.from({ length: 10 }, (_, digit) => String(digit)),
  });
}
