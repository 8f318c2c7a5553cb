import type { Sharp } from 'sharp';
import type { HeatMap } from '../model/grad-cam';
import type { TensorData } from '../tensor';

/** The shortest side that a picture is shown with, pixels. */
const SHOWN = 96;

interface Raw {
  data: Uint8Array;
  width: number;
  height: number;
}

/** The images of a batch of raw pixels as PNG, `data:` addresses. */
export async function toPngs({ data, shape }: TensorData): Promise<string[]> {
  const [count, channels, height, width] = shape as [number, number, number, number];
  const plane = height * width;
  return Promise.all(
    Array.from({ length: count }, async (_, image) => {
      const planes = Array.from({ length: channels === 3 ? 3 : 1 }, (__, channel) => {
        const start = (image * channels + channel) * plane;
        return data.subarray(start, start + plane) as Uint8Array;
      });
      const [first, ...others] = planes as [Uint8Array, ...Uint8Array[]];
      const rest = others.map((one) => Buffer.from(one.buffer, one.byteOffset, one.byteLength));
      const base = await rawImage({ data: first, width, height });
      const raw = { width, height, channels: 1 as const };
      const joined = rest.length === 0 ? base : base.joinChannel(rest, { raw }).toColourspace('srgb');
      return toAddress(joined, width, height);
    }),
  );
}

/** A heat map of bytes as a red veil, the denser the hotter. */
export async function toVeil({ map: { data, shape } }: HeatMap): Promise<string> {
  const [height, width] = shape as [number, number];
  const { default: sharp } = await import('sharp');
  const red = sharp({ create: { width, height, channels: 3, background: '#e11d48' } });
  const density = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return toAddress(red.joinChannel(density, { raw: { width, height, channels: 1 } }), width, height);
}

async function rawImage({ data, width, height }: Raw): Promise<Sharp> {
  const { default: sharp } = await import('sharp');
  return sharp(data, { raw: { width, height, channels: 1 } });
}

/** Small pictures are enlarged pixel by pixel, so that a person sees them as the network does. */
async function toAddress(picture: Sharp, width: number, height: number): Promise<string> {
  const factor = Math.max(1, Math.ceil(SHOWN / Math.min(width, height)));
  const png = await picture.png().toBuffer();
  const { default: sharp } = await import('sharp');
  const shown = await sharp(png)
    .resize(width * factor, height * factor, { kernel: 'nearest' })
    .png({ palette: false })
    .toBuffer();
  return `data:image/png;base64,${shown.toString('base64')}`;
}
