import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import colors from 'picocolors';
import { areRows, type Dataset } from '../data/dataset';
import { DenseNetError, fileError } from '../errors';
import { DenseNet } from '../model/densenet';
import type { Device } from '../model/run-options';
import { readRun, takeImages, type RunRecord } from '../report/collect';
import { judge, type Judged } from '../report/judge';
import { renderPage, type ReportContent, type ShownImage } from '../report/page';
import { toPngs, toVeil } from '../report/pictures';
import { typedArrayKind } from '../validate';
import { deviceOption, wholeNumber } from './arguments';
import { openData, type DataOptions } from './data';
import { percent } from './terminal';

interface ReportOptions {
  out?: string;
  pictures: number;
  device: Device;
}

/** `densenet report` */
export function reportCommand(): Command {
  return new Command('report')
    .description('make one page of how a run went: curves, confusions, mistakes and what the network looks at')
    .argument('<run>', 'the folder that `densenet train` or `densenet finetune` made')
    .option('--out <file>', 'where the page goes, default report.html in the folder')
    .option('--pictures <n>', 'how many mistakes, and how many right ones, to show', wholeNumber(0), 12)
    .addOption(deviceOption())
    .addHelpText('after', '\nExample:\n  $ densenet report runs/digits\n')
    .action(report);
}

async function report(run: string, { out, pictures, device }: ReportOptions): Promise<void> {
  const record = await readRun(run);
  const { data, seed } = record.config as { data?: DataOptions; seed?: number };
  if (data === undefined)
    throw new DenseNetError('ERR_FILE_FORMAT', `${run}/config.json does not say which data the run was on.`);
  await using model = await DenseNet.load(path.join(run, 'weights.safetensors'), { device });
  const { validation } = await openData(data, seed ?? 1);
  const page = await renderPage(await compose(record, model, validation, pictures));
  const file = out ?? path.join(run, 'report.html');
  await writeFile(file, page).catch((error: unknown) => {
    throw fileError(file, error);
  });
  console.log(`${colors.green(file)}: one page, ${Math.round(page.length / 1024)} KB, to open in a browser`);
}

async function compose(
  record: RunRecord,
  model: DenseNet,
  validation: Dataset,
  pictures: number,
): Promise<ReportContent> {
  const raw =
    validation.kind === 'streamed'
      ? validation.dtype === 'uint8'
      : typedArrayKind(validation.images.data) === 'Uint8Array';
  const judged = await judge(model, validation);
  const mistakes = judged.filter(({ right }) => !right).sort((a, b) => b.error - a.error);
  const right = judged.filter((one) => one.right).sort((a, b) => a.error - b.error);
  const show = (list: Judged[]): Promise<ShownImage[]> => showImages(model, validation, raw ? list : []);
  return {
    record,
    wrong: new Set(mistakes.map(({ image }) => image)).size,
    mistakes: await show(mistakes.slice(0, pictures)),
    examples: await show(oneOfEach(right, pictures)),
    ...(raw ? {} : { note: 'The data are floats, of which no pictures can be shown.' }),
  };
}

/** As many of each class as there is room for, one class after another. */
function oneOfEach(right: readonly Judged[], most: number): Judged[] {
  const met = new Map<number, number>();
  const turn = right.map((one) => {
    const number = met.get(one.seen) ?? 0;
    met.set(one.seen, number + 1);
    return { one, number };
  });
  const chosen = turn.sort((a, b) => a.number - b.number || a.one.seen - b.one.seen).slice(0, most);
  return chosen.map(({ one }) => one);
}

async function showImages(model: DenseNet, dataset: Dataset, list: readonly Judged[]): Promise<ShownImage[]> {
  if (list.length === 0) return [];
  const { images, places } = await takeImages(
    dataset,
    list.map(({ image }) => image),
  );
  const shown = list.filter(({ image }) => places.includes(image));
  if (shown.length === 0) return [];
  const maps = await model.gradCam(images, { class: shown.map(({ seen }) => seen), dtype: 'uint8' });
  const [pngs, veils] = await Promise.all([toPngs(images), Promise.all(maps.map(toVeil))]);
  const name = (label: number | undefined): string => dataset.classes[label ?? -1] ?? String(label);
  const describe = (one: Judged): string => {
    const seen = `${name(one.seen)}, ${percent(one.probability)}`;
    if (one.right) return seen;
    if (!areRows(dataset.labels)) return `${name(dataset.labels[one.image])}, taken for ${seen}`;
    return one.truth ? `missed: ${seen}` : `not there: ${seen}`;
  };
  return shown.map((one, index) => ({
    picture: pngs[index] as string,
    veil: veils[index] as string,
    seen: name(one.seen),
    caption: describe(one),
    source: dataset.files?.[one.image] ?? `image ${one.image} of the test data`,
  }));
}
