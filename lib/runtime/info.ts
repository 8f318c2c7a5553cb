import { checkInteger } from '../validate';
import { toDenseNetError } from '../errors';
import { loadAddon } from './load';
import { whyNoCuda, type WhyNoCuda } from './why-no-cuda';

/** What the process runs on. */
export interface RuntimeInfo {
  /** This package's version. */
  version: string;
  /** The libtorch that was loaded. */
  libtorch: {
    /** Such as `2.13.0`. */
    version: string;
    /** Its folder. */
    path: string;
    /** `cpu`, or the CUDA version that it was built for, such as `cu130`. */
    build: string;
    /** Where it was found: `LIBTORCH`, `installed` (by `densenet install-libtorch`), `cache`, `python`, … */
    source: string;
  };
  /** Whether models can compute on NVIDIA GPUs. */
  cuda: {
    /** Whether there is a device that can be used. */
    available: boolean;
    /** Why not, and so why `device: 'auto'` is the CPU; only where it is not available. */
    reason?: string;
    /** The one command that mends it; only where it is not available. */
    mend?: string;
    /** `cuda:0`, … */
    devices: string[];
    /** Why blocks run module by module there; only where CUDA is available and they do (docs/guides/cuda.md). */
    engineOff?: string;
  };
  /** Threads that one operation uses on the CPU. */
  threads: number;
  /** The instruction set that libtorch uses on this CPU, such as `AVX2`. */
  cpuCapability: string;
}

/** Found out once: libtorch's own view of the machine does not change in a process, and the driver is asked by a command. */
let why: Promise<WhyNoCuda> | undefined;

/**
 * Loads libtorch, if that is not done yet, and says what the process runs on and why.
 *
 * @throws DenseNetError `ERR_LIBTORCH_NOT_FOUND`, `ERR_LIBTORCH_VERSION`, `ERR_LIBTORCH_ALREADY_LOADED` or `ERR_ADDON_LOAD`.
 */
export async function runtimeInfo(): Promise<RuntimeInfo> {
  const { native, libtorch, passedOver } = await loadAddon();
  const facts = await native.runtimeFacts();
  if (facts.cudaReason !== '') why ??= whyNoCuda({ said: facts.cudaReason, libtorch, passedOver });
  // Read here and not at import, so that importing the package touches no file.
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { version } = require('../../package.json') as { version: string };
  return {
    version,
    libtorch: { version: facts.libtorchVersion, path: libtorch.path, build: libtorch.build, source: libtorch.source },
    cuda: {
      available: facts.cudaDevices.length > 0,
      ...(await why),
      devices: facts.cudaDevices,
      ...(facts.cudaEngine === '' ? {} : { engineOff: facts.cudaEngine }),
    },
    threads: facts.threads,
    cpuCapability: facts.cpuCapability,
  };
}

/**
 * Seeds libtorch's own random numbers, on every device: what models and trainers without a `seed` of their own draw
 * their weights, orders and masks from.
 *
 * @param seed A whole number from 0 to 2^53 − 1.
 * @throws DenseNetError `ERR_INVALID_ARGUMENT`, or one of those of {@link runtimeInfo}.
 */
export async function manualSeed(seed: number): Promise<void> {
  checkInteger('seed', seed, 0);
  const { native } = await loadAddon();
  await native.manualSeed(seed).catch((error: unknown) => {
    throw toDenseNetError(error);
  });
}
