import { mkdtemp, open, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { isDenseNetError } from '../../lib/errors';
import { tinyOptions } from '../tiny-config';
import { randomNumbers, type Package } from './check';

/** Flips a bit of a byte, counted from the end when below 0. */
export async function flip(file: string, at: number, bit = 0): Promise<void> {
  const handle = await open(file, 'r+');
  const { size } = await handle.stat();
  const place = at < 0 ? size + at : at;
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, place);
  byte[0] = (byte[0] as number) ^ (1 << bit);
  await handle.write(byte, 0, 1, place);
  await handle.close();
}

/** Flips single bits of a checkpoint, each by itself. Returns those with which it was not refused as damaged. */
export async function flipBits(library: Package, times: number, seed: number): Promise<string[]> {
  const place = await mkdtemp(path.join(os.tmpdir(), 'densenet-flips-'));
  const model = await library.DenseNet.create(tinyOptions());
  try {
    const trainer = new library.Trainer(model, { optimizer: { type: 'adam' }, ema: 0.9 });
    const images = { data: new Float32Array(2 * 64).map((_, index) => Math.sin(index)), shape: [2, 1, 8, 8] };
    await trainer.step({ images, labels: [0, 1] });
    const file = path.join(place, 'one.safetensors');
    await trainer.save(file);
    const handle = await open(file);
    const { size } = await handle.stat();
    await handle.close();
    const random = randomNumbers(seed);
    const missed: string[] = [];
    for (let count = 0; count < times; count += 1) {
      const [byte, bit] = [Math.floor(random() * size), Math.floor(random() * 8)];
      await flip(file, byte, bit);
      const outcome = await trainer.resume(file).then(
        () => 'taken',
        (error: unknown) => (isDenseNetError(error) ? error.code : String(error)),
      );
      if (outcome !== 'ERR_FILE_FORMAT') missed.push(`bit ${bit} of byte ${byte} of ${size}: ${outcome}`);
      await flip(file, byte, bit);
    }
    // With every bit back in its place it is whole.
    await trainer.resume(file);
    return missed;
  } finally {
    await model.dispose();
    await rm(place, { recursive: true, force: true });
  }
}
