import type { ModelConfig } from './config';

/**
 * The network's parts in the order in which fine-tuning reaches them: first the classifier, then the last block with its
 * norm, each block before it with its transition, and the stem. Each stage is a list of dotted names.
 */
export function stagesOf({ blockConfig, stem }: ModelConfig): string[][] {
  const last = blockConfig.length;
  const blocks = blockConfig.map((_, index) => {
    const number = index + 1;
    const after = number === last ? 'features.norm5' : `features.transition${number}`;
    return [`features.denseblock${number}`, after];
  });
  const start = stem === 'imagenet' ? ['features.conv0', 'features.norm0'] : ['features.conv0'];
  return [['classifier'], ...blocks.reverse(), start];
}
