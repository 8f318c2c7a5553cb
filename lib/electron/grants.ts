import os from 'node:os';
import path from 'node:path';
import { DenseNetError } from '../errors';
import { checkOneOf, checkPath, checkString } from '../validate';
import type { Access, Grant } from './protocol';

const uses: Record<Access, string> = {
  read: 'reading a file',
  write: 'writing a file',
  folder: 'reading pictures below a folder',
};

/** The files and folders that one client may use. It knows them by their grants alone, and never by a path. */
export class Grants {
  readonly #granted = new Map<Grant, { path: string; access: Access }>();

  add(grant: Grant, place: string, access: Access): void {
    checkString('grant', grant);
    checkOneOf('access', access, Object.keys(uses) as Access[]);
    this.#granted.set(grant, { path: path.resolve(checkPath('path', place)), access });
  }

  remove(grant: Grant): void {
    this.#granted.delete(grant);
  }

  /**
   * The path that a grant stands for.
   *
   * @throws DenseNetError `ERR_NOT_GRANTED`.
   */
  resolve(grant: Grant, access: Access): string {
    const found = this.#granted.get(grant);
    if (found?.access === access) return found.path;
    const given = found === undefined ? 'there is no such grant' : `the grant is for ${uses[found.access]}`;
    throw new DenseNetError(
      'ERR_NOT_GRANTED',
      `this call needs a grant for ${uses[access]}, and ${given}. Ask the app for one: paths are not taken.`,
    );
  }

  /** A text without the paths that the client is not to know: granted ones by their last part, the home folder as `~`. */
  hidePaths(text: string): string {
    const places = [...this.#granted.values()].map((one) => one.path).sort((a, b) => b.length - a.length);
    const hidden = places.reduce((rest, place) => rest.replaceAll(place, path.basename(place)), text);
    return hidden.replaceAll(os.homedir(), '~');
  }
}
