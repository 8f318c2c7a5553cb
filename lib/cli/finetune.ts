import path from 'node:path';
import { Command, Option } from 'commander';
import colors from 'picocolors';
import type { Dataset } from '../data/dataset';
import { randomCrop, randomHorizontalFlip, type Transform } from '../data/transforms';
import { DenseNetError } from '../errors';
import { DenseNet, type CreateOptions } from '../model/densenet';
import { fill } from '../model/fill';
import { variantNames, type Variant } from '../model/variants';
import { Trainer } from '../training/trainer';
import type { TrainerOptions } from '../training/options';
import { pretrainedNames, type PretrainedName } from '../weights/hub';
import { dataOption, deviceOption, jsonOption, pictureOptions, positiveNumber, wholeNumber } from './arguments';
import { augmentHelp, openData, toDataOptions, toTransforms, type DataFlags } from './data';
import { follow } from './follow';
import { hasCheckpoints, RunFolder } from './run-folder';
import { settle, type RunOptions } from './settle';
import { count, duration, percent, printTable } from './terminal';

interface FinetuneOptions extends DataFlags, RunOptions {
  weights: string;
  variant?: Variant;
  /** Of a run that is gone on with: the network that it trains. */
  model?: CreateOptions;
  headEpochs: number;
  epochs: number;
  batchSize: number;
  lr: number;
  layerDecay: number;
  flip: boolean;
  augment?: string | unknown[];
  balanced: boolean;
  seed: number;
  out: string;
}

