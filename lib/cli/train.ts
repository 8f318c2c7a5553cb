import path from 'node:path';
import { Command, Option } from 'commander';
import colors from 'picocolors';
import { fileError } from '../errors';
import { areRows, type ArrayDataset, type Dataset } from '../data/dataset';
import { DenseNet, type CreateOptions } from '../model/densenet';
import { variantNames, type Variant } from '../model/variants';
import { runtimeInfo } from '../runtime/info';
import { Trainer } from '../training/trainer';
import type { Evaluation } from '../training/evaluation';
import type { History } from '../training/events';
import type { TrainerOptions } from '../training/options';
import { isRunStart } from '../training/rewind';
import {
  dataOption,
  deviceOption,
  imageSize,
  jsonOption,
  pictureOptions,
  positiveNumber,
  wholeNumber,
} from './arguments';
import { augmentHelp, openData, toDataOptions, toTransforms, type DataFlags, type DataOptions } from './data';
import { follow } from './follow';
import { defaultRecipe, digitsRecipe } from './recipe';
import { RunFolder } from './run-folder';
import { settle, type RunOptions } from './settle';
import { count, duration, percent, printTable } from './terminal';

interface TrainOptions extends DataFlags, RunOptions {
  variant?: Variant;
  model?: CreateOptions;
  trainer?: Partial<TrainerOptions>;
  augment?: string | unknown[];
  epochs: number;
  batchSize: number;
  lr: number;
  balanced: boolean;
  seed: number;
}

