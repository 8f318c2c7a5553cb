import { mkdtemp, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { DenseNetError, reasonOf, toDenseNetError } from '../../errors';
import { addonVersions } from '../addon-versions';
import { driverNeeded, findDriver, mendDriver, type DriverPlaces } from '../driver';
import { lengthOf } from '../download';
import { archiveFor, findPip, pinnedVersion } from '../fetch';
import { cachedFolders, libtorchFolder, readLibtorch, type Libtorch } from '../locate';
import { makeCacheFolder } from '../writable';
import { formatBytes, freeBytes, moreRoom } from './bytes';
import { chooseOfFile, chooseOfWheel } from './choose';
import { askPip, usualCuda, type Wheel } from './pip';
import { tryLoad } from './try-load';
import { unpackedBytes } from './unpack';

/** What is to be installed. */
export interface InstallOptions {
  /** Default: what `from` holds; otherwise `cuda` where there is an NVIDIA driver, and `cpu` elsewhere. */
  build?: 'cpu' | 'cuda' | undefined;
  /** Such as `2.11.0`, or `2.11.0+cu126`; default the one that the addon was built against, where it can be had. */
  version?: string | undefined;
  /** The official archive, torch's wheel, or a folder that holds libtorch. */
  from?: string | undefined;
  /** A folder of wheels to install from, without a network. */
  wheels?: string | undefined;
  /** Of the archive or of the file `from`, in hexadecimal. */
  sha256?: string | undefined;
  env?: NodeJS.ProcessEnv;
  signal?: AbortSignal | undefined;
  /** Gets a line for each thing that is done. */
  report?: (line: string) => void;
  /** Gets bytes, from 0 anew for each thing that is reported. */
  progress?: (done: number, total: number | undefined) => void;
  /** In place of the real ones; for tests. */
  machine?: {
    freeBytes?: (folder: string) => Promise<number>;
    driver?: DriverPlaces;
    archiveUrl?: string;
    backoffMs?: number;
  };
}

/** What an installation would do, before anything is fetched. */
export interface InstallPlan {
  source: Source;
  build: 'cpu' | 'cuda';
  version: string;
  /** What is fetched or read, each with its size where that is known. */
  parts: { name: string; bytes?: number | undefined }[];
  /** Whether the parts come over the network. */
  fetches: boolean;
  /** Room that it takes while it is being done: reckoned, where sizes are unknown or wheels are yet to be fetched. */
  neededBytes: number;
  freeBytes: number;
  /** The cache's folder of libtorchs. */
  folder: string;
  /** What the user should know beforehand. */
  notes: string[];
}

export type Source =
  /** Installed before. */
  | { type: 'there'; place: string; libtorch: Libtorch }
  /** A folder of the user's, which is used where it lies. */
  | { type: 'folder'; place: string; libtorch: Libtorch }
  | { type: 'file'; file: string; sha256?: string | undefined }
  | { type: 'wheels'; python: string; way: string[]; wheels: Wheel[] }
  | { type: 'archive'; url: string; sha256?: string | undefined };

/** The newest version on PyPI whose Linux wheel is a CUDA build everywhere. */
const pinnedCudaVersion = '2.11.0';

/** What a wheel unpacks to, and what a build takes whose wheels do not tell their sizes; measured, and rounded up. */
const unpackedShare = 2.2;
const reckonedBytes = { cpu: 1.2e9, cuda: 8e9 };

/**
 * Finds out what an installation would take; nothing is fetched.
 *
 * @throws DenseNetError `ERR_INVALID_ARGUMENT`, `ERR_FILE`, `ERR_FILE_FORMAT` or `ERR_DOWNLOAD`.
 */
export async function planInstall(options: InstallOptions): Promise<InstallPlan> {
  const { env = process.env, from, machine = {} } = options;
  checkOptions(options);
  const folder = libtorchFolder(env);
  await makeCacheFolder(folder).catch((error: unknown) => {
    throw toDenseNetError(error);
  });
  const driver = await findDriver({ env, ...machine.driver });
  const build = options.build ?? (from !== undefined || driver.version === undefined ? 'cpu' : 'cuda');
  const found = await (from === undefined ? planFetch(build, folder, options) : planFrom(from, options));
  const plan = { ...found, folder, freeBytes: await (machine.freeBytes ?? freeBytes)(folder) };
  return { ...plan, notes: notesFor(plan, driver.version, env) };
}

/** What the ways of planning find out. */
type Found = Omit<InstallPlan, 'folder' | 'notes' | 'freeBytes'>;

function checkOptions({ version, from, wheels, sha256 }: InstallOptions): void {
  const refuse = (message: string): never => {
    throw new DenseNetError('ERR_INVALID_ARGUMENT', message);
  };
  if (from !== undefined && wheels !== undefined) refuse('--from and --wheels say two places; give one of them.');
  if (version !== undefined && !/^\d+\.\d+\.\d+(\+(cpu|cu\d{3}))?$/.test(version))
    refuse(`--torch must be a version such as 2.11.0 or 2.11.0+cu126; got ${JSON.stringify(version)}.`);
  if (version !== undefined && from !== undefined)
    refuse('--torch says which version to fetch; what --from holds has a version of its own. Leave one of them out.');
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/i.test(sha256))
    refuse(`--sha256 must be 64 hexadecimal digits; got ${JSON.stringify(sha256)}.`);
}

