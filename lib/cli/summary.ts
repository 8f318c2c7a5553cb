import { Command, Option } from 'commander';
import { DenseNet, type CreateOptions } from '../model/densenet';
import type { Device } from '../model/run-options';
import { variantNames, type Variant } from '../model/variants';
import { deviceOption, jsonOption, wholeNumber } from './arguments';

interface SummaryOptions {
  variant: Variant;
  weights?: string;
  classes?: number;
  batch: number;
  size?: number;
  modules: boolean;
  implementation: NonNullable<CreateOptions['implementation']>;
  memory: NonNullable<CreateOptions['memory']>;
  freeze?: string;
  device: Device;
  json: boolean;
}

/** `densenet summary` */
export function summaryCommand(): Command {
  return new Command('summary')
    .description('show a network part by part: shapes, parameters, multiply-adds, memory, and what computes it')
    .addOption(new Option('--variant <name>', 'a known network').choices(variantNames).default('densenet121'))
    .option('--weights <file>', 'the network of a file that this package saved, in place of a known one')
    .option('--classes <n>', 'classes of the known network', wholeNumber(1))
    .option('--batch <n>', 'images at once', wholeNumber(1), 1)
    .option('--size <n>', 'height and width of the images (default: what the network is for)', wholeNumber(1))
    .option('--modules', 'a row for each convolution, norm and pooling too', false)
    .addOption(new Option('--implementation <name>', 'what computes').choices(['auto', 'reference']).default('auto'))
    .addOption(
      new Option('--memory <name>', 'what a training step keeps')
        .choices(['auto', 'fast', 'efficient'])
        .default('auto'),
    )
    .option('--freeze <part>', 'freeze a part first, such as features')
    .addOption(deviceOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ densenet summary --variant densenet169 --batch 32
  $ densenet summary --weights runs/digits/weights.safetensors --modules
`,
    )
    .action(summarize);
}

async function summarize(options: SummaryOptions): Promise<void> {
  await using model = await open(options);
  if (options.freeze !== undefined) model.freeze(options.freeze);
  const summary = await model.summary({
    batch: options.batch,
    detail: options.modules ? 'modules' : 'parts',
    ...(options.size === undefined ? {} : { size: options.size }),
  });
  console.log(options.json ? JSON.stringify(summary) : String(summary));
}

function open({ variant, weights, classes, device, implementation, memory }: SummaryOptions): Promise<DenseNet> {
  const run = { device, implementation, memory };
  if (weights !== undefined) return DenseNet.load(weights, run);
  return DenseNet.create({ variant, ...(classes === undefined ? {} : { numClasses: classes }), ...run });
}
