import { readdir } from 'node:fs/promises';
import path from 'node:path';
import nodeGypBuild from 'node-gyp-build';
import { DenseNetError, reasonOf, toDenseNetError } from '../errors';
import type { Native } from '../native';
import { packageRoot } from './addon-versions';
import { appResources, nativeRoot } from './asar';
import { findCores } from './cores';
import { findDamage } from './damage';
import { explainLoaderFault } from './loader-fault';
import { locateLibtorch, readLibtorch, type Attempt, type Libtorch } from './locate';

/** The addon, and the libtorch that it runs on. */
export interface LoadedAddon {
  native: Native;
  libtorch: Libtorch;
  /** The `.node` file. */
  loaderPath: string;
  /** The core library that fits the libtorch. */
  corePath: string;
  /** What was installed last, where it could not be used. */
  passedOver: PassedOver | undefined;
}

/** The libtorch that was installed last, and was not taken. */
export interface PassedOver {
  /** Which it is, and why. */
  said: string;
  /** Whether it may be a CUDA build. */
  cuda: boolean;
  /** The one command that mends it. */
  mend: string;
}

/** native/loader/loader.cc */
interface Loader {
  /** libtorch first, the core last. */
  open(libraries: string[]): Promise<Native>;
}

const setup = 'npx densenet setup';
const mendBuild = `Run \`${setup}\` to build it.`;
const mendPackage = `Install the package again, or run \`${setup}\` to build the addon anew.`;
const mendLibtorch =
  'Set LIBTORCH to a folder that holds libtorch, `pip install torch`, or run `npx densenet setup`, which fetches it.';

let loading: Promise<LoadedAddon> | undefined;

/**
 * Loads libtorch and the addon, once a process (or worker thread). A load that failed is tried again by the next call,
 * since its cause may have been mended.
 *
 * @throws DenseNetError `ERR_LIBTORCH_NOT_FOUND`, `ERR_LIBTORCH_VERSION`, `ERR_LIBTORCH_ALREADY_LOADED` or `ERR_ADDON_LOAD`.
 */
export function loadAddon(): Promise<LoadedAddon> {
  loading ??= load().catch((error: unknown) => {
    loading = undefined;
    throw toDenseNetError(error, 'ERR_ADDON_LOAD');
  });
  return loading;
}

/** {@link loadAddon}, for those who need the native surface only. */
export async function loadNative(): Promise<Native> {
  return (await loadAddon()).native;
}

async function load(): Promise<LoadedAddon> {
  const nativeFolder = nativeRoot(packageRoot);
  const loaderPath = findLoader(nativeFolder);
  const cores = await findCores(nativeFolder);
  if (cores.size === 0)
    throw new DenseNetError(
      'ERR_ADDON_LOAD',
      `${path.dirname(loaderPath)} holds the loader but no core library. ${mendBuild}`,
      { mend: setup },
    );
  const resourcesPath = appResources(packageRoot);
  const { libtorch, tried, mismatched } = await locateLibtorch({
    accept: (version) => cores.has(version),
    ...(resourcesPath === undefined ? {} : { resourcesPath }),
  });
  const versions = [...cores.keys()];
  if (libtorch === undefined) throw notFound(tried, mismatched, versions);
  const passedOver = findPassedOver(libtorch, tried, mismatched);
  const corePath = cores.get(libtorch.version) as string;
  await checkWhole([loaderPath, corePath], mendPackage);
  await checkWhole(await partsOf(libtorch), `Delete ${libtorch.path} and install it again. ${mendLibtorch}`);
  const native = await open(loaderPath, libtorch, cores, tried);
  if (native.loadedVersion !== native.builtAgainst)
    throw new DenseNetError(
      'ERR_LIBTORCH_VERSION',
      `${libtorch.path} says that it is libtorch ${libtorch.version}, but its library says ${native.loadedVersion}; ` +
        `the addon was built against ${native.builtAgainst}. Repair that folder. ${mendLibtorch}`,
    );
  // `process.exit` runs no native clean-up: libtorch's statics would be destroyed under threads that still compute.
  process.once('exit', () => native.shutDown());
  return { native, libtorch, loaderPath, corePath, passedOver };
}

function findPassedOver(taken: Libtorch, tried: Attempt[], mismatched: Libtorch[]): PassedOver | undefined {
  const attempt = tried.find(({ source }) => source === 'installed');
  if (attempt === undefined || taken.source === 'installed') return undefined;
  const said = `${attempt.place}: ${attempt.result}`;
  const other = mismatched.find(({ source }) => source === 'installed');
  return other
    ? { said, cuda: other.build !== 'cpu', mend: setup }
    : { said, cuda: true, mend: 'npx densenet install-libtorch' };
}

