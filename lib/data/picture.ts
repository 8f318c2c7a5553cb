import { types } from 'node:util';
import { DenseNetError, isDenseNetError, reasonOf, toDenseNetError } from '../errors';
import { loadNative } from '../runtime/load';
import type { TensorData } from '../tensor';
import { regularLength } from './read-file';

/** The largest picture that is decoded, pixels; what a file claims beyond it is taken for an attack or a mistake. */
export const MOST_PIXELS = 268_402_689;

/** An encoded picture: the path of a file, or its bytes. PNG, JPEG, WebP, TIFF, GIF or AVIF. */
export type PictureSource = string | Uint8Array;

/** What is decoded, by sharp's names: pixels, never drawings or documents, whose renderers are larger targets. */
const formats: ReadonlySet<string> = new Set(['png', 'jpeg', 'webp', 'tiff', 'gif', 'heif', 'avif']);

/** How {@link readPicture} brings a picture into the form that a model takes. */
export interface PictureForm {
  /** 1 for grey, 3 for RGB. */
  channels: number;
  /** [height, width] of the result; `null` keeps the picture's own. */
  size: readonly [number, number] | null;
  /** The length that the shorter side gets before the middle is cut out; default: stretched straight to `size`. */
  resizeSize?: number | null;
  /** Default `bilinear`. */
  interpolation?: 'bilinear' | 'bicubic';
  /** Width × height that a picture may claim at most, default 268,402,689. */
  limitInputPixels?: number;
}

/** Whether a value can be read as a picture. */
export function isPictureSource(value: unknown): value is PictureSource {
  return typeof value === 'string' || types.isUint8Array(value);
}

/**
 * Decodes a picture to raw pixels, 1×C×H×W: libvips decodes it, in threads of its own, and PyTorch's antialiased resize
 * brings it to size. It is turned the way its EXIF data say; transparency becomes white.
 *
 * @throws DenseNetError `ERR_FILE` when it cannot be read, `ERR_FILE_FORMAT` when it is no picture, or too large.
 */
export async function readPicture(source: PictureSource, form: PictureForm): Promise<TensorData> {
  const { channels, size, resizeSize = null, interpolation = 'bilinear', limitInputPixels = MOST_PIXELS } = form;
  if (channels !== 1 && channels !== 3)
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `a picture can be read for a model of 1 or 3 channels, and this one takes ${channels}. Pass its channels as arrays.`,
    );
  if (typeof source === 'string') await regularLength(source);
  const pixels = await decode(source, channels, limitInputPixels);
  const [height, width] = size ?? [0, 0];
  const native = await loadNative();
  try {
    const { data, shape } = await native.preparePicture(pixels, {
      height,
      width,
      resizeSize: resizeSize ?? 0,
      interpolation,
    });
    return { data, shape: [1, ...shape] };
  } catch (error) {
    throw toDenseNetError(error);
  }
}

/** How messages name a picture. */
export function pictureName(source: PictureSource): string {
  return typeof source === 'string' ? source : `a picture of ${source.byteLength} bytes`;
}

/**
 * Reads a picture's header alone: whether it is one, of a format that is read, and not too large.
 *
 * @throws DenseNetError As {@link readPicture}.
 */
export async function inspectPicture(source: PictureSource, limit = MOST_PIXELS): Promise<void> {
  if (typeof source === 'string') await regularLength(source);
  await asPicture(source, limit, (sharp) => checkHeader(sharp, source, limit));
}

/** The pixels as they are stored, height×width×channels. */
function decode(source: PictureSource, channels: number, limit: number): Promise<TensorData> {
  return asPicture(source, limit, async (sharp) => {
    await checkHeader(sharp, source, limit);
    const { data, info } = await sharp(source, { limitInputPixels: limit })
      .autoOrient()
      .flatten({ background: 'white' })
      .toColourspace(channels === 1 ? 'b-w' : 'srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== channels)
      throw new Error(`it has ${info.channels} channels, which cannot be brought to ${channels}`);
    return { data, shape: [info.height, info.width, channels] };
  });
}

type Sharp = typeof import('sharp');

/** Runs what reads a picture; whatever else it throws becomes the one error for what is none. */
async function asPicture<Result>(
  source: PictureSource,
  limit: number,
  read: (sharp: Sharp) => Promise<Result>,
): Promise<Result> {
  // Loaded only when a picture is read: those who pass arrays need no decoder.
  const { default: sharp } = await import('sharp');
  try {
    return await read(sharp);
  } catch (error) {
    if (isDenseNetError(error)) throw error;
    const reason = reasonOf(error);
    throw new DenseNetError(
      'ERR_FILE_FORMAT',
      `${pictureName(source)} cannot be read as a picture: ${reason}. Pictures may be PNG, JPEG, WebP, TIFF, GIF or AVIF, of at most ${limit} pixels.`,
      { cause: error },
    );
  }
}

/** What a picture claims is known before a pixel is decoded. */
async function checkHeader(sharp: Sharp, source: PictureSource, limit: number): Promise<void> {
  // Without a limit, so that the message can say how large the picture claims to be.
  const { format, width, height } = await sharp(source, { limitInputPixels: false }).metadata();
  if (!formats.has(format)) throw new Error(`it is ${format}`);
  if (width * height <= limit) return;
  const millions = (pixels: number): string => `${(pixels / 1e6).toFixed(pixels < 1e7 ? 1 : 0)} MP`;
  throw new DenseNetError(
    'ERR_IMAGE_TOO_LARGE',
    `${pictureName(source)} is ${width}×${height} (${millions(width * height)}); the limit is ${millions(limit)}. ` +
      'Remove or shrink the picture; for data sets, limitInputPixels sets the limit.',
  );
}
