import { DenseNetError } from '../errors';

const versionKey = 'libtorch_densenet.version';
const configKey = 'libtorch_densenet.config';

/** The layout of the configuration in a file; raised when older readers could misread it. */
const layoutVersion = '1';

/** A model's configuration as metadata of its file. `format: 'pt'` is what Python's readers look for. */
export function configToMetadata(config: object): Record<string, string> {
  return { format: 'pt', [versionKey]: layoutVersion, [configKey]: JSON.stringify(config) };
}

/**
 * The configuration that a file's metadata hold, its fields unchecked; nothing when there is none.
 *
 * @throws DenseNetError `ERR_FILE_FORMAT` when there is one that cannot be read.
 */
export function metadataToConfig(metadata: Readonly<Record<string, string>>): Record<string, unknown> | undefined {
  const text = metadata[configKey];
  if (text === undefined) return undefined;
  const version = metadata[versionKey];
  if (version !== layoutVersion)
    throw new DenseNetError(
      'ERR_FILE_FORMAT',
      `the file's configuration has version ${String(version)}, and this package reads version ${layoutVersion}. Use a newer package.`,
    );
  try {
    const config: unknown = JSON.parse(text);
    if (typeof config === 'object' && config !== null && !Array.isArray(config))
      return config as Record<string, unknown>;
  } catch (error) {
    throw new DenseNetError('ERR_FILE_FORMAT', "the file's configuration is not JSON.", { cause: error });
  }
  throw new DenseNetError('ERR_FILE_FORMAT', "the file's configuration is not an object.");
}