function findLoader(nativeFolder: string): string {
  try {
    return nodeGypBuild.path(nativeFolder);
  } catch (error) {
    throw new DenseNetError(
      'ERR_ADDON_LOAD',
      `there is no addon for ${process.platform}-${process.arch} in ${nativeFolder} (looked in build/Release and prebuilds). ${mendBuild}`,
      { cause: error, mend: setup },
    );
  }
}

/** Refuses libraries that were cut short, which the system would open and then die of. */
async function checkWhole(files: string[], mend: string): Promise<void> {
  for (const file of files) {
    const damage = await findDamage(file);
    if (damage !== undefined) throw new DenseNetError('ERR_ADDON_LOAD', `${damage}. ${mend}`);
  }
}

/** The libraries that opening libtorch brings along; its folder holds others too. */
async function partsOf({ path: place }: Libtorch): Promise<string[]> {
  const folder = path.join(place, 'lib');
  const names = await readdir(folder);
  return names
    .filter((name) => /^lib(torch|torch_cpu|torch_cuda|c10|c10_cuda|gomp.*)\.so/.test(name))
    .map((name) => path.join(folder, name));
}

async function open(
  loaderPath: string,
  libtorch: Libtorch,
  cores: Map<string, string>,
  tried: Attempt[],
): Promise<Native> {
  const corePath = cores.get(libtorch.version) as string;
  try {
    // The path is known only here, so this cannot be an import.
    const loader = nodeGypBuild(nativeRoot(packageRoot)) as Loader;
    return await loader.open([...libtorch.libraries, corePath]);
  } catch (error) {
    const other = (error as { otherLibtorch?: unknown }).otherLibtorch;
    if (typeof other === 'string') throw await alreadyLoaded(libtorch, other, cores);
    const reason = reasonOf(error);
    const explained = explainLoaderFault(reason, libtorch);
    throw new DenseNetError(
      'ERR_ADDON_LOAD',
      [
        'the addon could not be loaded.',
        `  addon:    ${loaderPath}`,
        `  core:     ${corePath}`,
        `  libtorch: ${libtorch.version} (${libtorch.build}) in ${libtorch.path}, from ${libtorch.source}`,
        `  the system's loader said: ${reason}`,
        ...listAttempts(tried),
        explained
          ? `${explained.text} Mend it with: ${explained.mend}`
          : `${mendLibtorch} If libtorch itself is sound, build the addon anew: \`${setup}\`.`,
      ].join('\n'),
      { cause: error, mend: explained?.mend ?? setup },
    );
  }
}

/** A process has room for one libtorch: a second one would be given the first one's libraries. */
async function alreadyLoaded(wanted: Libtorch, library: string, cores: Map<string, string>): Promise<DenseNetError> {
  const place = path.dirname(path.dirname(library));
  const { libtorch: other } = await readLibtorch(place, 'option');
  const share =
    other !== undefined && cores.has(other.version)
      ? `Set LIBTORCH to ${place} so that both use that one`
      : `Use one libtorch, ${[...cores.keys()].join(' or ')}, for both`;
  return new DenseNetError(
    'ERR_LIBTORCH_ALREADY_LOADED',
    [
      `this process has loaded libtorch ${other === undefined ? 'of an unknown version' : `${other.version} (${other.build})`} ` +
        `from ${place}, for another copy of this package or another addon,`,
      `so libtorch ${wanted.version} (${wanted.build}) in ${wanted.path}, from ${wanted.source}, cannot be loaded beside it.`,
      `${share}, or use this package in a process of its own (child_process.fork, Electron's utilityProcess).`,
    ].join('\n'),
  );
}

function notFound(tried: Attempt[], mismatched: Libtorch[], versions: string[]): DenseNetError {
  const places = listAttempts(tried);
  const wanted = `The addon was built against libtorch ${versions.join(' and ')}.`;
  if (mismatched.length === 0)
    return new DenseNetError(
      'ERR_LIBTORCH_NOT_FOUND',
      ['no libtorch was found.', ...places, wanted, mendLibtorch].join('\n'),
      { mend: mendNotFound(tried) },
    );
  const found = mismatched.map((one) => `${one.version} (${one.build}) in ${one.path}`).join(', ');
  return new DenseNetError(
    'ERR_LIBTORCH_VERSION',
    [
      `libtorch ${found} does not fit. ${wanted}`,
      ...places,
      `Either point LIBTORCH at libtorch ${versions.join(' or ')}, or build the addon against the one you have: \`${setup}\`.`,
    ].join('\n'),
    { mend: setup },
  );
}

/** What is wrong where the user insists is mended there; otherwise the set-up fetches one. */
function mendNotFound(tried: Attempt[]): string {
  const insisted = tried.some(({ source, result }) => source === 'LIBTORCH' && result !== 'not set');
  return insisted ? `unset LIBTORCH; ${setup}` : setup;
}

function listAttempts(tried: Attempt[]): string[] {
  return ['Places tried, in order:', ...tried.map(({ source, place, result }) => `  ${source}: ${place} - ${result}`)];
}
