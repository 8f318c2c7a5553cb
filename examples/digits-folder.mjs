// The digits as a folder of pictures, such as anybody's own: `node examples/digits-folder.mjs [folder]` writes them as PNGs to
// train/<class>/ and test/<class>/, and beside them run.json, the recipe of `npm start` as a configuration file.

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { datasets } from 'libtorch-densenet';
import sharp from 'sharp';

const folder = process.argv[2] ?? 'digits-pictures';

for (const part of ['train', 'test']) {
  const { size, images, labels, classes } = await datasets.digits(part);
  const [, channels, height, width] = images.shape;
  for (const name of classes) await mkdir(path.join(folder, part, name), { recursive: true });
  await Promise.all(
    Array.from({ length: size }, async (_, image) => {
      const pixels = images.data.subarray(image * height * width, (image + 1) * height * width);
      const name = `${String(image).padStart(4, '0')}.png`;
      await sharp(pixels, { raw: { width, height, channels } }).toFile(
        path.join(folder, part, classes[labels[image]], name),
      );
    }),
  );
  console.log(`${path.join(folder, part)}: ${size} pictures of ${classes.length} classes`);
}

const config = {
  // The pictures are as small as the network wants them, and have one channel: nothing is resized.
  data: { path: folder, imageSize: [8, 8], channels: 1 },
  model: {
    growthRate: 12,
    blockConfig: [4, 4],
    initChannels: 24,
    stem: 'cifar',
    normalization: { mean: [0.3054], std: [0.3753] },
  },
  trainer: {
    optimizer: { type: 'sgd', lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 5e-4 },
    labelSmoothing: 0.1,
  },
  augment: [
    { type: 'randomAffine', degrees: 15, scale: [0.85, 1.15] },
    { type: 'randomCrop', padding: 1 },
  ],
  epochs: 60,
  batchSize: 64,
  seed: 1,
};
const file = path.join(folder, 'run.json');
await writeFile(file, `${JSON.stringify(config, undefined, 2)}\n`);
console.log(`${file}: how to train on them\n\nRun next: npx densenet train --config ${file}`);
