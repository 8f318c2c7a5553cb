import { DenseNetError } from '../errors';
import { elementCount } from '../tensor';
import { checkOptions, checkPath } from '../validate';
import type { ArrayDataset } from './dataset';
import { fromArrays } from './arrays';
import { checkWantedClasses } from './picture-options';
import { readWhole, unpack } from './read-file';

/** Options of {@link idx}. */
export interface IdxOptions {
  /** The classes' names in the order of their indices; default `0`, `1`, … up to the highest label. */
  classes?: string[];
}

/** An array of bytes as an IDX file holds it. */
export interface IdxArray {
  shape: number[];
  data: Uint8Array;
}

/** The element types of the format; images and labels are bytes. */
const types = new Map([
  [0x08, 'uint8'],
  [0x09, 'int8'],
  [0x0b, 'int16'],
  [0x0c, 'int32'],
  [0x0d, 'float32'],
  [0x0e, 'float64'],
]);

/**
 * A data set from two IDX files, the format of MNIST, Fashion-MNIST and EMNIST (LeCun, Cortes and Burges, "The MNIST
 * database of handwritten digits"); both may be gzipped.
 *
 * @param images Bytes N×H×W, which become N×1×H×W; or N×C×H×W.
 * @param labels N bytes, each the index of a class.
 * @throws DenseNetError `ERR_FILE`, `ERR_FILE_FORMAT` for a file of another format or a damaged one, `ERR_DATASET` where
 *   the two do not belong together, `ERR_LABEL_OUT_OF_RANGE` where `classes` has too few names, `ERR_OUT_OF_MEMORY`.
 */
export async function idx(images: string, labels: string, options?: IdxOptions): Promise<ArrayDataset> {
  checkPath('images', images);
  checkPath('labels', labels);
  const classes = checkWantedClasses(checkOptions('options', options, ['classes']).classes, 'of classes');
  const pixels = await parseIdx(images, await readWhole(images));
  const indices = await parseIdx(labels, await readWhole(labels));
  return joinIdx({ name: images, ...pixels }, { name: labels, ...indices }, classes);
}

function joinIdx(
  images: IdxArray & { name: string },
  labels: IdxArray & { name: string },
  classes: string[] | undefined,
): ArrayDataset {
  const { shape } = images;
  if (shape.length !== 3 && shape.length !== 4)
    throw new DenseNetError(
      'ERR_DATASET',
      `${images.name} holds an array of ${shape.length} axes, [${shape.join(', ')}]; images are N×H×W or N×C×H×W.`,
    );
  if (labels.shape.length !== 1 || labels.shape[0] !== shape[0])
    throw new DenseNetError(
      'ERR_DATASET',
      `${labels.name} holds an array [${labels.shape.join(', ')}], but ${images.name} has ${shape[0]} images, each of ` +
        'which needs one label. Do the two files belong together?',
    );
  const full = shape.length === 3 ? [shape[0] as number, 1, ...shape.slice(1)] : shape;
  return fromArrays({
    images: { data: images.data, shape: full },
    labels: labels.data,
    ...(classes === undefined ? {} : { classes }),
  });
}

/** Reads an IDX file of bytes, gzipped or not. Not one of its numbers is believed before it is checked. */
export async function parseIdx(name: string, bytes: Buffer): Promise<IdxArray> {
  const lengthOf = (head: Buffer): number => {
    const { start, shape } = readHeader(name, head);
    return start + elementCount(shape);
  };
  const plain = await unpack(name, bytes, lengthOf);
  const expected = lengthOf(plain);
  if (plain.length !== expected)
    throw damaged(name, `its header tells of ${expected} bytes, and there are ${plain.length}`);
  const { start, shape } = readHeader(name, plain);
  return { shape, data: new Uint8Array(plain.buffer, plain.byteOffset + start, plain.length - start) };
}

function readHeader(name: string, bytes: Buffer): { start: number; shape: number[] } {
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0)
    throw damaged(name, 'it does not begin with two zero bytes, a type and a number of axes');
  const type = types.get(bytes[2] as number);
  if (type !== 'uint8')
    throw damaged(name, `its elements are ${type ?? `of the unknown type ${bytes[2]}`}, and uint8 is needed`);
  const axes = bytes[3] as number;
  const start = 4 + 4 * axes;
  if (axes < 1 || axes > 4) throw damaged(name, `it has ${axes} axes, and 1 to 4 make sense`);
  if (bytes.length < start) throw damaged(name, 'it ends within its header');
  const shape = Array.from({ length: axes }, (_, axis) => bytes.readUInt32BE(4 + 4 * axis));
  const count = elementCount(shape);
  if (count === 0 || !Number.isSafeInteger(count)) throw damaged(name, `it claims the shape [${shape.join(', ')}]`);
  return { start, shape };
}

function damaged(name: string, fault: string): DenseNetError {
  return new DenseNetError('ERR_FILE_FORMAT', `${name} cannot be read as an IDX file: ${fault}. Get the file anew.`);
}
