import sharp from 'sharp';
import { createBatcher, type Batcher, type BatcherOptions, type DenseNet, type TensorData } from '../../lib';
import { tinyImages } from '../tiny';

/** A minute to those who wait, so that what a test sees did not come about by waiting. */
export const LONG = { maxWait: 60_000 };

/** One image of `tinyImages`, 1×1×8×8. */
export function image(index: number): TensorData {
  const { data } = tinyImages(index + 1);
  return { data: data.slice(index * 64), shape: [1, 1, 8, 8] };
}

/** A grey picture of side×side pixels, no two of them alike. */
export function png(number: number, side = 12): Promise<Buffer> {
  const stripes = Uint8Array.from({ length: 251 }, (_, place) => (place * 7 + number * 31) % 256);
  const pixels = Buffer.alloc(side * side, stripes);
  return sharp(pixels, { raw: { width: side, height: side, channels: 1 } })
    .png({ compressionLevel: 1 })
    .toBuffer();
}

/** Resolves when so many images are being computed. */
export async function running(batcher: Batcher, count: number): Promise<void> {
  while (batcher.statistics.running !== count) await new Promise((resolve) => setImmediate(resolve));
}

/** Makes batchers of whatever model there is, and closes them after each test. */
export function batcherMaker(model: () => DenseNet): (options?: BatcherOptions) => Batcher {
  const made: Batcher[] = [];
  afterEach(async () => {
    await Promise.all(made.splice(0).map((batcher) => batcher.close()));
  });
  return (options) => {
    const batcher = createBatcher(model(), options);
    made.push(batcher);
    return batcher;
  };
}
