import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rename, stat, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { findCores } from '../../lib/runtime/cores';
import { locateLibtorch, type Libtorch } from '../../lib/runtime/locate';
import { root } from '../child';
import { findCommand } from '../setup/fakes';

export const packageName = 'libtorch-densenet';

/** The packed package, installed in an otherwise empty folder as a user has it. */
export interface Installed {
  home: string;
  tarball: string;
  bytes: number;
  /** What the tarball holds. */
  files: string[];
  /** The environment of a machine with Node and a shell, and with no compiler, CMake or Python. */
  env: { PATH: string; LIBTORCH: string };
  libtorch: Libtorch;
}

/** Packs and installs the package; what is installed from comes out of npm's cache where it is there. */
export async function installPacked(): Promise<Installed> {
  const libtorch = await findLibtorch();
  const folder = await realpath(await mkdtemp(path.join(os.tmpdir(), 'densenet-packed-')));
  const npm = await realpath(findCommand('npm') as string); // a program of Node's
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, [npm, 'pack', '--json', '--pack-destination', folder], { cwd: root });
  const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  const tarball = path.join(folder, filename);
  const home = path.join(folder, 'app');
  await mkdir(home);
  await writeFile(path.join(home, 'package.json'), '{ "name": "app", "private": true }');
  const env = { PATH: await makePath(path.join(folder, 'bin')), LIBTORCH: libtorch.path };
  await run(process.execPath, [npm, 'install', '--no-audit', '--no-fund', '--prefer-offline', tarball], {
    cwd: home,
    env: { ...process.env, ...env },
  });
  const { size } = await stat(tarball);
  return { home, tarball, bytes: size, files: files.map((file) => file.path), env, libtorch };
}

async function findLibtorch(): Promise<Libtorch> {
  const cores = await findCores(root);
  const { libtorch, tried } = await locateLibtorch({ accept: (version) => cores.has(version) });
  if (libtorch === undefined) throw new Error(`no libtorch fits the addon: ${JSON.stringify(tried)}`);
  return libtorch;
}

/** A PATH of nothing but Node and the shell that npm runs programs with. */
async function makePath(folder: string): Promise<string> {
  await mkdir(folder);
  await symlink(process.execPath, path.join(folder, 'node'));
  for (const name of ['sh', 'env']) await symlink(findCommand(name) as string, path.join(folder, name));
  return folder;
}

/**
 * Turns an npm installation into what pnpm makes of it: each package in a folder of its own, beside links to the packages
 * that it names and no others, and in the app a link to what the app asked for.
 */
export async function makeLinkedLayout(from: string, to: string): Promise<void> {
  const modules = path.join(to, 'node_modules');
  await cp(path.join(from, 'node_modules'), path.join(modules, '.npm'), { recursive: true });
  const names = await packagesIn(path.join(modules, '.npm'));
  const placeOf = (name: string): string => path.join(modules, '.pnpm', name.replace('/', '+'), 'node_modules', name);
  for (const name of names) {
    await mkdir(path.dirname(placeOf(name)), { recursive: true });
    await rename(path.join(modules, '.npm', name), placeOf(name));
  }
  for (const name of names) {
    const { dependencies, optionalDependencies } = JSON.parse(
      await readFile(path.join(placeOf(name), 'package.json'), 'utf8'),
    ) as { dependencies?: object; optionalDependencies?: object };
    const own = path.join(modules, '.pnpm', name.replace('/', '+'), 'node_modules');
    for (const needed of Object.keys({ ...dependencies, ...optionalDependencies }))
      if (names.includes(needed)) await link(placeOf(needed), path.join(own, needed));
  }
  await link(placeOf(packageName), path.join(modules, packageName));
}

async function link(target: string, place: string): Promise<void> {
  await mkdir(path.dirname(place), { recursive: true });
  await symlink(path.relative(path.dirname(place), target), place);
}

/** The packages of a node_modules, `@scope/name` among them. */
async function packagesIn(modules: string): Promise<string[]> {
  const names: string[] = [];
  for (const name of (await readdir(modules)).filter((one) => !one.startsWith('.'))) {
    if (!name.startsWith('@')) names.push(name);
    else for (const inner of await readdir(path.join(modules, name))) names.push(`${name}/${inner}`);
  }
  return names;
}
