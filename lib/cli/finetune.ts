import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Command, Option } from 'commander';
import colors from 'picocolors';
import * as datasets from '../data';
import type { ArrayDataset } from '../data/dataset';
import { randomCrop, randomHorizontalFlip, type Transform } from '../data/transforms';
import { DenseNetError } from '../errors';
import { DenseNet } from '../model/densenet';
import type { Device } from '../model/run-options';
import { variantNames, type Variant } from '../model/variants';
import { Trainer } from '../training/trainer';
import type { TrainerOptions } from '../training/options';
import { pretrainedNames, type PretrainedName } from '../weights/hub';
import { deviceOption, jsonOption, positiveNumber, wholeNumber } from './arguments';
import { follow } from './follow';
import { count, duration, percent, printTable } from './terminal';

interface FinetuneOptions {
  data: string;
  weights: string;
  variant?: Variant;
  headEpochs: number;
  epochs: number;
  batchSize: number;
  lr: number;
  layerDecay: number;
  flip: boolean;
  seed: number;
  device: Device;
  out: string;
  json: boolean;
}

/** `densenet finetune` */
export function finetuneCommand(): Command {
  return new Command('finetune')
    .description('teach a trained DenseNet the classes of your own pictures')
    .requiredOption('--data <folder>', 'a folder with a folder of pictures for each class')
    .requiredOption('--weights <file>', `weights to begin with, or one of ${pretrainedNames.join(', ')}`)
    .addOption(new Option('--variant <name>', 'what network a .pth file is of').choices(variantNames))
    .option('--head-epochs <n>', 'how often to go through the data with a new classifier alone', wholeNumber(0), 10)
    .option('--epochs <n>', 'how often after that with the whole network', wholeNumber(0), 10)
    .option('--batch-size <n>', 'images a step', wholeNumber(2), 32)
    .option('--lr <rate>', 'the learning rate of the whole network', positiveNumber, 0.01)
    .option('--layer-decay <share>', "each block's learning rate, as a share of the one after it", positiveNumber, 0.5)
    .option('--no-flip', 'do not mirror pictures left and right: for those in which it matters, such as letters')
    .option('--seed <n>', 'decides the classifier, order, augmentation and split', wholeNumber(0), 1)
    .addOption(deviceOption())
    .option('--out <folder>', 'where the weights go', path.join('runs', 'finetuned'))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Where FOLDER has a folder "train" and one named "val", "valid", "validation" or "test", the second is tested on; otherwise
a fifth of each class is. Each class needs two pictures or more.

Examples:
  $ densenet finetune --data flowers --weights densenet121
  $ densenet finetune --data flowers --weights mine.pth --variant densenet169 --epochs 0
`,
    )
    .action(finetune);
}

async function finetune(options: FinetuneOptions): Promise<void> {
  await using model = await open(options);
  const { imageSize, resizeSize, interpolation, inChannels } = model.config;
  if (imageSize === null)
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `${options.weights} does not say what size of pictures it is for. Save it again with an imageSize.`,
    );
  const form = { imageSize, resizeSize, interpolation, channels: inChannels as 1 | 3 };
  const { train: trainSet, validation: testSet } = await datasets.imageFolders(options.data, {
    ...form,
    seed: options.seed,
  });
  checkClasses(options.data, trainSet);
  await model.replaceClassifier(trainSet.classes, { seed: options.seed });
  if (!options.json)
    console.log(
      `Teaching a DenseNet of ${count(model.parameterCount)} parameters ${trainSet.classes.length} classes on ` +
        `${count(trainSet.size)} pictures, testing on ${count(testSet.size)} others.\n`,
    );
  const started = performance.now();
  const interrupted = await train(model, trainSet, testSet, options);
  const { loss, top1, size } = await evaluate(model, testSet);
  await mkdir(options.out, { recursive: true });
  const weights = path.join(options.out, 'weights.safetensors');
  await model.saveWeights(weights);
  const seconds = (performance.now() - started) / 1000;
  if (options.json) {
    console.log(JSON.stringify({ type: 'result', test: { loss, top1, size }, seconds, interrupted, weights }));
  } else {
    printTable([
      ['Test accuracy', `${percent(top1)} of ${size} pictures that it never saw`],
      ['Time', interrupted ? 'interrupted; the weights are those of the last whole step' : duration(seconds)],
      ['Weights', weights],
      ['Run next', colors.green(`npx densenet predict PICTURE --weights ${weights}`)],
    ]);
  }
  if (interrupted) process.exitCode = 130;
}

/** The network to begin with, by a name, by a file that says what it is, or by a file and its variant. */
async function open({ weights, variant, device, seed }: FinetuneOptions): Promise<DenseNet> {
  if (pretrainedNames.includes(weights as PretrainedName))
    return DenseNet.fromPretrained(weights as PretrainedName, { device });
  if (variant === undefined) return DenseNet.load(weights, { device });
  const model = await DenseNet.create({ variant, device, seed });
  try {
    await model.loadWeights(weights, { adaptClassifier: true });
    return model;
  } catch (error) {
    await model.dispose();
    throw error;
  }
}

/** A lone class is always right, and one without pictures is never learned. */
function checkClasses(folder: string, { classes, labels }: ArrayDataset): void {
  const without = classes.filter((_, index) => !labels.includes(index));
  if (without.length > 0)
    throw new DenseNetError(
      'ERR_DATASET',
      `${folder} has too few pictures to train on and to test on of ${without.join(', ')}. Each class needs at least two.`,
    );
  if (classes.length < 2)
    throw new DenseNetError(
      'ERR_DATASET',
      `${folder} has one class alone, ${classes.join()}, and there is nothing to tell apart. Make a folder for each class.`,
    );
}

/** The classifier alone, then everything. Returns whether it was interrupted. */
async function train(
  model: DenseNet,
  trainSet: ArrayDataset,
  validation: ArrayDataset,
  options: FinetuneOptions,
): Promise<boolean> {
  const { headEpochs, epochs, batchSize, lr, layerDecay, seed, json } = options;
  if (headEpochs > 0) {
    model.freeze('features');
    const trainer = new Trainer(model, { optimizer: { type: 'adam', lr: 1e-3 }, seed });
    if ((await follow(trainer, trainSet, { epochs: headEpochs, batchSize, validation }, { json })).interrupted)
      return true;
  }
  if (epochs === 0) return false;
  model.unfreeze();
  const recipe: TrainerOptions = {
    optimizer: { type: 'sgd', lr, momentum: 0.9, nesterov: true, weightDecay: 1e-4, layerDecay },
    schedule: { type: 'cosine' },
    seed,
  };
  const augment = augmentation(model, options);
  const plan = { epochs, batchSize, validation, augment };
  return (await follow(new Trainer(model, recipe), trainSet, plan, { json })).interrupted;
}

function augmentation(model: DenseNet, { flip }: FinetuneOptions): Transform[] {
  const shorter = Math.min(...(model.config.imageSize ?? [0]));
  // As much as the CIFAR recipe's 4 of 32 pixels.
  const crop = randomCrop({ padding: Math.max(1, Math.round(shorter / 8)) });
  return flip ? [crop, randomHorizontalFlip()] : [crop];
}

function evaluate(model: DenseNet, testSet: ArrayDataset) {
  // Evaluation moves no weights, so any optimizer serves.
  return new Trainer(model, { optimizer: { type: 'sgd', lr: 1 } }).evaluate(testSet);
}
