import path from 'node:path';
import { DenseNetError } from '../errors';
import type { FilePiece, NativeModel } from '../native';
import { checkBoolean, checkOneOf, checkOptions, checkPath } from '../validate';
import { withFileSource, type ByteSource } from '../weights/byte-source';
import { readCheckpoint, type Checkpoint } from '../weights/checkpoint';
import { configToMetadata } from '../weights/config-metadata';
import { fitTensors, type Fit, type FitOptions, type LoadReport } from '../weights/fit';
import { toModelName, toModelNames } from '../weights/names';
import { safetensorsHeader } from '../weights/safetensors';
import { readStateDict, type StateDict } from '../weights/state-dict';
import { torchZipPieces } from '../weights/torch-zip-writer';
import type { ModelHandle } from './handle';

/** Options of `DenseNet.loadWeights`. */
export interface LoadWeightsOptions {
  /** Whether the file must hold every tensor of the model and no other; default true. */
  strict?: boolean;
  /**
   * Whether filters for RGB images are made to fit a model of other channels, by timm's rule: summed for one channel,
   * otherwise repeated and scaled by 3/C. Default false.
   */
  adaptInput?: boolean;
  /** Whether the model keeps its own classifier where the file's is for other classes or is missing; default false. */
  adaptClassifier?: boolean;
}

/** Options of `DenseNet.saveWeights`. */
export interface SaveWeightsOptions {
  /** `safetensors`, the default, or `pth`: what `torch.load` reads, with `weights_only=True` too. */
  format?: 'safetensors' | 'pth';
}

/** Reads weights from a file into a model, all or none. */
export async function readWeights(
  handle: ModelHandle,
  file: string,
  options?: LoadWeightsOptions,
): Promise<LoadReport> {
  checkPath('path', file);
  const given = checkOptions('options', options, ['strict', 'adaptInput', 'adaptClassifier']);
  const { strict = true, adaptInput = false, adaptClassifier = false } = given;
  checkBoolean('strict', strict);
  checkBoolean('adaptInput', adaptInput);
  checkBoolean('adaptClassifier', adaptClassifier);
  const prepare = () =>
    withFileSource(file, async (source) => {
      const parsed = await parseWeights(source);
      return fitParsed(handle, file, parsed, { strict, adaptInput, adaptClassifier });
    });
  return handle.callPrepared(prepare, loadInto(file));
}

/** A file of weights, read but for its tensors. */
export interface ParsedWeights {
  checkpoint: Checkpoint;
  state: StateDict;
}

export async function parseWeights(source: ByteSource): Promise<ParsedWeights> {
  const checkpoint = await readCheckpoint(source);
  return { checkpoint, state: readStateDict(source.name, checkpoint) };
}

/** Takes all weights of a file that is parsed and still open into a model. */
export async function takeWeights(handle: ModelHandle, file: string, parsed: ParsedWeights): Promise<void> {
  const options = { strict: true, adaptInput: false, adaptClassifier: false };
  await handle.callPrepared(() => fitParsed(handle, file, parsed, options), loadInto(file));
}

async function fitParsed(
  handle: ModelHandle,
  file: string,
  { checkpoint, state }: ParsedWeights,
  { strict, ...options }: FitOptions & { strict: boolean },
): Promise<Fit> {
  const fit = fitState(handle, file, state, options);
  const { missing, unexpected } = fit.report;
  if ((strict && missing.length + unexpected.length > 0) || fit.taken.length === 0) throw mismatch(file, fit);
  await checkpoint.verify();
  return fit;
}

function loadInto(file: string) {
  const place = path.resolve(file); // of now: the process may change its folder while the call waits
  return async (native: NativeModel, { report, taken, zeros }: Fit): Promise<LoadReport> => {
    await native.load(place, taken, zeros);
    return report;
  };
}

function fitState(handle: ModelHandle, file: string, { entries, others }: StateDict, options: FitOptions): Fit {
  const own = new Set(handle.entries.map(({ name }) => name));
  for (const [name, what] of others)
    if (own.has(toModelName(name)))
      throw new DenseNetError(
        'ERR_FILE_FORMAT',
        `${file}: ${name} is ${what}, which cannot be read as a tensor. Save it as an ordinary one.`,
      );
  const names = toModelNames(
    file,
    entries.map(({ name }) => name),
  );
  const fit = fitTensors(handle.entries, entries, names, options);
  fit.report.unexpected.push(...others.keys());
  return fit;
}

/** Writes a model's weights and configuration. */
export async function writeWeights(handle: ModelHandle, file: string, options?: SaveWeightsOptions): Promise<void> {
  checkPath('path', file);
  const { format = 'safetensors' } = checkOptions('options', options, ['format']);
  checkOneOf('format', format, ['safetensors', 'pth']);
  const target = path.resolve(file);
  await handle.call((native) => {
    // Not before: a call in front of this one may change the classifier.
    const metadata = configToMetadata(handle.config);
    const pieces = format === 'pth' ? torchZipPieces(handle.entries, metadata) : safetensorsPieces(handle, metadata);
    return native.save(target, pieces);
  });
}

/** A safetensors file of a model's tensors, in pieces. */
export function safetensorsPieces({ entries }: ModelHandle, metadata: Record<string, string>): FilePiece[] {
  return [safetensorsHeader(entries, metadata).header, ...entries.map((_, tensor) => ({ tensor }))];
}

function mismatch(file: string, { report, misfits }: Fit): DenseNetError {
  const { matched, missing, unexpected } = report;
  return new DenseNetError(
    'ERR_WEIGHTS_MISMATCH',
    [
      `${file} does not fit the model: ${matched.length} tensors match.`,
      ...summarize('of another shape', misfits),
      ...summarize('missing from the file', missing),
      ...summarize('unknown to the model', unexpected),
      'Nothing was loaded. Create the model with the configuration that the file was made with, pass strict: false to take what fits, or see adaptInput and adaptClassifier.',
    ].join('\n'),
  );
}

function summarize(what: string, names: string[]): string[] {
  if (names.length === 0) return [];
  const more = names.length > 5 ? `, and ${names.length - 5} more` : '';
  return [`  ${names.length} ${what}: ${names.slice(0, 5).join(', ')}${more}`];
}
