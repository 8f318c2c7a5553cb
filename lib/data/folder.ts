import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { cannotRead } from '../errors';
import { checkInteger, checkNumber, checkString, invalidArgument } from '../validate';
import type { ArrayDataset, Dataset, StreamedDataset } from './dataset';
import {
  checkPictureSet,
  checkSetOptions,
  checkWantedClasses,
  type PictureSetOptions,
  type PictureSetPlan,
} from './picture-options';
import { chooseFrom, refuseFaultyList, type PictureList } from './picture-list';
import { readList, readParts } from './read-list';
import { partition } from './split';

/** Options of {@link imageFolder}. */
export interface ImageFolderOptions extends PictureSetOptions {
  /**
   * The classes in the order of their indices, each the name of a folder right below: no `/`, `\` or zero byte in it,
   * and not `.` or `..`. Default: the names of the folders, sorted.
   */
  classes?: string[];
}

/** Options of {@link imageFolders}. */
export interface ImageFoldersOptions extends ImageFolderOptions {
  /** Without a folder of their own: the share of each class that is kept for validation, above 0 and below 1, default 0.2. */
  holdOut?: number;
  /** Decides which those are, from 0 to 2^32 − 1, default 0. */
  seed?: number;
}

/** The data to learn from, and those to test on. */
export interface TrainAndValidation<Set> {
  /** To learn from. */
  train: Set;
  /** To test on. */
  validation: Set;
}

const extensions = new Set(['.png', '.jpg', '.jpeg', '.webp', '.tif', '.tiff', '.gif', '.avif']);

/** Pictures by their endings that are not read: somebody would miss them if they were passed over in silence. */
const unread = new Set([
  '.bmp',
  '.ppm',
  '.pgm',
  '.pbm',
  '.pnm',
  '.heic',
  '.heif',
  '.jp2',
  '.jxl',
  '.svg',
  '.ico',
  '.dcm',
]);

/** Names of the folder beside `train` that holds what is tested on. */
export const validationNames = ['val', 'valid', 'validation', 'test'];

/**
 * A data set from a folder that has one folder of pictures for each class, as torchvision's ImageFolder. Pictures are
 * decoded once, into memory, height·width·channels bytes each; or, with `decode: 'ahead'`, while a run goes on.
 *
 * @param folder Its folders are the classes; pictures may lie deeper inside, and links are followed. Other files are
 *   passed over, but for pictures of a kind that is not read, which are faults.
 * @throws DenseNetError `ERR_FILE` when it cannot be read; `ERR_DATASET` with every fault that was found, all at once;
 *   `ERR_OUT_OF_MEMORY` when the images would not fit.
 */
export async function imageFolder(
  folder: string,
  options: ImageFolderOptions & { decode: 'ahead' },
): Promise<StreamedDataset>;
export async function imageFolder(
  folder: string,
  options?: ImageFolderOptions & { decode?: 'now' },
): Promise<ArrayDataset>;
export async function imageFolder(folder: string, options?: ImageFolderOptions): Promise<Dataset>;
export async function imageFolder(folder: string, options?: ImageFolderOptions): Promise<Dataset> {
  checkString('folder', folder);
  const given = checkSetOptions(options, ['classes']);
  const plan = checkPictureSet(given);
  return readList(await listFolder(folder, checkFolderNames(given.classes)), plan);
}

/**
 * Two data sets from one folder: from its folders `train` and `val` (or `valid`, `validation`, `test`), each with a
 * folder for each class; or, where it has no such folders, from a fixed split of its classes by a seed.
 *
 * @throws DenseNetError As {@link imageFolder}.
 */
export async function imageFolders(
  folder: string,
  options: ImageFoldersOptions & { decode: 'ahead' },
): Promise<TrainAndValidation<StreamedDataset>>;
export async function imageFolders(
  folder: string,
  options?: ImageFoldersOptions & { decode?: 'now' },
): Promise<TrainAndValidation<ArrayDataset>>;
export async function imageFolders(folder: string, options?: ImageFoldersOptions): Promise<TrainAndValidation<Dataset>>;
export async function imageFolders(
  folder: string,
  options?: ImageFoldersOptions,
): Promise<TrainAndValidation<Dataset>> {
  checkString('folder', folder);
  const given = checkSetOptions(options, ['classes', 'holdOut', 'seed']);
  const plan = checkPictureSet(given);
  const { holdOut = 0.2, seed = 0 } = given;
  checkNumber('holdOut', holdOut, 0, 1, true);
  checkInteger('seed', seed, 0, 0xffffffff);
  const { train, validation } = await listParts(folder, checkFolderNames(given.classes), {
    holdOut,
    seed,
    plan,
  });
  const [first, second] = await readParts(folder, [train, validation], plan);
  return { train: first, validation: second };
}

