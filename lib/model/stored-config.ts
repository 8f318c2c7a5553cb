import { DenseNetError } from '../errors';
import { elementCount } from '../tensor';
import { show } from '../validate';
import { metadataToConfig } from '../weights/config-metadata';
import { configFromFile, stateLength, type ModelConfig } from './config';
import type { ParsedWeights } from './weights';

/**
 * The configuration that a file carries, which its weights have values enough for.
 *
 * @throws DenseNetError `ERR_FILE_FORMAT` or `ERR_WEIGHTS_MISMATCH`.
 */
export function storedConfig(path: string, { checkpoint, state }: ParsedWeights): ModelConfig {
  const stored = metadataToConfig(path, checkpoint.metadata);
  if (stored === undefined)
    throw new DenseNetError(
      'ERR_FILE_FORMAT',
      `${path} holds weights but no configuration, as all files that Python wrote. Say what network it is: ` +
        `const model = await DenseNet.create({ variant: 'densenet121', numClasses: 1000 }), then ` +
        `await model.loadWeights(${show(path)}).`,
    );
  const config = configFromFile(path, stored);
  const needed = stateLength(config);
  const held = state.entries.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  // Before the network is made: a damaged configuration may describe one that no memory holds.
  if (needed > held)
    throw new DenseNetError(
      'ERR_WEIGHTS_MISMATCH',
      `${path} does not fit the model that its configuration describes: that has ${needed} values, and the file holds ${held}. Nothing was loaded; get or save the file anew.`,
    );
  return config;
}
