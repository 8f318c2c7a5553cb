import { DenseNetError } from '../errors';
import { show } from '../validate';
import { findDuplicateKey } from './json';

const versionKey = 'libtorch_densenet.version';
const configKey = 'libtorch_densenet.config';

/** Of a checkpoint: what its training state is of, see lib/training/checkpoint-metadata.ts. */
export const trainingKey = 'libtorch_densenet.training';

/** Of a checkpoint: which parts of its model were frozen, see lib/training/checkpoint-metadata.ts. */
export const frozenKey = 'libtorch_densenet.frozen';

/** The layout of the configuration in a file; raised when older readers could misread it. */
const layoutVersion = '1';

/** A model's configuration as metadata of its file. `format: 'pt'` is what Python's readers look for. */
export function configToMetadata(config: object): Record<string, string> {
  return { format: 'pt', [versionKey]: layoutVersion, [configKey]: JSON.stringify(config) };
}

/**
 * The configuration that a file's metadata hold, its fields unchecked; nothing when there is none.
 *
 * @param path For messages.
 * @throws DenseNetError `ERR_FILE_FORMAT` when there is one that cannot be read.
 */
export function metadataToConfig(
  path: string,
  metadata: Readonly<Record<string, string>>,
): Record<string, unknown> | undefined {
  const text = metadata[configKey];
  if (text === undefined) return undefined;
  const version = metadata[versionKey];
  const fault = (what: string, cause?: unknown): DenseNetError =>
    new DenseNetError('ERR_FILE_FORMAT', `${path} has a configuration that cannot be used: it ${what}.`, { cause });
  if (version !== layoutVersion)
    throw fault(
      version === undefined
        ? 'has no version. Save the file anew, or create the model and call loadWeights'
        : `has version ${version}, and this package reads version ${layoutVersion}. A newer package may read it`,
    );
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (error) {
    throw fault('is not JSON', error);
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) throw fault('is not an object');
  const duplicate = findDuplicateKey(Buffer.from(text));
  if (duplicate !== undefined) throw fault(`has the key ${show(duplicate)} twice`);
  return config as Record<string, unknown>;
}
