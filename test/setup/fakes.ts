import { accessSync, constants } from 'node:fs';
import { chmod, copyFile, cp, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { libraryName } from '../../lib/runtime/locate';
import { root } from '../child';

/** A folder of its own for each test of a file, removed after it. */
export function temporaryFolder(): () => string {
  let folder = '';
  beforeEach(async () => (folder = await realpath(await mkdtemp(path.join(os.tmpdir(), 'densenet-setup-')))));
  afterEach(() => rm(folder, { recursive: true, force: true }));
  return () => folder;
}

export interface FakeLibtorch {
  version?: string;
  /** The files that tell the version. */
  told?: readonly ('build-version' | 'version.py' | 'version.h')[];
  headers?: boolean;
  /** What the library is a copy of; an empty file if nothing. */
  library?: string;
}

/** Makes a folder that passes for libtorch as long as nobody opens its library. */
export async function makeLibtorch(
  root: string,
  { version = '2.13.0+cpu', told = ['build-version'], headers = true, library }: FakeLibtorch = {},
): Promise<string> {
  const [major, minor, patch] = version.split(/[.+]/);
  const texts = {
    'build-version': ['build-version', `${version}\n`],
    'version.py': ['version.py', `from typing import Optional\n\n__version__ = '${version}'\ndebug = False\n`],
    'version.h': [
      'include/torch/headeronly/version.h',
      `#define TORCH_VERSION_MAJOR ${major}\n#define TORCH_VERSION_MINOR ${minor}\n#define TORCH_VERSION_PATCH ${patch}\n`,
    ],
  } as const;
  for (const name of told) await put(path.join(root, texts[name][0]), texts[name][1]);
  if (headers) await put(path.join(root, 'include', 'ATen', 'ATen.h'), '');
  const file = path.join(root, 'lib', libraryName);
  await put(file, '');
  if (library) await copyFile(library, file);
  return root;
}

/** Writes a file and the folders above it. */
export async function put(file: string, text: string | Buffer): Promise<string> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
  return file;
}

/** A copy of the compiled package, without any addon. */
export async function copyPackage(home: string): Promise<void> {
  await cp(path.join(root, 'dist'), path.join(home, 'dist'), { recursive: true });
  await cp(path.join(root, 'data'), path.join(home, 'data'), { recursive: true });
  await copyFile(path.join(root, 'package.json'), path.join(home, 'package.json'));
  await symlink(path.join(root, 'node_modules'), path.join(home, 'node_modules'));
}

/** Writes a shell script that a PATH of its folder finds; in it, the commands of the machine are there. */
export async function makeCommand(folder: string, name: string, script: string): Promise<void> {
  const file = await put(path.join(folder, name), `#!/bin/sh\nPATH='${process.env['PATH'] ?? ''}'\n${script}\n`);
  await chmod(file, 0o755);
}

/** Where the PATH finds a command; not a promise, so that a file can skip its tests by it. */
export function findCommand(name: string): string | undefined {
  const files = (process.env['PATH'] ?? '').split(path.delimiter).map((folder) => path.join(folder, name));
  return files.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** An environment in which there is no libtorch: an empty cache, and a PATH with nothing on it. */
export function bareEnvironment(folder: string): NodeJS.ProcessEnv & { PATH: string; LIBTORCH_DENSENET_CACHE: string } {
  return { PATH: path.join(folder, 'bin'), LIBTORCH_DENSENET_CACHE: path.join(folder, 'cache') };
}

/** The error that a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('error' in outcome) return outcome.error as Error & { code?: string };
  throw new Error(`it should have failed, but gave ${JSON.stringify(outcome.value)}`);
}
