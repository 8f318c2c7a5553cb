import os from 'node:os';
import { DenseNetError, isDenseNetError, toDenseNetError } from '../errors';
import type { ArrayDataset } from './dataset';
import { refuseFaults } from './faults';
import { inspectPicture, readPicture } from './picture';
import type { PictureSetPlan } from './picture-options';

/** Pictures that are decoded at once; libvips has threads of its own. */
const AT_ONCE = 8;

/** Labelled pictures that are not decoded yet. */
export interface PictureList {
  /** The folder or file that they are listed in, for messages. */
  place: string;
  files: string[];
  /** One an image, or classes.length an image; see `LabelledImages.labels`. */
  labels: Int32Array | Float32Array;
  classes: readonly string[];
  /** What is wrong with the list itself. */
  faults: string[];
  /** What is wrong with single pictures, which `broken: 'skip'` leaves out. */
  broken: string[];
}

export const SKIP_ADVICE = "Mend them, or pass broken: 'skip' to leave out pictures that cannot be read.";

/** Some of a list, in the order of the indices. */
export function chooseFrom(list: PictureList, indices: readonly number[]): PictureList {
  return {
    ...list,
    files: indices.map((index) => list.files[index] as string),
    labels: chooseLabels(list.labels, list.files.length, indices),
  };
}

/** The labels of some images; where an image has several, its whole row. */
export function chooseLabels<Labels extends Int32Array | Float32Array>(
  labels: Labels,
  size: number,
  indices: readonly number[],
): Labels {
  const width = labels.length / size;
  const Kind = labels.constructor as new (length: number) => Labels;
  const chosen = new Kind(indices.length * width);
  for (const [place, index] of indices.entries())
    chosen.set(labels.subarray(index * width, (index + 1) * width), place * width);
  return chosen;
}

/**
 * Throws where something is wrong with the list itself, and then tells what is wrong with the pictures too, as far as
 * their headers show it: all that has to be mended, at once.
 */
export async function refuseFaultyList(list: PictureList, { form, signal }: PictureSetPlan): Promise<void> {
  if (list.faults.length === 0) return;
  const found = await inspectAll(list.files, form.limitInputPixels, signal);
  const broken = [...list.broken, ...found.values()];
  refuseFaults(list.place, [...list.faults, ...broken], 'Mend them, or leave out what they name.');
}

/** What the headers of pictures show to be wrong, by the places of the files in the list. */
export async function inspectAll(
  files: readonly string[],
  limit: number | undefined,
  signal: AbortSignal | undefined,
  onProgress?: (done: number, total: number) => void,
): Promise<Map<number, string>> {
  const faults = new Map<number, string>();
  for (let start = 0; start < files.length; start += AT_ONCE) {
    signal?.throwIfAborted();
    const group = files.slice(start, start + AT_ONCE);
    const found = await Promise.all(group.map((file) => inspectPicture(file, limit).catch(pictureFault)));
    for (const [index, fault] of found.entries()) if (fault !== undefined) faults.set(start + index, fault.message);
    onProgress?.(Math.min(start + AT_ONCE, files.length), files.length);
  }
  return faults;
}

/** What is wrong with a picture. What is wrong with anything else, such as the memory, is thrown. */
export function pictureFault(error: unknown): DenseNetError {
  if (isDenseNetError(error) && ['ERR_FILE', 'ERR_FILE_FORMAT', 'ERR_IMAGE_TOO_LARGE'].includes(error.code))
    return error;
  throw toDenseNetError(error);
}

/** Where broken pictures are refused: throws with all of them, or passes them on while some are `kept`. */
export function refuseBroken(
  { place }: PictureList,
  plan: PictureSetPlan,
  faults: readonly string[],
  kept: number,
): void {
  if (plan.broken === 'skip') return;
  if (plan.onBroken === undefined || kept === 0) refuseFaults(place, faults, SKIP_ADVICE);
  else plan.onBroken(faults);
}

/** Decodes the pictures of a list in order, into memory. */
export async function decodeList(list: PictureList, plan: PictureSetPlan): Promise<ArrayDataset> {
  await refuseFaultyList(list, plan);
  const { form, broken, signal, onProgress } = plan;
  const faults = [...list.broken];
  checkFits(list, plan);
  const length = form.channels * form.size[0] * form.size[1];
  const pixels = new Uint8Array(list.files.length * length);
  const kept: number[] = [];
  for (let start = 0; start < list.files.length; start += AT_ONCE) {
    signal?.throwIfAborted();
    const group = list.files.slice(start, start + AT_ONCE);
    const pictures = await Promise.all(group.map((file) => readPicture(file, form).catch(pictureFault)));
    for (const [index, picture] of pictures.entries()) {
      if (isDenseNetError(picture)) {
        faults.push(picture.message);
      } else {
        pixels.set(picture.data as Uint8Array, kept.length * length);
        kept.push(start + index);
      }
    }
    onProgress?.(Math.min(start + AT_ONCE, list.files.length), list.files.length);
  }
  refuseBroken(list, plan, faults, kept.length);
  if (kept.length === 0) throw new DenseNetError('ERR_DATASET', `${list.place} holds no picture that can be read.`);
  const size = kept.length;
  return {
    kind: 'array',
    size,
    images: { data: pixels.subarray(0, size * length), shape: [size, form.channels, ...form.size] },
    labels: chooseLabels(list.labels, list.files.length, kept),
    classes: list.classes,
    files: kept.map((index) => list.files[index] as string),
    ...(broken === 'skip' ? { skipped: faults } : {}),
  };
}

function checkFits({ place, files }: PictureList, { form: { channels, size } }: PictureSetPlan): void {
  const bytes = files.length * channels * size[0] * size[1];
  if (bytes <= os.freemem() * 0.9) return;
  throw new DenseNetError(
    'ERR_OUT_OF_MEMORY',
    `the ${files.length} pictures of ${place} would take ${(bytes / 1e9).toFixed(1)} GB as images of ${size.join('×')}, and ` +
      `${(os.freemem() / 1e9).toFixed(1)} GB are free. Use a smaller imageSize or fewer pictures.`,
  );
}