/** `densenet train` */
export function trainCommand(): Command {
  const command = new Command('train')
    .description('train a DenseNet, and save its weights and how it went')
    .addOption(dataOption().default('digits'))
    .addOption(new Option('--variant <name>', 'the network; default by the size of the images').choices(variantNames))
    .option('--image-size <size>', 'what pictures are brought to, such as 224 or 224x180, height first', imageSize)
    .option('--channels <n>', '1 for grey, 3 for RGB', wholeNumber(1))
    .option('--augment <list>', augmentHelp)
    .option('--balanced', 'draw images so that every class is as frequent as every other', false)
    .option('--epochs <n>', 'how often to go through the data', wholeNumber(1), digitsRecipe.epochs)
    .option('--batch-size <n>', 'images a step', wholeNumber(2), digitsRecipe.batchSize)
    .option('--lr <rate>', 'the learning rate at the start', positiveNumber, digitsRecipe.lr)
    .option('--seed <n>', 'decides weights, order, augmentation and split', wholeNumber(0), 1)
    .addOption(deviceOption())
    .option('--out <folder>', 'where the run goes; default runs/ and the name of the data')
    .option('--resume <run>', 'go on with a run that was interrupted: the folder that was its --out');
  return pictureOptions(command)
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
  $ densenet train --data flowers --image-size 64 --augment resizedcrop,flip --decode ahead
  $ densenet train --config run.json
  $ densenet train --json | jq 'select(.type == "epoch")'
`,
    )
    .action(train);
}

async function train(given: TrainOptions, command: Command): Promise<void> {
  const options = await settle(command, given);
  const model = { ...options.model, ...(options.variant && { variant: options.variant }) };
  const data = withImageSize(toDataOptions(options), model);
  // The small network of the digits, unless another is asked for.
  const recipe = data.path === 'digits' && Object.keys(model).length === 0 ? digitsRecipe : defaultRecipe;
  const { train: trainSet, validation } = await openData(data, options.seed);
  const augment = options.augment === undefined ? [...recipe.augment] : toTransforms(options.augment);
  await using network = await DenseNet.create({
    ...describeImages(trainSet, data),
    ...recipe.model,
    ...model,
    device: options.device,
    seed: options.seed,
  });
  // A recipe that is refused leaves no folder behind.
  const trainer = new Trainer(network, {
    ...recipe.trainer(options),
    ...(areRows(trainSet.labels) && { loss: 'binaryCrossEntropy' }),
    ...options.trainer,
  });
  const out = options.out ?? path.join('runs', path.parse(data.path).name);
  const settings = { ...options, command: 'train', data, model, augment };
  const folder =
    options.resume === undefined ? await RunFolder.open(out, settings, network.device) : RunFolder.resume(out);
  try {
    await run(network, { trainSet, validation, augment, folder, digits: data.path === 'digits', trainer }, options);
  } finally {
    folder.close();
  }
}

interface Training {
  trainSet: Dataset;
  validation: Dataset;
  augment: ReturnType<typeof toTransforms>;
  folder: RunFolder;
  digits: boolean;
  trainer: Trainer;
}

async function run(model: DenseNet, training: Training, options: TrainOptions): Promise<void> {
  const { trainSet, validation, augment, folder, digits, trainer } = training;
  const { epochs, batchSize, balanced, json } = options;
  if (!json) await introduce(model, trainSet, validation, digits);
  const plan = {
    epochs,
    batchSize,
    validation,
    augment,
    ...(balanced ? { shuffle: 'balanced' as const } : {}),
  };
  const resume = options.resume !== undefined;
  const { history, interrupted } = await follow(trainer, trainSet, plan, { folder, resume, json });
  const evaluation = await trainer.evaluate(validation);
  const weights = folder.file('weights.safetensors');
  // What was evaluated: the averages, where there are any.
  await trainer.saveWeights(weights);
  await folder.write('summary.json', { interrupted, seconds: history?.seconds, test: evaluation });
  const sample = digits ? await saveSample(validation as ArrayDataset, folder.file('sample.png')) : undefined;
  // What is left of an interrupted run is there to go on from; a whole one has its weights.
  if (!interrupted) await folder.dropCheckpoints();
  if (json) {
    const { loss, top1, size } = evaluation;
    const made = { weights, ...(sample && { sample: sample.file }) };
    console.log(
      JSON.stringify({ type: 'result', test: { loss, top1, size }, seconds: history?.seconds, interrupted, ...made }),
    );
  } else {
    summarize(evaluation, history, trainSet.size, { weights, sample, skipped: skippedOf(trainSet, validation) });
  }
  if (interrupted) process.exitCode = 130;
}

/** Pictures are brought to the size that the network is for, where none is given. */
function withImageSize(data: DataOptions, { imageSize: own, variant }: CreateOptions): DataOptions {
  if (data.imageSize !== undefined) return data;
  const size = own ?? (variant?.startsWith('cifar') ? ([32, 32] as [number, number]) : undefined);
  return size ? { ...data, imageSize: size } : data;
}

/** What the data decide of the model. */
function describeImages(data: Dataset, { resizeSize, interpolation, imageSize: asked }: DataOptions): CreateOptions {
  const [channels = 0, height = 0, width = 0] =
    data.kind === 'array' ? data.images.shape.slice(1) : [...data.imageShape];
  const whole = asked === undefined && height === 224 && width === 224 ? 256 : null;
  return {
    variant: Math.min(height, width) < 64 ? 'cifar-bc-100-12' : 'densenet121',
    inChannels: channels,
    classes: [...data.classes],
    imageSize: [height, width],
    resizeSize: resizeSize ?? whole,
    ...(interpolation && { interpolation }),
  };
}

const skippedOf = (...sets: Dataset[]): number => sets.reduce((sum, { skipped }) => sum + (skipped?.length ?? 0), 0);

async function introduce(model: DenseNet, trainSet: Dataset, testSet: Dataset, digits: boolean): Promise<void> {
  const { libtorch, cuda, threads } = await runtimeInfo();
  const place = model.device === 'cpu' ? `the CPU, ${threads} threads (${cuda.reason ?? 'asked for'})` : model.device;
  const { growthRate, blockConfig } = model.config;
  const what = digits ? 'handwritten digits' : `images of ${trainSet.classes.length} classes`;
  console.log(
    `Training a DenseNet (k = ${growthRate}, blocks of ${blockConfig.join(', ')} layers, ${count(model.parameterCount)} parameters) ` +
      `on ${count(trainSet.size)} ${what}, testing on ${count(testSet.size)} others.\n` +
      `libtorch ${libtorch.version} on ${place}.\n`,
  );
}

interface Sample {
  file: string;
  label: string;
}

/** Writes a test image, enlarged so that a person can see it. */
async function saveSample(testSet: ArrayDataset, file: string): Promise<Sample> {
  const place = testSet.labels.indexOf(7);
  const [, , height = 0, width = 0] = testSet.images.shape;
  const pixels = (testSet.images.data as Uint8Array).slice(place * height * width, (place + 1) * height * width);
  const { default: sharp } = await import('sharp');
  await sharp(pixels, { raw: { width, height, channels: 1 } })
    .resize(width * 16, height * 16, { kernel: 'nearest' })
    .png()
    .toFile(file)
    .catch((error: unknown) => {
      throw fileError(file, error);
    });
  return { file, label: testSet.classes[testSet.labels[place] as number] as string };
}

function summarize(
  evaluation: Evaluation,
  history: History | undefined,
  images: number,
  { weights, sample, skipped }: { weights: string; sample: Sample | undefined; skipped: number },
): void {
  const what = sample ? 'digits' : 'images';
  const rows: [string, string][] = [
    [
      evaluation.confusionMatrix.length > 0 ? 'Test accuracy' : 'All labels right',
      `${percent(evaluation.top1)} of ${evaluation.size} ${what} that it never saw`,
    ],
  ];
  if (history) {
    const { from, epochs, seconds } = history;
    const whole = isRunStart(from);
    rows.push(['Training time', `${duration(seconds)}${whole ? '' : ', since it was resumed'}`]);
    if (whole) rows.push(['Speed', `${count((images * epochs.length) / seconds)} images/s, testing included`]);
  } else {
    rows.push(['Interrupted', 'the weights are those of the last whole step']);
    rows.push(['Go on with', colors.green(`npx densenet train --resume ${path.dirname(weights)}`)]);
  }
  if (skipped > 0) rows.push(['Left out', `${skipped} pictures that cannot be read`]);
  rows.push(['Weights', weights]);
  rows.push(['Run next', colors.green(`npx densenet predict ${sample?.file ?? 'PICTURE'} --weights ${weights}`)]);
  rows.push(['Look at it', colors.green(`npx densenet report ${path.dirname(weights)}`)]);
  printTable(rows);
  if (sample) console.log(`The picture shows a ${sample.label}.`);
}
