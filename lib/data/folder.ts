import { opendir, readdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DenseNetError, toDenseNetError } from '../errors';
import { checkInteger, checkOneOf, checkOptions, checkSignal, checkString, invalidArgument } from '../validate';
import type { ArrayDataset } from './dataset';
import { readPicture, type PictureForm } from './picture';

/** Options of {@link imageFolder}. */
export interface ImageFolderOptions {
  /** [height, width] of the images, default [224, 224]. */
  imageSize?: [number, number];
  /** The length of the shorter side before the middle is cut out; default 256 for 224×224, otherwise the whole picture is stretched. */
  resizeSize?: number | null;
  /** Default `bilinear`. */
  interpolation?: 'bilinear' | 'bicubic';
  /** 1 for grey, 3 for RGB, default 3. */
  channels?: 1 | 3;
  /** The classes in the order of their indices; default: the names of the folders, sorted. */
  classes?: string[];
  /** What becomes of pictures that cannot be read: `refuse` the folder (the default), or `skip` them. */
  broken?: 'refuse' | 'skip';
  /** Told after each picture. */
  onProgress?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

const extensions = new Set(['.png', '.jpg', '.jpeg', '.webp', '.tif', '.tiff', '.gif', '.avif']);

/** Pictures that are decoded at once; libvips has threads of its own. */
const AT_ONCE = 8;

/** Faults that a message lists; the rest is counted. */
const MOST_LISTED = 20;

/**
 * A data set from a folder that has one folder of pictures for each class, as torchvision's ImageFolder. All pictures
 * are decoded once, into memory: height·width·channels bytes each.
 *
 * @param folder Its folders are the classes; pictures may lie deeper inside. Other files are passed over.
 * @throws DenseNetError `ERR_FILE` when it cannot be read; `ERR_DATASET` with every fault that was found, all at once;
 *   `ERR_OUT_OF_MEMORY` when the images would not fit.
 */
export async function imageFolder(folder: string, options?: ImageFolderOptions): Promise<ArrayDataset> {
  checkString('folder', folder);
  const { form, broken, signal, onProgress, classes: wanted } = checkFolderOptions(options);
  const classes = wanted ?? (await folderNames(folder));
  const faults: string[] = [];
  const files: { file: string; label: number }[] = [];
  for (const [label, name] of classes.entries()) {
    const found = await pictureFiles(path.join(folder, name), faults);
    if (found === undefined) continue;
    if (found.length === 0) faults.push(`${path.join(folder, name)} holds no picture`);
    for (const file of found) files.push({ file, label });
  }
  if (classes.length === 0) faults.push(`${folder} holds no folders; each class needs one`);
  refuse(folder, faults);
  checkFits(folder, files.length, form);
  const kept = await decodeAll(files, form, { faults, signal, onProgress });
  if (broken === 'refuse') refuse(folder, faults);
  if (kept.size === 0) throw new DenseNetError('ERR_DATASET', `${folder} holds no picture that can be read.`);
  return { kind: 'array', ...kept, classes };
}

function checkFolderOptions(options: ImageFolderOptions | undefined) {
  const given = checkOptions('options', options, [
    'imageSize',
    'resizeSize',
    'interpolation',
    'channels',
    'classes',
    'broken',
    'onProgress',
    'signal',
  ]);
  const { imageSize = [224, 224], interpolation = 'bilinear', channels = 3, classes, broken = 'refuse' } = given;
  if (!Array.isArray(imageSize) || imageSize.length !== 2)
    throw invalidArgument('imageSize', 'an array [height, width]', imageSize);
  imageSize.forEach((length, index) => checkInteger(`imageSize[${index}]`, length, 1, 65_535));
  const { resizeSize = imageSize.join() === '224,224' ? 256 : null } = given;
  if (resizeSize !== null) checkInteger('resizeSize', resizeSize, 1, 65_535);
  checkOneOf('interpolation', interpolation, ['bilinear', 'bicubic']);
  checkOneOf('broken', broken, ['refuse', 'skip']);
  checkInteger('channels', channels, 1, 3);
  if (channels !== 1 && channels !== 3) throw invalidArgument('channels', '1 or 3', channels);
  if (classes !== undefined && (!Array.isArray(classes) || !classes.every((name) => typeof name === 'string')))
    throw invalidArgument('classes', 'an array of names of folders', classes);
  if (given.onProgress !== undefined && typeof given.onProgress !== 'function')
    throw invalidArgument('onProgress', 'a function', given.onProgress);
  const form = { channels, size: imageSize, resizeSize, interpolation } satisfies PictureForm;
  return { form, broken, classes, onProgress: given.onProgress, signal: checkSignal('signal', given.signal) };
}

async function folderNames(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    // Sorted by code units, as Python sorts, so that class indices agree with torchvision's.
    return entries
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort((a, b) => (a < b ? -1 : 1));
  } catch (error) {
    throw cannotRead(folder, error);
  }
}

