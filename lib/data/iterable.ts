import { DenseNetError } from '../errors';
import { checkImages, checkTensor, joinArrays, type TensorData } from '../tensor';
import { checkOptions, checkPath, checkSignal, invalidArgument, typedArrayKind } from '../validate';
import { fromArrays } from './arrays';
import type { ArrayDataset, StreamedDataset } from './dataset';
import { toClasses } from './labels';
import { isPictureSource, readPicture, type PictureSource } from './picture';
import { checkPictureSet, checkWantedClasses, type PictureSetOptions, type PictureSetPlan } from './picture-options';
import { fromReader } from './reader';
import { readSpooled, SpoolWriter } from './spool';

/** One image and its class. */
export interface LabelledImage {
  /** C×H×W: raw pixels in a `Uint8Array` or floats that are used as they are; or an encoded picture. */
  image: TensorData | PictureSource;
  /** The index of its class. */
  label: number;
}

/** Options of {@link fromIterable}; those of pictures count for encoded ones. */
export interface IterableOptions extends Omit<PictureSetOptions, 'broken' | 'onProgress' | 'decode' | 'cache'> {
  /** The classes' names in the order of their indices; default `0`, `1`, … up to the highest label. */
  classes?: string[];
  /**
   * A file that the images are written to as they come and read from while they are used; default: they are kept in
   * memory. A file that is there is replaced. It is yours: leave it alone while the data set is in use, then remove it.
   */
  spool?: string;
}

/**
 * A data set from whatever an iterable gives, such as a database's rows or the entries of an archive. It is gone
 * through once, one image at a time, and all its images are kept, since training goes over them in many epochs and
 * orders, which an iterable cannot do: in memory, or in a file (`spool`), as decoded pixels. What can be read image by
 * image need not be kept at all, see `fromReader`.
 *
 * @param source Gives at least one image; all must have one shape and kind.
 * @throws DenseNetError `ERR_INVALID_ARGUMENT` for an image that differs from the first, and what `readPicture` throws;
 *   what the iterable itself throws comes as it is. With `spool`, `ERR_FILE` when the file cannot be written; it is
 *   removed when the data set cannot be made.
 */
export function fromIterable(
  source: AsyncIterable<LabelledImage> | Iterable<LabelledImage>,
  options: IterableOptions & { spool: string },
): Promise<StreamedDataset>;
export function fromIterable(
  source: AsyncIterable<LabelledImage> | Iterable<LabelledImage>,
  options?: IterableOptions,
): Promise<ArrayDataset>;
export async function fromIterable(
  source: AsyncIterable<LabelledImage> | Iterable<LabelledImage>,
  options?: IterableOptions,
): Promise<ArrayDataset | StreamedDataset> {
  const keys = [
    'imageSize',
    'resizeSize',
    'interpolation',
    'channels',
    'limitInputPixels',
    'signal',
    'classes',
    'spool',
  ] as const;
  const given = checkOptions('options', options, keys);
  const { form } = checkPictureSet(given);
  const signal = checkSignal('signal', given.signal);
  const classes = checkWantedClasses(given.classes, 'of classes');
  if (!isIterable(source)) throw invalidArgument('source', 'an iterable or async iterable', source);
  if (given.spool !== undefined) checkPath('spool', given.spool);
  signal?.throwIfAborted();
  const items = readAll(source, form, signal);
  return given.spool === undefined ? keepInMemory(items, classes) : keepInFile(items, classes, given.spool);
}

/** An image as it is kept, 1×C×H×W, and its class. */
interface Kept {
  data: Uint8Array | Float32Array;
  shape: number[];
  label: number;
}

/** What an iterable gives, in the form in which it is kept; all images alike, at least one. */
async function* readAll(
  source: AsyncIterable<LabelledImage> | Iterable<LabelledImage>,
  form: PictureSetPlan['form'],
  signal: AbortSignal | undefined,
): AsyncGenerator<Kept> {
  let first: TensorData | undefined;
  let count = 0;
  for await (const item of source) {
    const name = `item ${count}`;
    const { image, label } = checkOptions<LabelledImage>(name, item, ['image', 'label']);
    const read = isPictureSource(image) ? await readPicture(image, form) : checkOne(`${name}.image`, image);
    first ??= read;
    checkAlike(name, read, first);
    yield { data: read.data as Uint8Array | Float32Array, shape: read.shape, label };
    count += 1;
    signal?.throwIfAborted();
  }
  if (first === undefined) throw new DenseNetError('ERR_DATASET', 'the iterable gave no image.');
}

async function keepInMemory(items: AsyncIterable<Kept>, classes: string[] | undefined): Promise<ArrayDataset> {
  const images: Kept['data'][] = [];
  const labels: number[] = [];
  let one: number[] = [];
  for await (const { data, shape, label } of items) {
    images.push(data);
    labels.push(label);
    one = shape.slice(1);
  }
  const data = joinArrays(images);
  return fromArrays({
    images: { data, shape: [labels.length, ...one] },
    labels,
    ...(classes === undefined ? {} : { classes }),
  });
}

async function keepInFile(
  items: AsyncIterable<Kept>,
  names: string[] | undefined,
  path: string,
): Promise<StreamedDataset> {
  const spool = await SpoolWriter.create(path);
  try {
    const labels: number[] = [];
    let last: Kept | undefined;
    for await (const item of items) {
      await spool.append(item.data);
      labels.push(item.label);
      last = item;
    }
    const { data, shape } = last as Kept;
    const length = data.length;
    const dtype = typedArrayKind(data) === 'Float32Array' ? 'float32' : 'uint8';
    const dataset = fromReader({
      size: labels.length,
      imageShape: shape.slice(1) as [number, number, number],
      dtype,
      ...toClasses(labels, labels.length, names),
      read: (index) =>
        readSpooled(path, index, dtype === 'float32' ? new Float32Array(length) : new Uint8Array(length)),
    });
    await spool.finish();
    return dataset;
  } catch (error) {
    await spool.discard();
    throw error;
  }
}

function isIterable(value: unknown): boolean {
  const given = value as Partial<AsyncIterable<unknown> & Iterable<unknown>> | null | undefined;
  if (typeof given !== 'object' || given === null) return false;
  return typeof given[Symbol.asyncIterator] === 'function' || typeof given[Symbol.iterator] === 'function';
}

/** A copy, since an iterable may use one array again and again; 1×C×H×W. */
function checkOne(name: string, value: unknown): TensorData {
  const { data, shape } = checkTensor(name, value, ['Float32Array', 'Uint8Array']);
  if (shape.length !== 3) throw invalidArgument(`${name}.shape`, 'C×H×W, three lengths', shape);
  const copy = typedArrayKind(data) === 'Uint8Array' ? new Uint8Array(data as Uint8Array) : data.slice();
  return checkImages(name, { data: copy, shape: [1, ...shape] });
}

function checkAlike(name: string, { data, shape }: TensorData, first: TensorData): void {
  const [found, wanted] = [data, first.data].map((values) => typedArrayKind(values) as string);
  if (found === wanted && shape.join() === first.shape.join()) return;
  throw new DenseNetError(
    'ERR_INVALID_ARGUMENT',
    `${name} is a ${found} of ${shape.slice(1).join('×')}, but the first image was a ${wanted} of ` +
      `${first.shape.slice(1).join('×')}. All images of a data set are alike.`,
  );
}
