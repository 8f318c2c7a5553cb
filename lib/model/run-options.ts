import type { NativeRunOptions } from '../native';
import { DenseNetError } from '../errors';
import { checkOneOf, didYouMean, show } from '../validate';

/** Where a model computes. `auto`: CUDA where it works, otherwise the CPU (`runtimeInfo()` says why). */
export type Device = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`;

/** The options of every way to a model that say how it runs. */
export const runKeys = ['device', 'implementation', 'memory'] as const;

export function checkDevice(device: unknown): Device {
  if (device === undefined) return 'auto';
  if (typeof device === 'string' && /^(auto|cpu|cuda(:\d{1,2})?)$/.test(device)) return device as Device;
  const hint = typeof device === 'string' ? didYouMean(device, ['auto', 'cpu', 'cuda', 'cuda:0']) : '';
  throw new DenseNetError(
    'ERR_INVALID_ARGUMENT',
    `device must be "auto", "cpu", "cuda" or "cuda:N"; got ${show(device)}.${hint}`,
  );
}

export function checkRunOptions({
  implementation = 'auto',
  memory = 'auto',
}: Partial<NativeRunOptions>): NativeRunOptions {
  checkOneOf('implementation', implementation, ['auto', 'reference']);
  checkOneOf('memory', memory, ['auto', 'fast', 'efficient']);
  return { implementation, memory };
}