async function planFetch(build: 'cpu' | 'cuda', folder: string, options: InstallOptions): Promise<Found> {
  const { env = process.env, wheels, version, machine = {} } = options;
  const local = version?.split('+')[1];
  if (local !== undefined && (local === 'cpu') !== (build === 'cpu'))
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `--torch ${version ?? ''} is not the build that --${build} asks for.`,
    );
  const versions = version === undefined ? await usualVersions(build) : [version];
  // A folder of wheels is what is wanted, whatever version it has.
  const asFound = wheels !== undefined && version === undefined;
  const there = asFound ? undefined : await findThere(build, versions, env);
  if (there) return there;
  const python = machine.archiveUrl === undefined ? await findPip(env) : undefined;
  if (wheels !== undefined && !(await stat(wheels).catch(() => undefined))?.isDirectory())
    throw new DenseNetError('ERR_FILE', `--wheels ${wheels} is no folder.`);
  if (python !== undefined) return planWheels(build, asFound ? [...versions, ''] : versions, python, folder, options);
  if (wheels !== undefined)
    throw new DenseNetError(
      'ERR_FILE',
      'reading a folder of wheels takes Python with pip, and there is none on the PATH. Install it, or use --from with the official archive.',
      { mend: 'sudo apt-get install python3-pip' },
    );
  return planArchive(build, versions[0] as string, options);
}

/** The versions that the addon was built against, newest first, and the one that can be had everywhere. */
async function usualVersions(build: 'cpu' | 'cuda'): Promise<string[]> {
  return [...new Set([...(await addonVersions()), build === 'cpu' ? pinnedVersion : pinnedCudaVersion])];
}

