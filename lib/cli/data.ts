import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import * as datasets from '../data';
import type { Dataset } from '../data/dataset';
import { checkTransforms, type Transform } from '../data/transform';
import * as transforms from '../data/transforms';
import { cannotRead, DenseNetError } from '../errors';
import { didYouMean } from '../validate';

/** Where data come from and how pictures are prepared: what `--data` and the configuration file say. */
export interface DataOptions extends Omit<datasets.PictureSetOptions, 'onProgress' | 'signal'> {
  /** `digits`, a folder, or a CSV file. */
  path: string;
  type?: 'folder' | 'csv' | 'cifar10' | 'cifar100' | 'idx';
  /** A second CSV file, or folder of classes, to test on. */
  validation?: string;
  holdOut?: number;
  label?: string;
  labels?: datasets.CsvOptions['labels'] | 'fine' | 'coarse';
  classes?: string[];
}

/** What `--data` and the flags beside it give, over what a configuration file says. */
export interface DataFlags {
  data: string | DataOptions;
  decode?: 'now' | 'ahead';
  cache?: string;
  broken?: 'refuse' | 'skip';
  imageSize?: [number, number];
  channels?: 1 | 3;
}

export function toDataOptions({ data, decode, cache, broken, imageSize, channels }: DataFlags): DataOptions {
  const options: DataOptions = typeof data === 'string' ? { path: data } : { ...data };
  if (decode !== undefined) options.decode = decode;
  if (cache !== undefined)
    Object.assign(options, { decode: 'ahead', cache: cache === 'memory' ? cache : { folder: cache } });
  if (broken !== undefined) options.broken = broken;
  if (imageSize !== undefined) options.imageSize = imageSize;
  if (channels !== undefined) options.channels = channels;
  return options;
}

/** The data to train on, and those to test on. */
export async function openData(options: DataOptions, seed: number): Promise<datasets.TrainAndValidation<Dataset>> {
  if (options.path === 'digits') {
    const [train, validation] = await Promise.all([datasets.digits('train'), datasets.digits('test')]);
    return { train, validation };
  }
  const {
    path: place,
    type = await detect(options.path),
    validation,
    holdOut = 0.2,
    label,
    labels,
    classes,
    ...form
  } = options;
  switch (type) {
    case 'cifar10':
      return parts((part) => datasets.cifar10(place, part));
    case 'cifar100':
      return parts((part) => datasets.cifar100(place, part, labels === 'coarse' ? { labels } : {}));
    case 'idx':
      return parts((part) => openIdx(place, part));
    case 'csv':
      return openCsv(
        place,
        { ...form, ...(classes && { classes }), ...(label && { label }), ...csvLabels(labels) },
        validation,
        { holdOut, seed },
      );
    case 'folder': {
      const folder = { ...form, ...(classes && { classes }) };
      if (validation === undefined) return datasets.imageFolders(place, { ...folder, holdOut, seed });
      const train = await datasets.imageFolder(place, folder);
      return { train, validation: await datasets.imageFolder(validation, { ...folder, classes: [...train.classes] }) };
    }
  }
}

const csvLabels = (labels: DataOptions['labels']): Pick<datasets.CsvOptions, 'labels'> =>
  labels === undefined || typeof labels === 'string' ? {} : { labels };

async function parts(
  open: (part: 'train' | 'test') => Promise<Dataset>,
): Promise<datasets.TrainAndValidation<Dataset>> {
  return { train: await open('train'), validation: await open('test') };
}

async function openCsv(
  file: string,
  options: datasets.CsvOptions,
  validation: string | undefined,
  { holdOut, seed }: { holdOut: number; seed: number },
): Promise<datasets.TrainAndValidation<Dataset>> {
  const all = await datasets.csv(file, options);
  if (validation === undefined) {
    const [train, held] = datasets.split(all, 1 - holdOut, { seed });
    return { train, validation: held };
  }
  // Columns that are classes say so themselves; otherwise both files have the first one's.
  const named = Array.isArray(options.labels) ? options : { ...options, classes: [...all.classes] };
  return { train: all, validation: await datasets.csv(validation, named) };
}

