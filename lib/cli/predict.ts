import { Command, Option } from 'commander';
import colors from 'picocolors';
import type { Sharp } from 'sharp';
import { readPicture } from '../data/picture';
import { DenseNet } from '../model/densenet';
import type { Device } from '../model/run-options';
import type { Prediction } from '../model/prediction';
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
  const topK = Math.min(options.top, model.config.numClasses);
  const rows: (string | number)[][] = [];
  for (const picture of pictures) {
    const inverted = await mustInvert(model, picture, options.invert);
    const source = inverted ? await invert(picture) : picture;
    const [prediction] = (await model.predict([source], { topK })) as [Prediction];
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
 * Whether a picture must be inverted to look like those that the model learned from: it is read as grey, its edge is
 * bright, and theirs were dark on average.
 */
async function mustInvert(model: DenseNet, picture: string, when: PredictOptions['invert']): Promise<boolean> {
  const { inChannels, normalization } = model.config;
  if (when !== 'auto') return when === 'yes';
  if (inChannels !== 1 || normalization === null || (normalization.mean[0] as number) >= 0.5) return false;
  await readPicture(picture, { channels: 1, size: [1, 1] }); // a file that is no picture is refused by name here
  const { default: sharp } = await import('sharp');
  const grey = await sharp(picture).flatten({ background: 'white' }).toColourspace('b-w').png().toBuffer();
  const { width, height } = await sharp(grey).metadata();
  const sum = async (part: Sharp, pixels: number) => ((await part.stats()).channels[0]?.mean ?? 0) * pixels;
  const whole = await sum(sharp(grey), width * height);
  if (width < 3 || height < 3) return whole / (width * height) > 127.5;
  const inner = { left: 1, top: 1, width: width - 2, height: height - 2 };
  // `stats` looks at the picture as it came in, so the inner part becomes a picture of its own first.
  const middle = await sharp(grey).extract(inner).png().toBuffer();
  const innerPixels = inner.width * inner.height;
  const edge = (whole - (await sum(sharp(middle), innerPixels))) / (width * height - innerPixels);
  return edge > 127.5;
}

/** The picture with dark and bright exchanged, encoded anew. */
async function invert(picture: string): Promise<Uint8Array> {
  const { default: sharp } = await import('sharp');
  return sharp(picture).autoOrient().flatten({ background: 'white' }).negate({ alpha: false }).png().toBuffer();
}
