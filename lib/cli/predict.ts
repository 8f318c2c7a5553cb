import { Command, Option } from 'commander';
import colors from 'picocolors';
import { readPicture } from '../data/picture';
import { DenseNet, type Device, type Prediction } from '../model/densenet';
import type { TensorData } from '../tensor';
import { deviceOption, jsonOption, wholeNumber } from './arguments';
import { percent, printGrid } from './terminal';

interface PredictOptions {
  weights: string;
  top: number;
  device: Device;
  invert: 'auto' | 'yes' | 'no';
  json: boolean;
}

/** `densenet predict` */
export function predictCommand(): Command {
  return new Command('predict')
    .description('classify pictures with saved weights')
    .argument('<pictures...>', 'PNG, JPEG, WebP, TIFF, GIF or AVIF files')
    .requiredOption('--weights <file>', 'a file that `densenet train` saved')
    .option('--top <n>', 'how many classes to list for each picture', wholeNumber(1), 3)
    .addOption(deviceOption())
    .addOption(
      new Option(
        '--invert <when>',
        'exchange dark and bright: auto does it for a grey picture with a bright edge when the model learned from dark ones',
      )
        .choices(['auto', 'yes', 'no'])
        .default('auto'),
    )
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ densenet predict seven.png --weights runs/digits/weights.safetensors
  $ densenet predict scans/*.jpg --weights runs/digits/weights.safetensors --json
`,
    )
    .action(predict);
}

async function predict(pictures: string[], options: PredictOptions): Promise<void> {
  await using model = await DenseNet.load(options.weights, { device: options.device });
  const { inChannels, imageSize, numClasses } = model.config;
  const rows: (string | number)[][] = [];
  for (const picture of pictures) {
    const image = await readPicture(picture, { channels: inChannels, size: imageSize });
    const inverted = isInverted(model, image, options.invert);
    if (inverted) invert(image);
    const [prediction] = (await model.predict(image, { topK: Math.min(options.top, numClasses) })) as [Prediction];
    if (options.json) console.log(JSON.stringify({ picture, inverted, ...prediction }));
    else rows.push(...describe(picture, prediction, inverted));
  }
  if (!options.json) printGrid(['Picture', 'Class', 'Probability'], rows);
}

function describe(picture: string, { top }: Prediction, inverted: boolean): string[][] {
  return top.map(({ label, probability }, rank) => [
    rank === 0 ? picture : rank === 1 && inverted ? colors.dim('(dark and bright exchanged)') : '',
    rank === 0 ? colors.green(label) : label,
    percent(probability),
  ]);
}

/**
 * Whether a picture must be inverted to look like those that the model learned from: it is grey, its edge is bright,
 * and theirs were dark on average.
 */
function isInverted(model: DenseNet, { data, shape }: TensorData, when: PredictOptions['invert']): boolean {
  const { inChannels, normalization } = model.config;
  if (when !== 'auto') return when === 'yes';
  if (inChannels !== 1 || normalization === null || (normalization.mean[0] as number) >= 0.5) return false;
  const [, , height = 0, width = 0] = shape;
  const edge = Array.from(data as Uint8Array).filter((_, place) => {
    const [row, column] = [Math.floor(place / width), place % width];
    return row === 0 || column === 0 || row === height - 1 || column === width - 1;
  });
  return edge.reduce((sum, value) => sum + value, 0) / edge.length > 127.5;
}

function invert({ data }: TensorData): void {
  const pixels = data as Uint8Array;
  for (let place = 0; place < pixels.length; place += 1) pixels[place] = 255 - (pixels[place] as number);
}
