import { DenseNetError } from '../errors';
import { checkImages, checkTensor, joinArrays, type TensorData } from '../tensor';
import { checkOptions, checkSignal, invalidArgument, typedArrayKind } from '../validate';
import { fromArrays } from './arrays';
import type { ArrayDataset } from './dataset';
import { isPictureSource, readPicture, type PictureSource } from './picture';
import { checkPictureSet, checkWantedClasses, type PictureSetOptions } from './picture-options';

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
}

/**
 * A data set from whatever an iterable gives, such as a database's rows or the entries of an archive. It is gone
 * through once, one image at a time, and all its images are kept in memory: training goes over them in many epochs and
 * orders, which an iterable cannot do. For what does not fit, see `fromReader`.
 *
 * @param source Gives at least one image; all must have one shape and kind.
 * @throws DenseNetError `ERR_INVALID_ARGUMENT` for an image that differs from the first, and what `readPicture` throws;
 *   what the iterable itself throws comes as it is.
 */
export async function fromIterable(
  source: AsyncIterable<LabelledImage> | Iterable<LabelledImage>,
  options?: IterableOptions,
): Promise<ArrayDataset> {
  const keys = [
    'imageSize',
    'resizeSize',
    'interpolation',
    'channels',
    'limitInputPixels',
    'signal',
    'classes',
  ] as const;
  const given = checkOptions('options', options, keys);
  const { form } = checkPictureSet(given);
  const signal = checkSignal('signal', given.signal);
  const classes = checkWantedClasses(given.classes, 'of classes');
  if (!isIterable(source)) throw invalidArgument('source', 'an iterable or async iterable', source);
  const images: TensorData[] = [];
  const labels: number[] = [];
  signal?.throwIfAborted();
  for await (const item of source) {
    const name = `item ${images.length}`;
    const { image, label } = checkOptions<LabelledImage>(name, item, ['image', 'label']);
    const read = isPictureSource(image) ? await readPicture(image, form) : checkOne(`${name}.image`, image);
    const [first] = images;
    if (first !== undefined) checkAlike(name, read, first);
    images.push(read);
    labels.push(label);
    signal?.throwIfAborted();
  }
  const [first] = images;
  if (first === undefined) throw new DenseNetError('ERR_DATASET', 'the iterable gave no image.');
  const data = joinArrays(images.map((image) => image.data as Uint8Array | Float32Array));
  images.length = 0;
  return fromArrays({
    images: { data, shape: [labels.length, ...first.shape.slice(1)] },
    labels,
    ...(classes === undefined ? {} : { classes }),
  });
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
