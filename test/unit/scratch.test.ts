import os from 'node:os';
import { execFileSync } from 'node:child_process';
import { constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import sharp from 'sharp';
import { readPicture } from '../../lib/data/picture';
import { readSafetensors } from '../../lib/weights/safetensors';

const attempt = async (name: string, call: () => unknown) => {
  try {
    const v = await call();
    console.log(
      name,
      'OK',
      JSON.stringify(v, (_, x) => (ArrayBuffer.isView(x) ? Array.from(x as Uint8Array).slice(0, 12) : x))?.slice(
        0,
        600,
      ),
    );
  } catch (e) {
    const x = e as Error & { code?: string };
    console.log(name, 'FAIL', x?.constructor?.name, x?.name, x?.code, String(x?.message).slice(0, 600));
  }
};
test('probe', async () => {
  const dir = mkdtempSync(os.tmpdir() + '/dn-');
  const three = { channels: 3, size: null } as const,
    one = { channels: 1, size: null } as const;
  const svg = dir + '/a.png';
  writeFileSync(
    svg,
    '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><rect width="4" height="4" fill="red"/></svg>',
  );
  await attempt('svg', () => readPicture(svg, three));
  await attempt('dir', () => readPicture(dir, three));
  await attempt('missing', () => readPicture(dir + '/x', three));
  writeFileSync(dir + '/t.png', 'hello there');
  await attempt('text', () => readPicture(dir + '/t.png', three));
  writeFileSync(dir + '/z.png', '');
  await attempt('zero', () => readPicture(dir + '/z.png', three));
  const raw = (px: number[], channels: 1 | 2 | 3 | 4, w: number, h: number) =>
    sharp(Uint8Array.from(px), { raw: { width: w, height: h, channels } });
  await raw([10, 200], 1, 2, 1)
    .png()
    .toFile(dir + '/g.png');
  await attempt('grey3', () => readPicture(dir + '/g.png', three));
  await attempt('grey1', () => readPicture(dir + '/g.png', one));
  await raw([255, 0, 0, 0, 255, 0], 3, 2, 1)
    .png()
    .toFile(dir + '/c.png');
  await attempt('rgb3', () => readPicture(dir + '/c.png', three));
  await attempt('rgb1', () => readPicture(dir + '/c.png', one));
  await raw([255, 0, 0, 0, 0, 255, 0, 128], 4, 2, 1)
    .png()
    .toFile(dir + '/al.png');
  await attempt('rgba3', () => readPicture(dir + '/al.png', three));
  await attempt('rgba1', () => readPicture(dir + '/al.png', one));
  await raw([40, 0, 40, 255], 2, 2, 1)
    .png()
    .toFile(dir + '/ga.png');
  await attempt('ga3', () => readPicture(dir + '/ga.png', three));
  await attempt('ga1', () => readPicture(dir + '/ga.png', one));
  await sharp(Uint16Array.of(0, 65535, 32768, 1000, 2000, 3000), { raw: { width: 2, height: 1, channels: 3 } })
    .toColourspace('rgb16')
    .png()
    .toFile(dir + '/16.png');
  console.log((await sharp(dir + '/16.png').metadata()).depth);
  await attempt('16-3', () => readPicture(dir + '/16.png', three));
  await sharp(Uint16Array.of(0, 65535, 32768, 1000), { raw: { width: 4, height: 1, channels: 1 } })
    .toColourspace('grey16')
    .png()
    .toFile(dir + '/16g.png');
  console.log((await sharp(dir + '/16g.png').metadata()).depth);
  await attempt('16g-1', () => readPicture(dir + '/16g.png', one));
  await attempt('16g-3', () => readPicture(dir + '/16g.png', three));
  await sharp({ create: { width: 16, height: 16, channels: 3, background: { r: 255, g: 0, b: 0 } } })
    .toColourspace('cmyk')
    .jpeg({ quality: 100 })
    .toFile(dir + '/cmyk.jpg');
  console.log((await sharp(dir + '/cmyk.jpg').metadata()).space, (await sharp(dir + '/cmyk.jpg').metadata()).channels);
  await attempt('cmyk3', () => readPicture(dir + '/cmyk.jpg', three));
  await attempt('cmyk1', () => readPicture(dir + '/cmyk.jpg', one));
  for (const o of [1, 3, 6, 8]) {
    await raw([0, 80, 160, 240, 250, 255], 1, 3, 2)
      .png()
      .withMetadata({ orientation: o })
      .toFile(dir + `/o${o}.png`);
    await attempt('o' + o, () => readPicture(dir + `/o${o}.png`, one));
  }
  await attempt('nul', () => readPicture(dir + '/o1.png\0', one));
  rmSync(dir, { recursive: true });
});
test.each(['st', 'pic'])(
  'fifo %s',
  async (kind) => {
    const dir = mkdtempSync(os.tmpdir() + '/dn-');
    const fifo = dir + '/fifo';
    execFileSync('mkfifo', [fifo]);
    try {
      await attempt('fifo', () =>
        kind === 'st' ? readSafetensors(fifo) : readPicture(fifo, { channels: 3, size: null }),
      );
    } finally {
      rmSync(dir, { recursive: true });
    }
  },
  3000,
);
afterAll(async () => {});
