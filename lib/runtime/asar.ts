import { existsSync } from 'node:fs';
import path from 'node:path';
import { DenseNetError } from '../errors';

/** A path into an archive, as an Electron app's: what lies before its end, and what follows. */
const inArchive = /^(.*[\\/][^\\/]+\.asar)([\\/].*)$/;

/**
 * The folder from which the system can open a package's native files. Electron reads JavaScript out of `app.asar` as if it
 * were a folder; the system's loader cannot, so packagers put native files beside it, into `app.asar.unpacked`.
 *
 * @throws DenseNetError `ERR_ADDON_LOAD` when the package lies in an archive and nothing of it beside.
 */
export function nativeRoot(packageRoot: string): string {
  const [, archive, inside] = inArchive.exec(packageRoot) ?? [];
  if (archive === undefined || inside === undefined) return packageRoot;
  const unpacked = path.join(`${archive}.unpacked`, inside);
  if (existsSync(unpacked)) return unpacked;
  throw new DenseNetError(
    'ERR_ADDON_LOAD',
    `the addon lies inside ${archive}, from where the system cannot load it, and not in ${unpacked}. ` +
      "Have it unpacked: asarUnpack: ['**/*.{node,so,dylib,dll}'] for electron-builder.",
  );
}

/** An Electron app's resources: as Electron says, or where its archive lies. Undefined outside of one. */
export function appResources(packageRoot: string): string | undefined {
  const told = (process as { resourcesPath?: string }).resourcesPath;
  const archive = inArchive.exec(packageRoot)?.[1];
  return told ?? (archive === undefined ? undefined : path.dirname(archive));
}
