import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Dataset } from '../data/dataset';
import { subset } from '../data/parts';
import { DenseNetError, reasonOf } from '../errors';
import { joinArrays, type TensorData } from '../tensor';
import type { Evaluation } from '../training/evaluation';
import type { EpochEvent, RunPlace, StepEvent, TrainingEvent } from '../training/events';

/** An event of a log, with the phase of a run that has several. */
type Logged<Event> = Event & { phase?: string };

/** What a run left in its folder. */
export interface RunRecord {
  folder: string;
  config: { command: string } & Record<string, unknown>;
  run: {
    started: string;
    device: string;
    threads: number;
    versions: Record<string, string>;
    /** When and where it was gone on with. */
    resumed?: ({ at: string; phase?: string } & RunPlace)[];
  };
  steps: Logged<StepEvent>[];
  epochs: Logged<EpochEvent>[];
  summary: { interrupted: boolean; seconds?: number; test: Evaluation };
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
    index === lines.length - 1 && !line.endsWith('}') ? [] : [parse('log.jsonl', line) as Logged<TrainingEvent>],
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
