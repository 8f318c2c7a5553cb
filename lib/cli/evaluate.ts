import { Command } from 'commander';
import { DenseNet } from '../model/densenet';
import type { Device } from '../model/run-options';
import { dataOption, deviceOption, jsonOption, pictureOptions, wholeNumber } from './arguments';
import { withConfigFile } from './config-file';
import { openData, toDataOptions, type DataFlags } from './data';
import { percent, printGrid, printTable } from './terminal';

interface EvaluateOptions extends DataFlags {
  weights: string;
  batchSize: number;
  seed: number;
  device: Device;
  config?: string;
  json: boolean;
}

/** `densenet evaluate` */
export function evaluateCommand(): Command {
  const command = new Command('evaluate')
    .description('measure saved weights on the data that were kept to test on')
    .addOption(dataOption().default('digits'))
    .requiredOption('--weights <file>', 'a file that `densenet train` or `densenet finetune` saved')
    .option('--batch-size <n>', 'images at once', wholeNumber(1), 64)
    .option('--seed <n>', 'of the run, which decided what was kept', wholeNumber(0), 1)
    .addOption(deviceOption());
  return pictureOptions(command)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ densenet evaluate --data digits --weights runs/digits/weights.safetensors
  $ densenet evaluate --data flowers --weights runs/flowers/weights.safetensors
`,
    )
    .action(evaluate);
}

async function evaluate(given: EvaluateOptions, command: Command): Promise<void> {
  const options = await withConfigFile(command, given);
  await using model = await DenseNet.load(options.weights, { device: options.device });
  const { imageSize, resizeSize, interpolation, inChannels, classes } = model.config;
  const own = {
    ...(imageSize && { imageSize, resizeSize, interpolation, channels: inChannels as 1 | 3 }),
    ...(classes && { classes }),
  };
  const { validation } = await openData({ ...own, ...toDataOptions(options) }, options.seed);
  const evaluation = await model.evaluate(validation, { batchSize: options.batchSize });
  if (options.json) {
    console.log(JSON.stringify(evaluation));
    return;
  }
  printTable([
    ['Images', String(evaluation.size)],
    // Where an image may have several labels: all of them right; and there is no best five.
    ['Accuracy', percent(evaluation.top1)],
    ['Among the best five', Number.isNaN(evaluation.top5) ? 'not measured' : percent(evaluation.top5)],
    ['Loss', evaluation.loss.toFixed(4)],
    ['Calibration error', percent(evaluation.calibration.error)],
    ['Mean area under ROC', evaluation.rocAuc?.toFixed(4) ?? 'not measured'],
  ]);
  printGrid(
    ['Class', 'Images', 'Precision', 'Recall', 'F1'],
    evaluation.perClass.map(({ label, support, precision, recall, f1 }) => [
      label,
      support,
      percent(precision),
      percent(recall),
      percent(f1),
    ]),
  );
}
