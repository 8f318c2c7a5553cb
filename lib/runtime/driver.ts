import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { runCommand } from './fetch';
import { compareVersions } from './locate';

/** A graphics card, as NVIDIA's driver tells of it. */
export interface Gpu {
  name: string;
  /** Where the driver says it. */
  totalBytes?: number;
  freeBytes?: number;
}

/** What is known of NVIDIA's driver on this machine. */
export interface DriverFacts {
  /** Such as `580.65.06`; nothing where there is no driver. */
  version?: string;
  gpus: Gpu[];
  /** What nvidia-smi complained of. */
  fault?: string;
}

export interface DriverPlaces {
  env?: NodeJS.ProcessEnv;
  /** Where the kernel's driver tells of itself. */
  proc?: string;
}

const query = ['--query-gpu=driver_version,name,memory.total,memory.free', '--format=csv,noheader,nounits'];

/** Looks for NVIDIA's driver: asks nvidia-smi, and reads what the kernel shows where that is not to be had. */
export async function findDriver({
  env = process.env,
  proc = '/proc/driver/nvidia',
}: DriverPlaces = {}): Promise<DriverFacts> {
  const { code, output } = await runCommand('nvidia-smi', query, env, undefined, AbortSignal.timeout(20_000));
  if (code === 0) {
    const lines = output.split('\n').filter((line) => /^\d+\.\d+/.test(line));
    const version = lines[0]?.split(',')[0]?.trim();
    if (version !== undefined) return { version, gpus: lines.map(readGpu) };
  }
  const kernel = await readFile(path.join(proc, 'version'), 'utf8').catch(() => '');
  const version = /\s(\d{3,}\.\d+(?:\.\d+)?)\s/.exec(kernel.split('\n')[0] ?? '')?.[1];
  // A command that is not there says nothing of the driver.
  const fault = code === null ? undefined : output.trim().split('\n')[0];
  return {
    ...(version === undefined ? {} : { version }),
    gpus: await kernelGpus(proc),
    ...(fault ? { fault } : {}),
  };
}

/** A line such as `580.65.06, NVIDIA H100 80GB HBM3, 81559, 81079`, in MiB; what is not known stands in brackets. */
function readGpu(line: string): Gpu {
  const [, name = '', total = '', free = ''] = line.split(',').map((part) => part.trim());
  return { name, ...bytesOf('totalBytes', total), ...bytesOf('freeBytes', free) };
}

function bytesOf(key: 'totalBytes' | 'freeBytes', mebibytes: string): Partial<Gpu> {
  return /^\d+$/.test(mebibytes) ? { [key]: Number(mebibytes) * 2 ** 20 } : {};
}

async function kernelGpus(proc: string): Promise<Gpu[]> {
  const folder = path.join(proc, 'gpus');
  const names = await readdir(folder).catch(() => []);
  const texts = await Promise.all(
    names.map((name) => readFile(path.join(folder, name, 'information'), 'utf8').catch(() => '')),
  );
  return texts.flatMap((text) => {
    const name = /^Model:\s*(.+)$/m.exec(text)?.[1]?.trim();
    return name === undefined ? [] : [{ name }];
  });
}

/** The oldest driver for Linux that runs programs of a CUDA version, by its major number (NVIDIA's release notes). */
const oldestDrivers: Record<string, string> = { 11: '450.80.02', 12: '525.60.13', 13: '580.65.06' };

/**
 * The driver that a CUDA version needs, where the one that is there is too old.
 *
 * @param cuda Such as `13.0`.
 */
export function driverNeeded(driver: string, cuda: string): string | undefined {
  const oldest = oldestDrivers[cuda.split('.')[0] as string];
  return oldest !== undefined && compareVersions(driver, oldest) < 0 ? oldest : undefined;
}

/** What brings or renews the driver. */
export const mendDriver = 'sudo apt-get install nvidia-driver   (or from https://www.nvidia.com/drivers; then restart)';
