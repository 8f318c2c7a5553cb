// Transfer learning, measured: a network that learned the digits 0 to 4 is taught 5 to 9 with ten images of each, and
// compared with one that learns them from scratch. `node examples/transfer-digits.mjs [seeds]`

import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DenseNet, Trainer, datasets, transforms } from 'libtorch-densenet';

const seeds = Number(process.argv[2] ?? 5);
const imagesOfEach = 10;

const network = {
  growthRate: 12,
  blockConfig: [4, 4],
  initChannels: 24,
  stem: 'cifar',
  inChannels: 1,
  normalization: { mean: [0.3054], std: [0.3753] },
};
const augment = [transforms.randomAffine({ degrees: 15, scale: [0.85, 1.15] }), transforms.randomCrop({ padding: 1 })];

/** The images of some digits, as classes counted from 0; of each at most `most`. */
function only(data, digits, most = Infinity) {
  const taken = digits.map(() => 0);
  const indices = [...data.labels.keys()].filter((index) => {
    const place = digits.indexOf(data.labels[index]);
    return place >= 0 && taken[place]++ < most;
  });
  const { images, labels } = datasets.subset(data, indices);
  const classes = digits.map(String);
  return datasets.fromArrays({ images, labels: Array.from(labels, (label) => digits.indexOf(label)), classes });
}

async function train(model, data, epochs, seed) {
  const optimizer = { type: 'sgd', lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 5e-4 };
  const trainer = new Trainer(model, { optimizer, schedule: { type: 'cosine' }, seed });
  await trainer.fit(data, { epochs, batchSize: 32, augment });
}

async function accuracy(model, data) {
  return (await new Trainer(model, { optimizer: { type: 'sgd', lr: 1 } }).evaluate(data)).top1;
}

const [trainSet, testSet] = await Promise.all([datasets.digits('train'), datasets.digits('test')]);
const known = [0, 1, 2, 3, 4];
const unknown = [5, 6, 7, 8, 9];
const folder = await mkdtemp(path.join(os.tmpdir(), 'densenet-transfer-'));
try {
  const fileOf = (seed) => path.join(folder, `known-${seed}.safetensors`);
  const first = [];
  for (let seed = 1; seed <= seeds; seed += 1) {
    // Few epochs: a network that knows its digits by heart has forgotten what else there was to see in them.
    const teacher = await DenseNet.create({ ...network, numClasses: 5, seed });
    await train(teacher, only(trainSet, known), 8, seed);
    first.push(await accuracy(teacher, only(testSet, known)));
    await teacher.saveWeights(fileOf(seed));
    await teacher.dispose();
  }
  console.log(`0 to 4, all images: ${list(first)}`);

  const exam = only(testSet, unknown);
  for (const epochs of [10, 20, 40]) {
    const tuned = [];
    const fresh = [];
    for (let seed = 1; seed <= seeds; seed += 1) {
      // Each seed has a first network, a choice of images and a new classifier of its own.
      const [drawn] = datasets.split(trainSet, 0.5, { seed });
      const lesson = only(drawn, unknown, imagesOfEach);

      const pupil = await DenseNet.load(fileOf(seed));
      await pupil.replaceClassifier(unknown.map(String), { seed });
      await train(pupil, lesson, epochs, seed);
      tuned.push(await accuracy(pupil, exam));
      await pupil.dispose();

      const beginner = await DenseNet.create({ ...network, numClasses: 5, seed });
      await train(beginner, lesson, epochs, seed);
      fresh.push(await accuracy(beginner, exam));
      await beginner.dispose();
    }
    console.log(
      `5 to 9, ${imagesOfEach} images each, ${epochs} epochs: fine-tuned ${list(tuned)}, from scratch ${list(fresh)}`,
    );
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

function percent(share) {
  return `${(share * 100).toFixed(1)} %`;
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The mean and then each value. */
function list(values) {
  return `${percent(mean(values))} (${values.map(percent).join(', ')})`;
}