async function listParts(
  folder: string,
  wanted: string[] | undefined,
  { holdOut, seed, plan }: { holdOut: number; seed: number; plan: PictureSetPlan },
): Promise<TrainAndValidation<PictureList>> {
  const folders = await folderNames(folder);
  const held = validationNames.find((name) => folders.includes(name));
  if (folders.includes('train') && held !== undefined) {
    const train = await listFolder(path.join(folder, 'train'), wanted);
    return { train, validation: await listFolder(path.join(folder, held), [...train.classes]) };
  }
  // A folder "train" on its own holds the classes, and is not the only one.
  const list = await listFolder(folders.join() === 'train' ? path.join(folder, 'train') : folder, wanted);
  // What is wrong with the list is told before it is split.
  await refuseFaultyList(list, plan);
  const [first, second] = partition(list.labels, list.files.length, list.classes.length, 1 - holdOut, seed);
  return { train: chooseFrom(list, first), validation: { ...chooseFrom(list, second), broken: [] } };
}

/** A class is the name of a folder. One that is a path would lead out of the folder that was given. */
function checkFolderNames(classes: unknown): string[] | undefined {
  const names = checkWantedClasses(classes, 'of folders');
  const wrong = names?.find((name) => ['', '.', '..'].includes(name) || /[/\\\0]/.test(name));
  if (wrong === undefined) return names;
  throw invalidArgument('classes', 'an array of names of folders, none of them a path', wrong);
}

/** Finds the pictures of a folder of classes; everything that is wrong with the folder is told at once. */
async function listFolder(folder: string, wanted: string[] | undefined): Promise<PictureList> {
  const classes = wanted ?? (await folderNames(folder));
  const [faults, broken]: [string[], string[]] = [[], []];
  const files: string[] = [];
  const labels: number[] = [];
  for (const [label, name] of classes.entries()) {
    const place = path.join(folder, name);
    const found: FoundPictures = { files: [], faults, unread: broken };
    const readable = await findPictures(place, [], found);
    if (readable && found.files.length === 0) faults.push(`${place} holds no picture`);
    for (const file of found.files.sort(byCodeUnits)) {
      files.push(file);
      labels.push(label);
    }
  }
  if (classes.length === 0) faults.push(`${folder} holds no folders; each class needs one`);
  return { place: folder, files, labels: Int32Array.from(labels), classes, faults, broken };
}

/** Sorted by code units, as Python sorts, so that class indices agree with torchvision's. */
const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : 1);

async function folderNames(folder: string): Promise<string[]> {
  try {
    const names: string[] = [];
    for (const entry of await readdir(folder, { withFileTypes: true }))
      if (entry.isDirectory() || (entry.isSymbolicLink() && (await isFolder(path.join(folder, entry.name)))))
        names.push(entry.name);
    return names.sort(byCodeUnits);
  } catch (error) {
    throw cannotRead(folder, error);
  }
}

async function isFolder(place: string): Promise<boolean> {
  return (await stat(place).catch(() => undefined))?.isDirectory() ?? false;
}

interface FoundPictures {
  files: string[];
  /** Of folders. */
  faults: string[];
  /** Pictures of a kind that is not read. */
  unread: string[];
}

/** A folder that is being looked through: as it was come to, and where that leads. */
interface Opened {
  place: string;
  real: string;
}

/** Pictures at any depth. Returns whether the folder itself could be read; what could not is among the faults. */
async function findPictures(folder: string, above: readonly Opened[], found: FoundPictures): Promise<boolean> {
  try {
    const opened = { place: folder, real: await realpath(folder) };
    const same = above.find(({ real }) => real === opened.real);
    if (same !== undefined) {
      found.faults.push(`${folder} leads back to ${same.place}, which holds it: a loop of links`);
      return false;
    }
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const place = path.join(folder, entry.name);
      const ending = path.extname(entry.name).toLowerCase();
      if (entry.isDirectory() || (entry.isSymbolicLink() && (await isFolder(place))))
        await findPictures(place, [...above, opened], found);
      else if (extensions.has(ending)) found.files.push(place);
      else if (unread.has(ending))
        found.unread.push(`${place} is a ${ending} file, which is not read; convert it to PNG`);
    }
    return true;
  } catch (error) {
    found.faults.push(cannotRead(folder, error).message);
    return false;
  }
}
