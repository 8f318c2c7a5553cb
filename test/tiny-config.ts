import type { CreateOptions } from '../lib';

// Of the package only types: what is here serves tests of its sources and scripts that have it compiled.

/** A network that takes a millisecond, for tests that are about something else. */
export const tinyConfig = {
  growthRate: 4,
  blockConfig: [2, 2],
  initChannels: 8,
  stem: 'cifar',
  inChannels: 1,
  numClasses: 3,
  device: 'cpu',
} as const satisfies CreateOptions;

/** The same as options of its own, which may be changed. */
export function tinyOptions(options: CreateOptions = {}) {
  return { ...tinyConfig, blockConfig: [...tinyConfig.blockConfig], seed: 1, ...options };
}
