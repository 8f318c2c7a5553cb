import { access } from 'node:fs/promises';
import { DenseNetError } from '../errors';
import type { TensorData } from '../tensor';

/** The largest picture that is decoded, pixels; what a file claims beyond it is taken for an attack or a mistake. */
const MOST_PIXELS = 268_402_689;

/** How {@link readPicture} brings a picture into the form that a model takes. */
export interface PictureOptions {
  /** 1 for grey, 3 for RGB. */
  channels: number;
  /** [height, width] that the picture is resized to; `null` keeps its own. */
  size: readonly [number, number] | null;
}

/**
 * Decodes a picture file to raw pixels, 1×C×H×W, in libvips' threads. It is turned the way its EXIF data say;
 * transparency becomes white.
 *
 * @throws DenseNetError `ERR_FILE` when it cannot be read, `ERR_FILE_FORMAT` when it is no picture, or too large.
 */
export async function readPicture(path: string, { channels, size }: PictureOptions): Promise<TensorData> {
  if (channels !== 1 && channels !== 3)
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `a picture can be read for a model of 1 or 3 channels, and this one takes ${channels}. Pass its channels as arrays.`,
    );
  await access(path).catch((error: unknown) => {
    throw new DenseNetError(
      'ERR_FILE',
      `${path} cannot be read: ${String(error instanceof Error ? error.message : error)}`,
      { cause: error },
    );
  });
  // Loaded only when a picture is read: those who pass arrays need no decoder.
  const { default: sharp } = await import('sharp');
  try {
    let picture = sharp(path, { limitInputPixels: MOST_PIXELS }).autoOrient().flatten({ background: 'white' });
    if (size !== null) picture = picture.resize(size[1], size[0], { fit: 'fill', kernel: 'linear' });
    picture = picture.toColourspace(channels === 1 ? 'b-w' : 'srgb');
    const { data, info } = await picture.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    if (info.channels !== channels)
      throw new Error(`it has ${info.channels} channels, which cannot be brought to ${channels}`);
    return { data: toPlanes(data, channels), shape: [1, channels, info.height, info.width] };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DenseNetError(
      'ERR_FILE_FORMAT',
      `${path} cannot be read as a picture: ${reason}. Pictures may be PNG, JPEG, WebP, TIFF, GIF or AVIF, of at most ${MOST_PIXELS} pixels.`,
      { cause: error },
    );
  }
}

/** From pixel by pixel, as pictures have it, to channel by channel, as tensors have it. */
function toPlanes(pixels: Uint8Array, channels: number): Uint8Array {
  if (channels === 1) return new Uint8Array(pixels);
  const area = pixels.length / channels;
  const planes = new Uint8Array(pixels.length);
  for (let channel = 0; channel < channels; channel += 1)
    for (let place = 0; place < area; place += 1)
      planes[channel * area + place] = pixels[place * channels + channel] as number;
  return planes;
}