/** A libtorch of the cache that is what is asked for, and loads. */
async function findThere(
  build: 'cpu' | 'cuda',
  versions: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<Found | undefined> {
  for (const place of await cachedFolders(env)) {
    const { libtorch } = await readLibtorch(place, 'installed', true);
    if (libtorch === undefined || (libtorch.build === 'cpu') !== (build === 'cpu')) continue;
    if (!versions.some((one) => [libtorch.version, `${libtorch.version}+${libtorch.build}`].includes(one))) continue;
    if ((await tryLoad(libtorch)) !== undefined) continue; // damaged: it is installed anew
    return { source: { type: 'there', place, libtorch }, ...describe(libtorch) };
  }
  return undefined;
}

function describe({ version, build }: Libtorch) {
  return {
    build: build === 'cpu' ? ('cpu' as const) : ('cuda' as const),
    version: `${version}+${build}`,
    parts: [],
    fetches: false,
    neededBytes: 0,
  };
}

async function planFrom(from: string, { build, sha256, signal }: InstallOptions): Promise<Found> {
  const place = path.resolve(from);
  const kind = await stat(place).catch((error: unknown) => {
    throw new DenseNetError('ERR_FILE', `--from ${from} cannot be read: ${reasonOf(error)}`, { cause: error });
  });
  if (kind.isDirectory()) {
    const { libtorch, fault } = await readLibtorch(place, 'installed');
    if (libtorch === undefined) throw new DenseNetError('ERR_FILE_FORMAT', `${place} cannot be used: ${fault ?? ''}.`);
    checkBuild(libtorch, build);
    return { source: { type: 'folder', place, libtorch }, ...describe(libtorch) };
  }
  signal?.throwIfAborted();
  const bytes = await unpackedBytes(place, chooseOfFile);
  if (bytes === 0)
    throw new DenseNetError(
      'ERR_FILE_FORMAT',
      `${place} is neither an archive of libtorch nor a wheel of torch: it holds no libtorch/ or torch/.`,
    );
  return {
    source: { type: 'file', file: place, sha256 },
    build: build ?? 'cpu',
    version: 'as the file says',
    parts: [{ name: path.basename(place), bytes: kind.size }],
    fetches: false,
    neededBytes: bytes,
  };
}

/** @throws DenseNetError `ERR_INVALID_ARGUMENT` for another build than the one that was asked for. */
export function checkBuild(libtorch: Libtorch, build: 'cpu' | 'cuda' | undefined): void {
  if (build === undefined || (libtorch.build === 'cpu') === (build === 'cpu')) return;
  throw new DenseNetError(
    'ERR_INVALID_ARGUMENT',
    `--${build} asks for another build than what is there: libtorch ${libtorch.version} (${libtorch.build}).`,
  );
}

async function planWheels(
  build: 'cpu' | 'cuda',
  versions: readonly string[],
  python: string,
  folder: string,
  { env = process.env, wheels: wheelFolder, signal, report = () => undefined }: InstallOptions,
): Promise<Found> {
  // Beside where all of it goes: pip may unpack wheels to look into them.
  const work = await mkdtemp(path.join(folder, `.fetch-${process.pid}-`));
  try {
    const { wheels, way } = await askPip(build, versions, wheelFolder, { python, env, work, signal, report });
    const sizes = wheels.map(({ bytes }) => bytes);
    const total = sizes.includes(undefined) ? undefined : sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
    const local = wheels.every(({ place }) => place !== undefined);
    return {
      source: { type: 'wheels', python, way, wheels },
      build,
      version: wheels[0]?.version ?? '',
      parts: wheels.map(({ name, version, bytes }) => ({ name: `${name} ${version}`, bytes })),
      fetches: !local,
      neededBytes: local
        ? await unpackedWheels(wheels)
        : total === undefined
          ? reckonedBytes[build]
          : total * (1 + unpackedShare),
    };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function unpackedWheels(wheels: Wheel[]): Promise<number> {
  const sizes = await Promise.all(wheels.map(({ place }) => unpackedBytes(place as string, chooseOfWheel)));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function planArchive(
  build: 'cpu' | 'cuda',
  version: string,
  { env = process.env, sha256, machine = {} }: InstallOptions,
): Promise<Found> {
  const [number = '', local = build === 'cpu' ? 'cpu' : usualCuda] = version.split('+');
  const archive: ReturnType<typeof archiveFor> =
    machine.archiveUrl === undefined ? archiveFor(number, local) : { url: machine.archiveUrl };
  if (archive === undefined)
    throw new DenseNetError(
      'ERR_DOWNLOAD',
      `no official archive of libtorch ${number} (${local}) is known for ${process.platform}-${process.arch}. Install Python with pip, or use --from.`,
    );
  const { url, sha256: known, bytes = await lengthOf(url, { env }) } = archive;
  return {
    source: { type: 'archive', url, sha256: sha256 ?? known },
    build,
    version: `${number}+${local}`,
    parts: [{ name: decodeURIComponent(path.posix.basename(new URL(url).pathname)), bytes }],
    fetches: true,
    neededBytes: bytes === undefined ? reckonedBytes[build] : bytes * (1 + 2 * unpackedShare),
  };
}

function notesFor(plan: Omit<InstallPlan, 'notes'>, driver: string | undefined, env: NodeJS.ProcessEnv): string[] {
  const notes: string[] = [];
  if (env['LIBTORCH'])
    notes.push(`LIBTORCH is set to ${env['LIBTORCH']} and goes before what is installed; unset it to use this one.`);
  if (plan.source.type === 'archive' && plan.source.sha256 === undefined)
    notes.push(
      'The SHA-256 of this archive is not known here: its checksums and its version are checked, or give --sha256.',
    );
  if (plan.build !== 'cuda') return notes;
  const cuda = cudaOf(plan);
  const needed = driver !== undefined && cuda !== undefined ? driverNeeded(driver, cuda) : undefined;
  if (driver === undefined)
    notes.push(`No NVIDIA driver was found on this machine; without one this build computes on the CPU.`);
  else if (needed !== undefined)
    notes.push(
      `NVIDIA's driver ${driver} is too old for CUDA ${cuda ?? ''}, which needs ${needed} or newer. Renew it (${mendDriver}), ` +
        'or take a build for an older CUDA, such as --torch 2.11.0+cu126.',
    );
  return notes;
}

/** The CUDA version of what is to be installed, as far as names tell it. */
function cudaOf({ version, source }: Omit<InstallPlan, 'notes'>): string | undefined {
  const digits = /\+cu(\d+)(\d)$/.exec(version);
  if (digits) return `${digits[1]}.${digits[2]}`;
  const runtime =
    source.type === 'wheels' && source.wheels.find(({ name }) => /^nvidia-cuda-runtime(-cu\d+)?$/.test(name));
  return runtime ? runtime.version.split('.').slice(0, 2).join('.') : undefined;
}

/** @throws DenseNetError `ERR_FILE` where there is not the room, with how much there must be. */
export function checkRoom(needed: number, free: number, folder: string): void {
  if (free >= needed) return;
  throw new DenseNetError(
    'ERR_FILE',
    `this takes ${formatBytes(needed)} in ${folder} while it is being installed, and ${formatBytes(free)} are free there. ` +
      moreRoom,
  );
}
