import { existsSync } from 'node:fs';
import path from 'node:path';
import { findCores, kernelsName } from './cores';
import { compareVersions } from './locate';

export const packageRoot = path.join(__dirname, '..', '..');

/** The versions of libtorch that the addon was built against, the newest first. */
export async function addonVersions(): Promise<string[]> {
  return [...(await findCores(packageRoot)).keys()].sort((a, b) => compareVersions(b, a));
}

/** Whether the CUDA kernels of our own lie beside a core library. */
export function hasCudaKernels(corePath: string): boolean {
  return existsSync(path.join(path.dirname(corePath), kernelsName));
}
