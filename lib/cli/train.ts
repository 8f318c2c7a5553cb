import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import colors from 'picocolors';
import { DenseNetError } from '../errors';
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
import { beginRun, checkpointsOf, readRun, type RunSettings } from './run-folder';
import { count, duration, percent, printTable } from './terminal';

interface TrainOptions extends RunSettings {
  data: 'digits';
  device: Device;
  out: string;
  resume?: string;
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
    .option('--resume <run>', 'go on with a run that was interrupted: the folder that was its --out')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Ctrl-C ends the run after its step and saves it as it is; a second Ctrl-C ends it at once. --resume goes on from there, or
from the last whole epoch where the process was killed, and ends with the weights that the unbroken run would have had.

Examples:
  $ densenet train
  $ densenet train --resume runs/digits
  $ densenet train --epochs 10 --out runs/short
  $ densenet train --json | jq 'select(.type == "epoch")'
`,
    )
    .action(train);
}

async function train(given: TrainOptions, command: Command): Promise<void> {
  const options = await settle(given, command);
  const [trainSet, testSet] = await Promise.all([datasets.digits('train'), datasets.digits('test')]);
  await using model = await DenseNet.create({ ...digitsRecipe.model, device: options.device, seed: options.seed });
  await introduce(model, trainSet, testSet, options);
  const trainer = new Trainer(model, digitsRecipe.trainer(options));
  const { epochs, batchSize } = options;
  const folder = checkpointsOf(options.out);
  if (options.resume !== undefined) {
    const { epoch, step, skipped } = await trainer.resume(folder);
    for (const { reason } of skipped) console.error(colors.yellow(reason));
    if (!options.json) console.log(`Going on in epoch ${epoch}, after ${step} steps of it.\n`);
  }
  const plan = {
    epochs,
    batchSize,
    validation: testSet,
    augment: [...digitsRecipe.augment],
    checkpoint: { folder, best: false },
  };
  const { history, interrupted } = await follow(trainer, trainSet, plan, options);
  // What is left of an interrupted run is there to go on from; a whole one has its weights.
  if (!interrupted) await rm(folder, { recursive: true });
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
    summarize(evaluation, history, trainSet.size, { out: options.out, weights, sample, label });
  }
  if (interrupted) process.exitCode = 130;
}

/** The options of the run that is gone on with, or those that were given, in a folder of their own. */
async function settle(options: TrainOptions, command: Command): Promise<TrainOptions> {
  const { resume } = options;
  if (resume === undefined) {
    await mkdir(options.out, { recursive: true });
    await beginRun(options.out, options);
    return options;
  }
  for (const key of ['data', 'epochs', 'batchSize', 'lr', 'seed', 'out'])
    if (command.getOptionValueSource(key) === 'cli')
      throw new DenseNetError(
        'ERR_INVALID_ARGUMENT',
        `--resume goes on with the run's own settings; leave --${key.replace('S', '-s')} out, or begin a new run.`,
      );
  return { ...options, ...(await readRun(resume)), out: resume };
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
  files: { out: string; weights: string; sample: string; label: string },
): void {
  const rows: [string, string][] = [
    ['Test accuracy', `${percent(evaluation.top1)} of ${evaluation.size} digits that it never saw`],
  ];
  if (history) {
    rows.push(['Training time', duration(history.seconds)]);
    rows.push(['Speed', `${count((images * history.epochs.length) / history.seconds)} images/s, testing included`]);
  } else {
    rows.push(['Interrupted', 'the weights are those of the last whole step']);
    rows.push(['Go on with', colors.green(`npx densenet train --resume ${files.out}`)]);
  }
  rows.push(['Weights', files.weights]);
  rows.push(['Run next', colors.green(`npx densenet predict ${files.sample} --weights ${files.weights}`)]);
  printTable(rows);
  console.log(`The picture shows a ${files.label}.`);
}
