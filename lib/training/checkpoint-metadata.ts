import { DenseNetError } from '../errors';
import type { ModelConfig } from '../model/config';
import type { FrozenPart, ModelHandle } from '../model/handle';
import type { NativeTrainerOptions } from '../native';
import { isArrayOf, show } from '../validate';
import { configToMetadata, frozenKey, metadataToConfig, trainingKey } from '../weights/config-metadata';

/** The layout of the training state; raised when other versions of this package could misread it. */
const layout = 1;

/** What a checkpoint says of the trainer that it is of: as much as decides what its tensors mean. */
interface TrainingDescription {
  layout: number;
  precision: string;
  optimizer: string;
  average: string;
}

function describeTrainer({ precision, optimizer, average }: NativeTrainerOptions): TrainingDescription {
  const { type, amsgrad, centered, momentum } = optimizer;
  const details = [amsgrad && 'amsgrad', centered && 'centered', momentum > 0 && 'momentum'].filter(Boolean);
  return {
    layout,
    precision,
    optimizer: details.length > 0 ? `${type} with ${details.join(' and ')}` : type,
    average: { none: 'none', exponential: 'ema', stochastic: 'swa' }[average.type],
  };
}

/**
 * The `__metadata__` of a checkpoint, as JSON: `DenseNet.load` finds the model's configuration there. What is frozen is that
 * of the run's start, to which a run that goes on adds what it had unfrozen by then.
 */
export function checkpointMetadata({ config, frozenParts }: ModelHandle, options: NativeTrainerOptions): string {
  return JSON.stringify({
    ...configToMetadata(config),
    [trainingKey]: JSON.stringify(describeTrainer(options)),
    [frozenKey]: JSON.stringify(frozenParts),
  });
}

/** The parts that were frozen when a checkpoint was written; undefined where it does not say so. */
export function frozenIn(file: string, metadata: Readonly<Record<string, string>>): FrozenPart[] | undefined {
  const text = metadata[frozenKey];
  if (text === undefined) return undefined;
  const parts = parseJson(text);
  if (isArrayOf<FrozenPart>(parts, isFrozenPart)) return parts;
  throw new DenseNetError(
    'ERR_FILE_FORMAT',
    `${file} says in a way that cannot be read which parts of its model were frozen.`,
  );
}

function isFrozenPart(value: unknown): boolean {
  const { prefix, batchNorm } = (value ?? {}) as Partial<Record<keyof FrozenPart, unknown>>;
  return typeof prefix === 'string' && (batchNorm === 'keep' || batchNorm === 'adapt');
}

/** Refuses a file that does not say that it is a checkpoint, with `ERR_FILE_FORMAT`. */
export function checkIsCheckpoint(file: string, metadata: Readonly<Record<string, string>>): void {
  if (metadata[trainingKey] !== undefined) return;
  throw new DenseNetError(
    'ERR_FILE_FORMAT',
    `${file} holds weights alone, and no training state to go on from. Load it with model.loadWeights, or resume from a file that a Trainer saved.`,
  );
}

/**
 * Checks that a checkpoint, which is known to be whole, is of this model and this trainer.
 *
 * @throws DenseNetError `ERR_CHECKPOINT_MISMATCH`, naming what differs.
 */
export function checkOwner(
  file: string,
  metadata: Readonly<Record<string, string>>,
  config: ModelConfig,
  options: NativeTrainerOptions,
): void {
  const saved = parseDescription(file, metadata[trainingKey] ?? '');
  if (saved.layout !== layout)
    throw new DenseNetError(
      'ERR_CHECKPOINT_MISMATCH',
      `${file} has layout ${show(saved.layout)} of the training state, and this package reads layout ${layout}. Go on with the version of the package that wrote it.`,
    );
  const differences = [
    ...differ(metadataToConfig(file, metadata) ?? {}, config, 'model'),
    ...differ(saved, describeTrainer(options), 'trainer'),
  ];
  if (differences.length === 0) return;
  throw new DenseNetError(
    'ERR_CHECKPOINT_MISMATCH',
    `${file} is a checkpoint of another model or trainer:\n${differences.map((one) => `  ${one}`).join('\n')}\nNothing was taken from it. Make model and trainer with the options that it was saved with.`,
  );
}

function parseDescription(file: string, text: string): Record<string, unknown> {
  const value = parseJson(text);
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw new DenseNetError('ERR_FILE_FORMAT', `${file} has a description of its training state that is not JSON.`);
}

/** What a text says, or undefined where it is no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The fields in which two differ, as sentences. */
function differ(saved: object, own: object, what: string): string[] {
  const [a, b] = [saved, own] as [Record<string, unknown>, Record<string, unknown>];
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys]
    .filter((key) => JSON.stringify(a[key]) !== JSON.stringify(b[key]))
    .map((key) => `${key} of the ${what}: ${brief(a[key])} in the checkpoint, ${brief(b[key])} here`);
}

function brief(value: unknown): string {
  const text = typeof value === 'object' ? JSON.stringify(value) : show(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
