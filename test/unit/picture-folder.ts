import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import type { ArrayDataset } from '../../lib';
import { temporaryFolder } from './support';

/** The form of the pictures that the tests of folders read. */
export const small = { imageSize: [4, 4] as [number, number], channels: 1 as const };

/** A folder of its own for a test file, and ways to put something into it. */
export function pictureFolder() {
  const inFolder = temporaryFolder();
  const place = async (name: string): Promise<string> => {
    await mkdir(path.dirname(inFolder(name)), { recursive: true });
    return inFolder(name);
  };
  return {
    inFolder,
    /** Writes a picture of one colour; folders on the way are made. */
    paint: async (name: string, colour: number | [number, number, number], width = 4, height = 4): Promise<void> => {
      const [r, g, b] = typeof colour === 'number' ? [colour, colour, colour] : colour;
      await sharp({ create: { width, height, channels: 3, background: { r, g, b } } }).toFile(await place(name));
    },
    write: async (name: string, text: string): Promise<void> => writeFile(await place(name), text),
  };
}

/** The first pixel of each image, which tells pictures of one colour apart. */
export function firstPixels({ size, images }: ArrayDataset): number[] {
  const { data } = images;
  return Array.from({ length: size }, (_, image) => Number(data[(image * data.length) / size]));
}
