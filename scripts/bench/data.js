'use strict';

/**
 * Whether decoding and augmentation keep up with a training step: `node scripts/bench/data.js [--images 128]
 * [--model densenet121] [--batch 16] [--size 224] [--seconds 20]`. Prints images/s of each alone and together.
 */

const { mkdir, mkdtemp, rm } = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { runScript } = require('../report');
const { setup } = require('../setup');

/** Like ImageNet's pictures: 500×375 JPEG, of smooth shapes and some noise. */
async function drawPictures(/** @type {string} */ folder, /** @type {number} */ count) {
  const { default: sharp } = await import('sharp');
  const [width, height] = [500, 375];
  let state = 1;
  const draw = () => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) >>> 24;
  for (const name of ['a', 'b']) {
    await mkdir(path.join(folder, name), { recursive: true });
    for (let n = 0; n < count / 2; n += 1) {
      const [red, green] = [draw(), draw()];
      const pixels = Buffer.alloc(width * height * 3);
      for (let place = 0; place < pixels.length; place += 3) {
        const [x, y] = [(place / 3) % width, Math.floor(place / 3 / width)];
        pixels[place] = (red + x / 3 + (draw() >> 4)) & 255;
        pixels[place + 1] = (green + y / 2 + (draw() >> 4)) & 255;
        pixels[place + 2] = ((x * y) / 700 + (draw() >> 4)) & 255;
      }
      await sharp(pixels, { raw: { width, height, channels: 3 } })
        .jpeg({ quality: 90 })
        .toFile(path.join(folder, name, `${n}.jpg`));
    }
  }
}

runScript(async () => {
  const { values } = parseArgs({
    options: {
      images: { type: 'string', default: '128' },
      model: { type: 'string', default: 'densenet121' },
      batch: { type: 'string', default: '16' },
      size: { type: 'string', default: '224' },
      seconds: { type: 'string', default: '20' },
    },
  });
  const [count, batch, side] = [Number(values.images), Number(values.batch), Number(values.size)];
  const seconds = Number(values.seconds);
  await setup();
  const { DenseNet, Trainer, datasets, runtimeInfo, transforms } = require('../../dist');
  const folder = await mkdtemp(path.join(os.tmpdir(), 'densenet-data-'));
  try {
    await drawPictures(folder, count);
    /** @type {[number, number]} */
    const imageSize = [side, side];
    const form = { imageSize, resizeSize: Math.round((side * 256) / 224) };
    const augment = [transforms.randomResizedCrop(), transforms.randomHorizontalFlip(), transforms.randAugment()];
    const inMemory = await datasets.imageFolder(folder, form);
    const ahead = await datasets.imageFolder(folder, { ...form, decode: 'ahead' });
    const folderCache = await datasets.imageFolder(folder, {
      ...form,
      decode: 'ahead',
      cache: { folder: path.join(folder, 'cache') },
    });

    /** @param {string} what @param {() => Promise<number>} pass A pass, which gives how many images it was. */
    const measure = async (what, pass) => {
      await pass();
      const start = performance.now();
      let images = 0;
      do images += await pass();
      while (performance.now() - start < seconds * 1000);
      console.log(`${what}: ${((images * 1000) / (performance.now() - start)).toFixed(1)} images/s`);
    };
    /** @param {import('../../lib').StreamedDataset} data As a run reads it: eight at once. */
    const readAll = async (data) => {
      let next = 0;
      const signal = new AbortController().signal;
      const reader = async () => {
        while (next < data.size) await data.read(next++, signal);
      };
      await Promise.all(Array.from({ length: 8 }, reader));
      return data.size;
    };
    const { images } = datasets.subset(inMemory, [...Array(batch).keys()]);
    const model = await DenseNet.create({ variant: /** @type {any} */ (values.model), numClasses: 2, device: 'cpu' });
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 1e-3 }, seed: 1 });
    /** @param {string} what @param {import('../../lib').Dataset} data @param {boolean} changed */
    const measureRun = async (what, data, changed) => {
      let last = { images: 0, time: 0 };
      let first = 0;
      const stop = new AbortController();
      const run = trainer.fit(data, {
        epochs: 1000,
        batchSize: batch,
        signal: stop.signal,
        ...(changed ? { augment } : {}),
      });
      const steps = Math.ceil(count / batch);
      const timer = setTimeout(() => stop.abort(), seconds * 1000);
      try {
        for await (const event of run) {
          if (event.type !== 'step') continue;
          first ||= performance.now();
          last = { images: ((event.epoch - 1) * steps + event.step - 1) * batch, time: performance.now() };
        }
      } catch (error) {
        if (!stop.signal.aborted) throw error;
      } finally {
        clearTimeout(timer);
      }
      const speed = last.images === 0 ? NaN : (last.images * 1000) / (last.time - first);
      console.log(`${what}: ${speed.toFixed(1)} images/s`);
    };
    const { threads } = await runtimeInfo();
    console.log(
      `${count} JPEGs of 500×375, images of ${side}×${side}, ${os.cpus()[0]?.model ?? ''}, ${threads} threads\n`,
    );
    await measure('decoding and resizing alone', () => readAll(ahead));
    await measure('reading decoded pictures from a folder', () => readAll(folderCache));
    await measure('augmentation alone', async () => {
      await transforms.apply(images, augment);
      return batch;
    });
    await measureRun(`training ${values.model} alone`, inMemory, false);
    await measureRun('training and augmentation', inMemory, true);
    await measureRun('training and decoding', ahead, false);
    await measureRun('training, decoding and augmentation', ahead, true);
    await model.dispose();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
