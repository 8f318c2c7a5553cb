import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Dataset } from '../data/dataset';
import { subset } from '../data/parts';
import { DenseNetError, reasonOf } from '../errors';
import type { DenseNet } from '../model/densenet';
import { joinArrays, type TensorData } from '../tensor';
import type { Evaluation } from '../training/evaluation';
import type { EpochEvent, StepEvent, TrainingEvent } from '../training/events';

/** Images that are classified at once. */
const AT_ONCE = 64;

/** What a run left in its folder. */
export interface RunRecord {
  folder: string;
  config: { command: string } & Record<string, unknown>;
  run: { started: string; device: string; threads: number; versions: Record<string, string> };
  steps: StepEvent[];
  epochs: EpochEvent[];
  summary: { interrupted: boolean; seconds?: number; test: Evaluation };
}

/** What the model said of one image that it was tested on. */
export interface Judged {
  /** Its place in the data set. */
  image: number;
  truth: number;
  predicted: number;
  /** Of the class that was predicted. */
  probability: number;
}

/**
 * Reads a run's folder.
 *
 * @throws DenseNetError `ERR_FILE` where it is none, `ERR_FILE_FORMAT` where a file in it is damaged.
 */
export async function readRun(folder: string): Promise<RunRecord> {
  const [config, run, summary] = (await Promise.all(
    ['config.json', 'run.json', 'summary.json'].map(async (name) => parse(name, await read(folder, name))),
  )) as [RunRecord['config'], RunRecord['run'], RunRecord['summary']];
  const lines = (await read(folder, 'log.jsonl')).split('\n').filter((line) => line !== '');
  // A process that was killed may have left half a line.
  const events = lines.flatMap((line, index) =>
    index === lines.length - 1 && !line.endsWith('}') ? [] : [parse('log.jsonl', line) as TrainingEvent],
  );
  return {
    folder,
    config,
    run,
    summary,
    steps: events.filter((event) => event.type === 'step'),
    epochs: events.filter((event) => event.type === 'epoch'),
  };
}

async function read(folder: string, name: string): Promise<string> {
  try {
    return await readFile(path.join(folder, name), 'utf8');
  } catch (error) {
    const reason = reasonOf(error);
    throw new DenseNetError(
      'ERR_FILE',
      `${folder} is no folder of a finished run: ${reason}. Name one that \`densenet train\` or \`finetune\` made.`,
      { cause: error },
    );
  }
}

function parse(name: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DenseNetError('ERR_FILE_FORMAT', `${name} is damaged: ${String(error)}`, { cause: error });
  }
}

/** Classifies every image of a data set. */
export async function judge(model: DenseNet, dataset: Dataset): Promise<Judged[]> {
  const judged: Judged[] = [];
  for (let start = 0; start < dataset.size; start += AT_ONCE) {
    const indices = Array.from({ length: Math.min(AT_ONCE, dataset.size - start) }, (_, index) => start + index);
    const { images, places } = await takeImages(dataset, indices);
    if (places.length === 0) continue;
    const predictions = await model.predict(images, { topK: 1 });
    for (const [index, { index: predicted, probability }] of predictions.entries()) {
      const image = places[index] as number;
      judged.push({ image, truth: dataset.labels[image] as number, predicted, probability });
    }
  }
  return judged;
}

/** Images N×C×H×W of a data set, without those that are left out; and which those are. */
export async function takeImages(
  dataset: Dataset,
  indices: readonly number[],
): Promise<{ images: TensorData; places: number[] }> {
  if (dataset.kind === 'array') return { images: subset(dataset, indices).images, places: [...indices] };
  const { signal } = new AbortController();
  const read = await Promise.all(indices.map((index) => dataset.read(index, signal)));
  const places = indices.filter((_, index) => read[index] !== undefined);
  const pieces = read.filter((image) => image !== undefined);
  return { images: { data: joinArrays(pieces), shape: [places.length, ...dataset.imageShape] }, places };
}