/** `densenet finetune` */
export function finetuneCommand(): Command {
  const command = new Command('finetune')
    .description('teach a trained DenseNet the classes of your own pictures')
    .addOption(dataOption())
    .option('--weights <file>', `weights to begin with, or one of ${pretrainedNames.join(', ')}`)
    .addOption(new Option('--variant <name>', 'what network a .pth file is of').choices(variantNames))
    .option('--head-epochs <n>', 'how often to go through the data with a new classifier alone', wholeNumber(0), 10)
    .option('--epochs <n>', 'how often after that with the whole network', wholeNumber(0), 10)
    .option('--batch-size <n>', 'images a step', wholeNumber(2), 32)
    .option('--lr <rate>', 'the learning rate of the whole network', positiveNumber, 0.01)
    .option('--layer-decay <share>', "each block's learning rate, as a share of the one after it", positiveNumber, 0.5)
    .option('--no-flip', 'do not mirror pictures left and right: for those in which it matters, such as letters')
    .option('--augment <list>', `in place of a crop and the flip: ${augmentHelp}`)
    .option('--balanced', 'draw images so that every class is as frequent as every other', false)
    .option('--seed <n>', 'decides the classifier, order, augmentation and split', wholeNumber(0), 1)
    .addOption(deviceOption())
    .option('--out <folder>', 'where the run goes', path.join('runs', 'finetuned'))
    .option('--resume <run>', 'go on with a run that was interrupted: the folder that was its --out');
  return pictureOptions(command)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Where FOLDER has a folder "train" and one named "val", "valid", "validation" or "test", the second is tested on; otherwise
a fifth of each class is. Each class needs two pictures or more.

Ctrl-C ends the run after its step and saves it as it is; --resume goes on from there, or from the last whole epoch where the
process was killed, and ends with the weights that the unbroken run would have had.

Examples:
  $ densenet finetune --data flowers --weights densenet121
  $ densenet finetune --data flowers --weights mine.pth --variant densenet169 --epochs 0
  $ densenet finetune --resume runs/finetuned
`,
    )
    .action(finetune);
}

async function finetune(given: FinetuneOptions, command: Command): Promise<void> {
  const options = await settle(command, given);
  const resume = options.resume !== undefined;
  for (const name of ['data', 'weights'] as const)
    if ((options[name] as unknown) === undefined)
      throw new DenseNetError(
        'ERR_INVALID_ARGUMENT',
        `finetune needs --${name}, or "${name}" in the configuration file.`,
      );
  await using model = await open(options);
  const { imageSize, resizeSize, interpolation, inChannels } = model.config;
  if (imageSize === null)
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `${options.weights} does not say what size of pictures it is for. Save it again with an imageSize.`,
    );
  // What the model is for goes before what the options say.
  const form = { imageSize, resizeSize, interpolation, channels: inChannels as 1 | 3 };
  const data = { ...toDataOptions(options), ...form };
  const { train: trainSet, validation: testSet } = await openData(data, options.seed);
  checkClasses(data.path, trainSet);
  if (!resume) await model.replaceClassifier(trainSet.classes, { seed: options.seed });
  if (!options.json)
    console.log(
      `Teaching a DenseNet of ${count(model.parameterCount)} parameters ${trainSet.classes.length} classes on ` +
        `${count(trainSet.size)} pictures, testing on ${count(testSet.size)} others.\n`,
    );
  const augment = options.augment === undefined ? augmentation(model, options) : toTransforms(options.augment);
  // A recipe that is refused leaves no folder behind.
  const whole = new Trainer(model, wholeRecipe(options));
  const settings = { ...options, command: 'finetune', data, augment, model: model.config };
  const folder = resume ? RunFolder.resume(options.out) : await RunFolder.open(options.out, settings, model.device);
  try {
    await tune(model, { trainSet, testSet, augment, folder, whole }, options);
  } finally {
    folder.close();
  }
}

interface Tuning {
  trainSet: Dataset;
  testSet: Dataset;
  augment: Transform[];
  folder: RunFolder;
  /** Of the whole network. */
  whole: Trainer;
}

async function tune(model: DenseNet, tuning: Tuning, options: FinetuneOptions): Promise<void> {
  const { testSet, folder } = tuning;
  const started = performance.now();
  const interrupted = await train(model, tuning, options);
  const evaluation = await model.evaluate(testSet);
  const { loss, top1, size } = evaluation;
  const weights = folder.file('weights.safetensors');
  await model.saveWeights(weights);
  const seconds = (performance.now() - started) / 1000;
  await folder.write('summary.json', { interrupted, seconds, test: evaluation });
  // An interrupted run has them to go on from; a whole one has its weights.
  if (!interrupted) await folder.dropCheckpoints();
  if (options.json) {
    console.log(JSON.stringify({ type: 'result', test: { loss, top1, size }, seconds, interrupted, weights }));
  } else {
    const goOn: [string, string] = ['Go on with', colors.green(`npx densenet finetune --resume ${folder.path}`)];
    printTable([
      ['Test accuracy', `${percent(top1)} of ${size} pictures that it never saw`],
      ['Time', interrupted ? 'interrupted; the weights are those of the last whole step' : duration(seconds)],
      ...(interrupted ? [goOn] : []),
      ['Weights', weights],
      ['Run next', colors.green(`npx densenet predict PICTURE --weights ${weights}`)],
      ['Look at it', colors.green(`npx densenet report ${folder.path}`)],
    ]);
  }
  if (interrupted) process.exitCode = 130;
}

/**
 * The network to begin with: that of the run that is gone on with, whose checkpoints have its weights; by a name; by a file
 * that says what it is; or by a file and its variant.
 */
async function open({ resume, model: own, weights, variant, device, seed }: FinetuneOptions): Promise<DenseNet> {
  if (resume !== undefined) return DenseNet.create({ ...own, device });
  if (pretrainedNames.includes(weights as PretrainedName))
    return DenseNet.fromPretrained(weights as PretrainedName, { device });
  if (variant === undefined) return DenseNet.load(weights, { device });
  const model = await DenseNet.create({ variant, device, seed });
  return fill(model, () => model.loadWeights(weights, { adaptClassifier: true }));
}

/** A lone class is always right, and one without pictures is never learned. */
function checkClasses(folder: string, { classes, labels }: Dataset): void {
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

function wholeRecipe({ lr, layerDecay, seed }: FinetuneOptions): TrainerOptions {
  return {
    optimizer: { type: 'sgd', lr, momentum: 0.9, nesterov: true, weightDecay: 1e-4, layerDecay },
    schedule: { type: 'cosine' },
    seed,
  };
}

/** What a run is made of, as its folder names it. */
type Phase = 'head' | 'whole';

/** The classifier alone, then everything. Returns whether it was interrupted. */
async function train(
  model: DenseNet,
  { trainSet, testSet: validation, augment, folder, whole }: Tuning,
  options: FinetuneOptions,
): Promise<boolean> {
  const { headEpochs, epochs, batchSize, seed, json, balanced } = options;
  const resume = options.resume !== undefined;
  const plan = { batchSize, validation, ...(balanced ? { shuffle: 'balanced' as const } : {}) };
  const carryOut = async (phase: Phase, trainer: Trainer, more: { epochs: number; augment?: Transform[] }) =>
    (await follow(trainer, trainSet, { ...plan, ...more }, { folder, phase, resume, json })).interrupted;
  if (headEpochs > 0 && !(await hasCheckpoints(folder.path, 'whole'))) {
    model.freeze('features');
    const trainer = new Trainer(model, { optimizer: { type: 'adam', lr: 1e-3 }, seed });
    if (await carryOut('head', trainer, { epochs: headEpochs })) return true;
  }
  if (epochs === 0) return false;
  model.unfreeze();
  return carryOut('whole', whole, { epochs, augment });
}

function augmentation(model: DenseNet, { flip }: FinetuneOptions): Transform[] {
  const shorter = Math.min(...(model.config.imageSize ?? [0]));
  // As much as the CIFAR recipe's 4 of 32 pixels.
  const crop = randomCrop({ padding: Math.max(1, Math.round(shorter / 8)) });
  return flip ? [crop, randomHorizontalFlip()] : [crop];
}
