import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { CreateOptions, ScheduleOptions, TensorData, TrainerOptions } from '../../lib';
import { readTensors } from '../parity/fixture';

const folder = path.join(__dirname, 'fixtures');

/** What torch's scheduler makes of a rate, see make_fixtures.py. */
export interface ScheduleFixture {
  options: ScheduleOptions;
  lr: number;
  learningRate: number[];
  /** Empty where it stays. */
  momentum: number[];
  /** What each epoch came to, for a plateau. */
  values?: number[];
}

export function readSchedules(): Record<string, ScheduleFixture> {
  const bytes = gunzipSync(readFileSync(path.join(folder, 'schedules.json.gz')));
  return JSON.parse(bytes.toString()) as Record<string, ScheduleFixture>;
}

/** A set of options and what PyTorch came to with it. */
export interface TrainingCase {
  labels: 'index' | 'soft' | 'several';
  options: TrainerOptions;
  losses: number[];
}

export interface TrainingFixture {
  config: CreateOptions;
  epochs: number;
  batchSize: number;
  cases: Record<string, TrainingCase>;
}

export function readTrainingFacts(): TrainingFixture {
  return JSON.parse(readFileSync(path.join(folder, 'training.json'), 'utf8')) as TrainingFixture;
}

export async function readTrainingTensors(): Promise<Map<string, TensorData>> {
  return readTensors(await readFile(path.join(folder, 'training.safetensors')));
}

/** The tensors under a prefix, by the names after it. */
export function under(tensors: Map<string, TensorData>, prefix: string): Map<string, TensorData> {
  const entries = [...tensors].filter(([name]) => name.startsWith(`${prefix}.`));
  return new Map(entries.map(([name, tensor]) => [name.slice(prefix.length + 1), tensor]));
}
