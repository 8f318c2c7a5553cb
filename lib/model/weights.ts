import path from 'node:path';
import { DenseNetError } from '../errors';
import { checkBoolean, checkOneOf, checkOptions, checkString } from '../validate';
import { configToMetadata } from '../weights/config-metadata';
import { readSafetensors, safetensorsHeader } from '../weights/safetensors';
import type { TensorEntry } from '../weights/tensor-entry';
import type { ModelHandle } from './handle';

export interface LoadWeightsOptions {
  /** Whether the file must hold every tensor of the model and no other; default true. */
  strict?: boolean;
}

export interface SaveWeightsOptions {
  /** Default and for now the only one: `safetensors`. */
  format?: 'safetensors';
}

/** What became of each tensor. */
export interface LoadReport {
  /** Names that were taken from the file. */
  matched: string[];
  /** Names of the model that the file does not have, or has in another shape; they stayed as they were. */
  missing: string[];
  /** Names of the file that the model does not have, or has in another shape. */
  unexpected: string[];
  /** Names whose tensor was changed to fit. */
  adapted: string[];
}

/** Reads weights from a file into a model, all or none. */
export async function readWeights(
  handle: ModelHandle,
  file: string,
  options?: LoadWeightsOptions,
): Promise<LoadReport> {
  checkString('path', file);
  const { strict = true } = checkOptions('options', options, ['strict']);
  checkBoolean('strict', strict);
  const prepare = async () => {
    const { entries } = await readSafetensors(file);
    const { report, fitting, misfits } = match(handle, entries);
    const complete = report.missing.length + report.unexpected.length === 0;
    if ((strict && !complete) || fitting.length === 0) throw mismatch(file, report, misfits);
    return { report, fitting };
  };
  return handle.callPrepared(prepare, async (native, { report, fitting }) => {
    await native.load(path.resolve(file), fitting);
    return report;
  });
}

/** Writes a model's weights and configuration. */
export async function writeWeights(handle: ModelHandle, file: string, options?: SaveWeightsOptions): Promise<void> {
  checkString('path', file);
  const { format = 'safetensors' } = checkOptions('options', options, ['format']);
  checkOneOf('format', format, ['safetensors']);
  const { header } = safetensorsHeader([...handle.entries], configToMetadata(handle.config));
  await handle.call((native) => native.save(path.resolve(file), header));
}

function match(handle: ModelHandle, entries: TensorEntry[]) {
  const own = new Map(handle.entries.map((entry) => [entry.name, entry]));
  const fitting: TensorEntry[] = [];
  const misfits: string[] = [];
  const unexpected: string[] = [];
  for (const entry of entries) {
    const target = own.get(entry.name);
    if (target === undefined) {
      unexpected.push(entry.name);
    } else if (target.shape.join() !== entry.shape.join()) {
      unexpected.push(entry.name);
      misfits.push(
        `${entry.name} is [${entry.shape.join(', ')}] in the file, but [${target.shape.join(', ')}] in the model`,
      );
    } else {
      fitting.push(entry);
    }
  }
  const matched = fitting.map(({ name }) => name);
  const taken = new Set(matched);
  const missing = handle.entries.map(({ name }) => name).filter((name) => !taken.has(name));
  const report: LoadReport = { matched, missing, unexpected, adapted: [] };
  return { report, fitting, misfits };
}

function mismatch(file: string, { matched, missing, unexpected }: LoadReport, misfits: string[]): DenseNetError {
  return new DenseNetError(
    'ERR_WEIGHTS_MISMATCH',
    [
      `${file} does not fit the model: ${matched.length} tensors match.`,
      ...summarize('of another shape', misfits),
      ...summarize('missing from the file', missing),
      ...summarize('unknown to the model', unexpected),
      'Nothing was loaded. Create the model with the configuration that the file was made with, or pass strict: false to take what fits.',
    ].join('\n'),
  );
}

function summarize(what: string, names: string[]): string[] {
  if (names.length === 0) return [];
  const more = names.length > 5 ? `, and ${names.length - 5} more` : '';
  return [`  ${names.length} ${what}: ${names.slice(0, 5).join(', ')}${more}`];
}