/**
 * The pictures at any depth, sorted; nothing where the folder cannot be read, which is then among the faults. Links to
 * folders are not followed, so that a loop of them does no harm.
 */
async function pictureFiles(folder: string, faults: string[]): Promise<string[] | undefined> {
  const files: string[] = [];
  try {
    for await (const entry of await opendir(folder, { recursive: true }))
      if (!entry.isDirectory() && extensions.has(path.extname(entry.name).toLowerCase()))
        files.push(path.join(entry.parentPath, entry.name));
  } catch (error) {
    faults.push(cannotRead(folder, error).message);
    return undefined;
  }
  return files.sort((a, b) => (a < b ? -1 : 1));
}

function checkFits(folder: string, count: number, { channels, size }: { channels: number; size: [number, number] }) {
  const bytes = count * channels * size[0] * size[1];
  if (bytes <= os.freemem() * 0.9) return;
  throw new DenseNetError(
    'ERR_OUT_OF_MEMORY',
    `the ${count} pictures of ${folder} would take ${(bytes / 1e9).toFixed(1)} GB as images of ${size.join('×')}, and ` +
      `${(os.freemem() / 1e9).toFixed(1)} GB are free. Use a smaller imageSize or fewer pictures.`,
  );
}

interface Decoding {
  faults: string[];
  signal: AbortSignal | undefined;
  onProgress: ((done: number, total: number) => void) | undefined;
}

/** Decodes the files in order; those that cannot be read are named in `faults` and left out. */
async function decodeAll(
  files: { file: string; label: number }[],
  form: PictureForm & { size: [number, number] },
  { faults, signal, onProgress }: Decoding,
): Promise<Omit<ArrayDataset, 'kind' | 'classes'>> {
  const length = form.channels * form.size[0] * form.size[1];
  const pixels = new Uint8Array(files.length * length);
  const labels = new Int32Array(files.length);
  let size = 0;
  for (let start = 0; start < files.length; start += AT_ONCE) {
    signal?.throwIfAborted();
    const group = files.slice(start, start + AT_ONCE);
    const pictures = await Promise.all(
      group.map(({ file }) => readPicture(file, form).catch((error: unknown) => toDenseNetError(error))),
    );
    for (const [index, picture] of pictures.entries()) {
      if (picture instanceof DenseNetError) {
        faults.push(picture.message);
      } else {
        pixels.set(picture.data as Uint8Array, size * length);
        labels[size] = (group[index] as { label: number }).label;
        size += 1;
      }
    }
    onProgress?.(Math.min(start + AT_ONCE, files.length), files.length);
  }
  return {
    size,
    images: { data: pixels.subarray(0, size * length), shape: [size, form.channels, ...form.size] },
    labels: labels.subarray(0, size),
  };
}

function refuse(folder: string, faults: string[]): void {
  if (faults.length === 0) return;
  const more = faults.length > MOST_LISTED ? [`… and ${faults.length - MOST_LISTED} more`] : [];
  throw new DenseNetError(
    'ERR_DATASET',
    [
      `${folder} has ${faults.length} fault${faults.length > 1 ? 's' : ''}:`,
      ...[...faults.slice(0, MOST_LISTED), ...more].map((fault) => `  ${fault}`),
      "Mend them, or pass broken: 'skip' to leave out pictures that cannot be read.",
    ].join('\n'),
  );
}

function cannotRead(place: string, error: unknown): DenseNetError {
  const reason = error instanceof Error ? error.message : String(error);
  return new DenseNetError('ERR_FILE', `${place} cannot be read: ${reason}`, { cause: error });
}