/** MNIST's own names, gzipped or not. */
async function openIdx(folder: string, part: 'train' | 'test'): Promise<Dataset> {
  const files = await namesIn(folder);
  const find = (kind: string): string => {
    const prefix = part === 'train' ? 'train' : 't10k';
    const found = files.find((name) => new RegExp(`^${prefix}-${kind}[-.]idx[13]-ubyte(\\.gz)?$`).test(name));
    if (found === undefined)
      throw new DenseNetError('ERR_FILE', `${folder} has no file ${prefix}-${kind}-idx…-ubyte, gzipped or not.`);
    return path.join(folder, found);
  };
  return datasets.idx(find('images'), find('labels'));
}

function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: unknown) => {
    throw cannotRead(folder, error);
  });
}

/** What lies at a place, by its names. */
async function detect(place: string): Promise<NonNullable<DataOptions['type']>> {
  const status = await stat(place).catch(() => undefined);
  if (status?.isFile() && place.toLowerCase().endsWith('.csv')) return 'csv';
  if (!status?.isDirectory())
    throw new DenseNetError(
      'ERR_FILE',
      `${place} cannot be read: data are "digits", a folder, or a CSV file.${didYouMean(place, ['digits'])}`,
    );
  const names = await namesIn(place);
  if (names.includes('data_batch_1.bin') || names.includes('cifar-10-batches-bin')) return 'cifar10';
  if (names.includes('train.bin') || names.includes('cifar-100-binary')) return 'cifar100';
  return names.some((name) => /-idx3-ubyte(\.gz)?$/.test(name)) ? 'idx' : 'folder';
}

/** Transforms by short names, for `--augment`. */
const shortNames: Record<string, (value: number | undefined) => Transform> = {
  crop: (padding) => transforms.randomCrop(padding === undefined ? {} : { padding }),
  resizedcrop: (least) => transforms.randomResizedCrop(least === undefined ? {} : { scale: [least, 1] }),
  flip: (probability) => transforms.randomHorizontalFlip(probability === undefined ? {} : { probability }),
  vflip: (probability) => transforms.randomVerticalFlip(probability === undefined ? {} : { probability }),
  rotate: (degrees) => transforms.randomRotation(degrees === undefined ? {} : { degrees }),
  jitter: (share = 0.4) => transforms.colorJitter({ brightness: share, contrast: share, saturation: share }),
  erase: (probability) => transforms.randomErasing(probability === undefined ? {} : { probability }),
  randaugment: (magnitude) => transforms.randAugment(magnitude === undefined ? {} : { magnitude }),
  trivialaugment: () => transforms.trivialAugment(),
};

export const augmentHelp = `transforms in order, such as crop:4,flip (${Object.keys(shortNames).join(', ')}; none)`;

/** Transforms from short names and objects: a list with commas, as `--augment` has it, or the configuration file's. */
export function toTransforms(given: string | readonly unknown[]): Transform[] {
  const list = typeof given === 'string' ? given.split(',').map((name) => name.trim()) : given;
  const made = list.flatMap((item): unknown[] => {
    if (typeof item !== 'string') return [item];
    const [name = '', value] = item.split(':');
    if (name === 'none') return [];
    const make = shortNames[name];
    const number = value === undefined ? undefined : Number(value);
    if (make === undefined || Number.isNaN(number))
      throw new DenseNetError(
        'ERR_INVALID_ARGUMENT',
        `augment has no ${JSON.stringify(item)}; there are ${Object.keys(shortNames).join(', ')}, each with a number after a colon.${didYouMean(name, Object.keys(shortNames))}`,
      );
    return [make(number)];
  });
  return checkTransforms('augment', made);
}
