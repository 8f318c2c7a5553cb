import { checkInteger, checkOneOf, checkOptions, checkPath, checkSignal, invalidArgument } from '../validate';
import type { CacheOption } from './picture-cache';
import { MOST_PIXELS, type PictureForm } from './picture';

/** Options of every data set that is made of encoded pictures. */
export interface PictureSetOptions {
  /** [height, width] of the images, each from 1 to 65,535, default [224, 224]. */
  imageSize?: [number, number];
  /** The length of the shorter side before the middle is cut out; default 256 for 224×224, otherwise the whole picture is stretched. */
  resizeSize?: number | null;
  /** How pictures are resized, always antialiased; default `bilinear`. */
  interpolation?: 'bilinear' | 'bicubic';
  /** 1 for grey, 3 for RGB, default 3. */
  channels?: 1 | 3;
  /** The most pixels (width × height) that a picture may claim, default 268,402,689 (sharp's own). */
  limitInputPixels?: number;
  /**
   * When pictures are decoded: all of them `now`, the default, into memory; or each when a run comes to it, some `ahead`
   * of the step that needs it, for pictures that do not fit into memory.
   */
  decode?: 'now' | 'ahead';
  /**
   * With `decode: 'ahead'`: where decoded pictures are kept for later epochs. `none`, the default; in `memory`, as far
   * as there is some; or in a `folder`, which later runs find too: height·width·channels bytes each.
   */
  cache?: CacheOption;
  /** What becomes of pictures that cannot be read: `refuse` the data set (the default), or `skip` and count them. */
  broken?: 'refuse' | 'skip';
  /** Told after each group of pictures. */
  onProgress?: (done: number, total: number) => void;
  /** Ends the reading; it rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** A form in which every picture has the same size. */
export type SizedForm = PictureForm & { size: [number, number] };

/** {@link PictureSetOptions}, checked and complete. */
export interface PictureSetPlan {
  form: SizedForm;
  decode: 'now' | 'ahead';
  cache: CacheOption;
  broken: 'refuse' | 'skip';
  /** Told of broken pictures in the place of an error, by whoever refuses them later. */
  onBroken?: (faults: readonly string[]) => void;
  onProgress: ((done: number, total: number) => void) | undefined;
  signal: AbortSignal | undefined;
}

export const pictureSetKeys = [
  'imageSize',
  'resizeSize',
  'interpolation',
  'channels',
  'limitInputPixels',
  'decode',
  'cache',
  'broken',
  'onProgress',
  'signal',
] as const satisfies (keyof PictureSetOptions)[];

export function checkPictureSet(given: PictureSetOptions): PictureSetPlan {
  const { imageSize = [224, 224], interpolation = 'bilinear', channels = 3, broken = 'refuse', onProgress } = given;
  if (!Array.isArray(imageSize) || imageSize.length !== 2)
    throw invalidArgument('imageSize', 'an array [height, width]', imageSize);
  imageSize.forEach((length, index) => checkInteger(`imageSize[${index}]`, length, 1, 65_535));
  const { resizeSize = imageSize.join() === '224,224' ? 256 : null, limitInputPixels = MOST_PIXELS } = given;
  if (resizeSize !== null) checkInteger('resizeSize', resizeSize, 1, 65_535);
  checkOneOf('interpolation', interpolation, ['bilinear', 'bicubic']);
  checkOneOf('broken', broken, ['refuse', 'skip']);
  checkInteger('channels', channels, 1, 3);
  if (channels !== 1 && channels !== 3) throw invalidArgument('channels', '1 or 3', channels);
  checkInteger('limitInputPixels', limitInputPixels, 1);
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw invalidArgument('onProgress', 'a function', onProgress);
  const size: [number, number] = [imageSize[0], imageSize[1]];
  const form = { channels, size, resizeSize, interpolation, limitInputPixels };
  const { decode = 'now', cache = 'none' } = given;
  checkOneOf('decode', decode, ['now', 'ahead']);
  checkCache(cache, decode);
  return { form, decode, cache, broken, onProgress, signal: checkSignal('signal', given.signal) };
}

function checkCache(cache: CacheOption, decode: 'now' | 'ahead'): void {
  if (typeof cache === 'string') checkOneOf('cache', cache, ['none', 'memory']);
  else checkPath('cache.folder', checkOptions('cache', cache, ['folder']).folder);
  if (cache !== 'none' && decode === 'now')
    throw invalidArgument('cache', "left out where decode is 'now', which keeps all pictures in memory", cache);
}

/** Checks a class list that a data set of files is asked for. */
export function checkWantedClasses(classes: unknown, of: string): string[] | undefined {
  if (classes === undefined) return undefined;
  const good = Array.isArray(classes) && classes.length > 0 && classes.every((name) => typeof name === 'string');
  if (!good) throw invalidArgument('classes', `an array of names ${of}, at least one`, classes);
  if (new Set(classes).size < classes.length)
    throw invalidArgument('classes', 'an array in which no name comes twice', classes);
  return [...classes];
}

/** `checkOptions` for options that extend {@link PictureSetOptions}. */
export function checkSetOptions<Options extends PictureSetOptions>(
  options: Options | undefined,
  own: readonly (keyof Options & string)[],
): Options {
  return checkOptions<Options>('options', options, [...(pictureSetKeys as (keyof Options & string)[]), ...own]);
}
