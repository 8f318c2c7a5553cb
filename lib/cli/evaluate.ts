import { Command } from 'commander';
import * as datasets from '../data';
import { DenseNet } from '../model/densenet';
import type { Device } from '../model/run-options';
import { dataOption, deviceOption, jsonOption, wholeNumber } from './arguments';
import { percent, printGrid, printTable } from './terminal';

interface EvaluateOptions {
  data: 'digits';
  weights: string;
  batchSize: number;
  device: Device;
  json: boolean;
}

/** `densenet evaluate` */
export function evaluateCommand(): Command {
  return new Command('evaluate')
    .description('measure saved weights on test data')
    .addOption(dataOption())
    .requiredOption('--weights <file>', 'a file that `densenet train` saved')
    .option('--batch-size <n>', 'images at once', wholeNumber(1), 64)
    .addOption(deviceOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ densenet evaluate --data digits --weights runs/digits/weights.safetensors\n')
    .action(evaluate);
}

async function evaluate({ weights, batchSize, device, json }: EvaluateOptions): Promise<void> {
  const testSet = await datasets.digits('test');
  await using model = await DenseNet.load(weights, { device });
  const evaluation = await model.evaluate(testSet, { batchSize });
  if (json) {
    console.log(JSON.stringify(evaluation));
    return;
  }
  printTable([
    ['Images', String(evaluation.size)],
    ['Accuracy', percent(evaluation.top1)],
    ['Among the best five', percent(evaluation.top5)],
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
