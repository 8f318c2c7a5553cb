import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import colors from 'picocolors';
import { DenseNet } from '../model/densenet';
import type { Device } from '../model/run-options';
import * as datasets from '../data';
import type { ArrayDataset } from '../data/dataset';
import { digitsRecipe } from './recipe';
import { runtimeInfo } from '../runtime/info';
import { Trainer } from '../training/trainer';
import type { Evaluation } from '../training/evaluation';
import type { History } from '../training/events';
import { dataOption, deviceOption, jsonOption, positiveNumber, wholeNumber } from './arguments';
import { follow } from './follow';
import { count, duration, percent, printTable } from './terminal';

interface TrainOptions {
  data: 'digits';
  epochs: number;
  batchSize: number;
  lr: number;
  seed: number;
  device: Device;
  out: string;
  json: boolean;
}

/** `densenet train` */
export function trainCommand(): Command {
  return new Command('train')
    .description('train a DenseNet, and save its weights')
    .addOption(dataOption())
    .option('--epochs <n>', 'how often to go through the data', wholeNumber(1), digitsRecipe.epochs)
    .option('--batch-size <n>', 'images a step', wholeNumber(2), digitsRecipe.batchSize)
    .option('--lr <rate>', 'the learning rate at the start', positiveNumber, digitsRecipe.lr)
    .option('--seed <n>', 'decides weights, order and augmentation', wholeNumber(0), 1)
    .addOption(deviceOption())
    .option('--out <folder>', 'where weights and a sample picture go', path.join('runs', 'digits'))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Ctrl-C ends the run after its step and saves the weights as they are; a second Ctrl-C ends it at once.

Examples:
  $ densenet train
  $ densenet train --epochs 10 --out runs/short
  $ densenet train --json | jq 'select(.type == "epoch")'
`,
    )
    .action(train);
}

async function train(options: TrainOptions): Promise<void> {
  const [trainSet, testSet] = await Promise.all([datasets.digits('train'), datasets.digits('test')]);
  await mkdir(options.out, { recursive: true });
  await using model = await DenseNet.create({ ...digitsRecipe.model, device: options.device, seed: options.seed });
  await introduce(model, trainSet, testSet, options);
  const trainer = new Trainer(model, digitsRecipe.trainer(options));
  const { epochs, batchSize } = options;
  const plan = { epochs, batchSize, validation: testSet, augment: [...digitsRecipe.augment] };
  const { history, interrupted } = await follow(trainer, trainSet, plan, options);
  const evaluation = await trainer.evaluate(testSet);
  const weights = path.join(options.out, 'weights.safetensors');
  await model.saveWeights(weights);
  const sample = path.join(options.out, 'sample.png');
  const label = await saveSample(testSet, sample);
  if (options.json) {
    const { loss, top1, size } = evaluation;
    console.log(
      JSON.stringify({
        type: 'result',
        test: { loss, top1, size },
        seconds: history?.seconds,
        interrupted,
        weights,
        sample,
      }),
    );
  } else {
    summarize(evaluation, history, trainSet.size, { weights, sample, label });
  }
  if (interrupted) process.exitCode = 130;
}

async function introduce(
  model: DenseNet,
  trainSet: ArrayDataset,
  testSet: ArrayDataset,
  { json }: TrainOptions,
): Promise<void> {
  if (json) return;
  const { libtorch, cuda, threads } = await runtimeInfo();
  const place = model.device === 'cpu' ? `the CPU, ${threads} threads (${cuda.reason ?? 'asked for'})` : model.device;
  const { growthRate, blockConfig } = model.config;
  console.log(
    `Training a DenseNet-BC (k = ${growthRate}, blocks of ${blockConfig.join(' and ')} layers, ${count(model.parameterCount)} parameters) ` +
      `on ${count(trainSet.size)} handwritten digits, testing on ${count(testSet.size)} others.\n` +
      `libtorch ${libtorch.version} on ${place}.\n`,
  );
}

/** Writes a test image, enlarged so that a person can see it; returns what it shows. */
async function saveSample(testSet: ArrayDataset, file: string): Promise<string> {
  const place = testSet.labels.indexOf(7);
  const [, , height = 0, width = 0] = testSet.images.shape;
  const pixels = (testSet.images.data as Uint8Array).slice(place * height * width, (place + 1) * height * width);
  const { default: sharp } = await import('sharp');
  await sharp(pixels, { raw: { width, height, channels: 1 } })
    .resize(width * 16, height * 16, { kernel: 'nearest' })
    .png()
    .toFile(file);
  return testSet.classes[testSet.labels[place] as number] as string;
}

function summarize(
  evaluation: Evaluation,
  history: History | undefined,
  images: number,
  files: { weights: string; sample: string; label: string },
): void {
  const rows: [string, string][] = [
    ['Test accuracy', `${percent(evaluation.top1)} of ${evaluation.size} digits that it never saw`],
  ];
  if (history) {
    rows.push(['Training time', duration(history.seconds)]);
    rows.push(['Speed', `${count((images * history.epochs.length) / history.seconds)} images/s, testing included`]);
  } else {
    rows.push(['Interrupted', 'the weights are those of the last whole step']);
  }
  rows.push(['Weights', files.weights]);
  rows.push(['Run next', colors.green(`npx densenet predict ${files.sample} --weights ${files.weights}`)]);
  printTable(rows);
  console.log(`The picture shows a ${files.label}.`);
}
