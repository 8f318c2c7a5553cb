import { mkdir, mkdtemp, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { DenseNetError } from '../../errors';
import { explainLoaderFault } from '../loader-fault';
import { download, hashOf } from '../download';
import { clearUp, place as putInPlace } from '../fetch';
import { noteInstalled } from '../installed';
import { libraryName, readLibtorch, type Libtorch } from '../locate';
import { freeBytes } from './bytes';
import { chooseOfArchive, chooseOfFile, chooseOfWheel } from './choose';
import { fetchWheel, type Wheel } from './pip';
import { checkBuild, checkRoom, type InstallOptions, type InstallPlan, type Source } from './plan';
import { tryLoad } from './try-load';
import { unpack, unpackedBytes, type Choose } from './unpack';

/** A file to unpack, and what of it. */
interface Package {
  file: string;
  choose: Choose;
}

/**
 * Does what a plan says. Whatever is interrupted leaves nothing that looks like libtorch: folders take their names only
 * when they are whole and were seen to load. What was fetched stays for the next try.
 *
 * @returns The libtorch that is used from now on.
 * @throws DenseNetError `ERR_FILE`, `ERR_FILE_FORMAT`, `ERR_DOWNLOAD`, `ERR_INVALID_ARGUMENT` or `ERR_ADDON_LOAD`.
 */
export async function carryOut(plan: InstallPlan, options: InstallOptions): Promise<Libtorch> {
  const { source, folder } = plan;
  checkRoom(plan.neededBytes, plan.freeBytes, folder);
  if (source.type === 'there' || source.type === 'folder') {
    if (source.type === 'folder') await checkLoads(source.libtorch);
    await noteInstalled(folder, source.place);
    return source.libtorch;
  }
  await clearUp(folder);
  const work = await mkdtemp(path.join(folder, `.fetch-${process.pid}-`));
  try {
    const packages = await gather(source, plan, work, options);
    await unpackAll(packages, work, plan, options);
    const target = await settle(path.join(work, 'root'), plan, options);
    await noteInstalled(folder, target);
    if (source.type === 'wheels') await dropWheels(folder, source.wheels);
    const { libtorch } = await readLibtorch(target, 'installed');
    return libtorch as Libtorch;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function gather(
  source: Extract<Source, { type: 'file' | 'wheels' | 'archive' }>,
  plan: InstallPlan,
  work: string,
  options: InstallOptions,
): Promise<Package[]> {
  if (source.type === 'wheels') {
    const files = await gatherWheels(source, plan, work, options);
    return files.map((file) => ({ file, choose: chooseOfWheel }));
  }
  if (source.type === 'file') {
    if (source.sha256 !== undefined) await checkHash(source.file, source.sha256);
    return [{ file: source.file, choose: chooseOfFile }];
  }
  const { env = process.env, signal, report, progress, machine } = options;
  const name = `libtorch-${plan.version}.zip`;
  report?.(`downloading ${source.url}`);
  await download({
    url: source.url,
    file: path.join(work, name),
    kept: path.join(plan.folder, `${name}.part`), // beside the work folder, which is gone after a failure
    env,
    ...(source.sha256 === undefined ? {} : { sha256: source.sha256.toLowerCase() }),
    ...(signal && { signal }),
    ...(progress && { progress }),
    ...(machine?.backoffMs === undefined ? {} : { backoffMs: machine.backoffMs }),
  });
  return [{ file: path.join(work, name), choose: chooseOfArchive }];
}

/** Where wheels wait that arrived, until all of them have. */
const wheelFolder = (folder: string): string => path.join(folder, '.wheels');

async function gatherWheels(
  { python, way, wheels }: Extract<Source, { type: 'wheels' }>,
  { folder, parts }: InstallPlan,
  work: string,
  options: InstallOptions,
): Promise<string[]> {
  const { env = process.env, signal, report = () => undefined, progress } = options;
  const kept = wheelFolder(folder);
  const files: string[] = [];
  for (const [index, wheel] of wheels.entries()) {
    const file = wheel.place ?? path.join(kept, wheel.file);
    files.push(file);
    if (wheel.place !== undefined || (await isWhole(file, wheel))) continue;
    report(`fetching ${wheel.name} ${wheel.version} (${index + 1} of ${parts.length})`);
    let most = 0; // the last look may find the wheel moved on already
    const show = (bytes: number): void => {
      most = Math.max(most, Math.min(bytes, wheel.bytes ?? bytes));
      progress?.(most, wheel.bytes);
    };
    const arrived = await fetchWheel(wheel, way, show, { python, env, work, signal, report });
    if (wheel.sha256 !== undefined) await checkHash(arrived, wheel.sha256);
    await mkdir(kept, { recursive: true });
    await rename(arrived, file);
  }
  return files;
}

/** Whether a wheel that an earlier try left is the one that is wanted. */
async function isWhole(file: string, { sha256, bytes }: Wheel): Promise<boolean> {
  const there = await stat(file).catch(() => undefined);
  if (there === undefined || (bytes !== undefined && there.size !== bytes)) return false;
  // Without a hash its own checksums will tell, when it is unpacked.
  return sha256 === undefined || (await hashOf(file)) === sha256;
}

async function checkHash(file: string, sha256: string): Promise<void> {
  const found = await hashOf(file);
  if (found === sha256.toLowerCase()) return;
  throw new DenseNetError(
    'ERR_DOWNLOAD',
    `${path.basename(file)} is not the file that was expected: its SHA-256 is ${found}, and it must be ${sha256.toLowerCase()}. ` +
      'Fetch it again; if it stays so, something between here and there changes downloads.',
  );
}

async function unpackAll(packages: Package[], work: string, plan: InstallPlan, options: InstallOptions): Promise<void> {
  const { signal, report, progress, machine } = options;
  const root = path.join(work, 'root');
  await mkdir(root);
  let total = 0;
  for (const { file, choose } of packages)
    total += await unpackedBytes(file, choose).catch((error: unknown) => drop(file, error));
  checkRoom(total, await (machine?.freeBytes ?? freeBytes)(plan.folder), plan.folder);
  const [first] = packages;
  report?.(
    packages.length === 1 && first ? `unpacking ${path.basename(first.file)}` : `unpacking ${packages.length} wheels`,
  );
  let done = 0;
  const count = (bytes: number): void => progress?.((done += bytes), total);
  for (const { file, choose } of packages)
    await unpack(file, root, choose, { signal, progress: count }).catch((error: unknown) => drop(file, error));

  /** A wheel that arrived damaged would be taken for whole by the next try. */
  async function drop(file: string, error: unknown): Promise<never> {
    if (path.dirname(file) === wheelFolder(plan.folder) && (error as DenseNetError).code === 'ERR_FILE_FORMAT')
      await rm(file, { force: true });
    throw error;
  }
}

/**
 * Looks whether what arrived is what was asked for, and gives it its place.
 *
 * @returns Its folder.
 */
async function settle(
  root: string,
  { folder, build, source, version }: InstallPlan,
  options: InstallOptions,
): Promise<string> {
  const { libtorch, fault } = await readLibtorch(root, 'installed', true);
  if (libtorch === undefined) throw new DenseNetError('ERR_DOWNLOAD', `what arrived cannot be used: ${fault ?? ''}`);
  checkBuild(libtorch, source.type === 'file' ? options.build : build);
  const [number] = version.split('+');
  if (source.type !== 'file' && libtorch.version !== number)
    throw new DenseNetError(
      'ERR_DOWNLOAD',
      `libtorch ${version} was asked for, but ${libtorch.version}+${libtorch.build} arrived.`,
    );
  await checkComplete(root, libtorch);
  const target = path.join(folder, `${libtorch.version}+${libtorch.build}`);
  await checkLoads(libtorch, root, target);
  const beside = (await readdir(root)).filter((name) => name !== path.basename(libtorch.path));
  const alone = !beside.includes('nvidia');
  // The licences stay with what they are of.
  if (alone) for (const name of beside) await rename(path.join(root, name), path.join(libtorch.path, name));
  const old = await readLibtorch(target, 'installed', true);
  // Plans use a sound one where it is.
  if (old.libtorch !== undefined && (await tryLoad(old.libtorch)) !== undefined) await rm(target, { recursive: true });
  await putInPlace(alone ? libtorch.path : root, target);
  return target;
}

/** A wheel of torch is half of a CUDA build: NVIDIA's libraries come in wheels of their own. */
async function checkComplete(root: string, { build, path: place }: Libtorch): Promise<void> {
  if (build === 'cpu' || path.basename(place) !== 'torch') return;
  const libraries = await readdir(path.join(place, 'lib'));
  if (libraries.some((name) => name.startsWith('libcudart')) || (await readdir(root)).includes('nvidia')) return;
  throw new DenseNetError(
    'ERR_FILE',
    'this wheel holds libtorch without the NVIDIA libraries that it needs, which come in wheels of their own. Put all of ' +
      `them into one folder (\`pip download torch\` does) and use --wheels FOLDER.`,
  );
}

/** @throws DenseNetError `ERR_ADDON_LOAD` for a libtorch that the system will not load. */
async function checkLoads(libtorch: Libtorch, root = '', target = ''): Promise<void> {
  const said = (await tryLoad(libtorch))?.replaceAll(root, target);
  if (said === undefined) return;
  const place = { ...libtorch, path: libtorch.path.replace(root, target) };
  const explained = explainLoaderFault(said, place);
  throw new DenseNetError(
    'ERR_ADDON_LOAD',
    `the system will not load this ${libraryName}, so nothing was installed. Its loader said: ${said}` +
      (explained ? `\n${explained.text} Mend it with: ${explained.mend}` : ''),
    { ...(explained && { mend: explained.mend }) },
  );
}

async function dropWheels(folder: string, wheels: Wheel[]): Promise<void> {
  const kept = wheelFolder(folder);
  for (const { file, place } of wheels) if (place === undefined) await rm(path.join(kept, file), { force: true });
  await rmdir(kept).catch(() => undefined); // wheels of another plan may wait in it
}
