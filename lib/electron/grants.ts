import { realpathSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DenseNetError } from '../errors';
import { checkOneOf, checkPath, checkString, invalidArgument } from '../validate';
import { mostText } from './limits';
import type { Access, Grant } from './types';

const uses: Record<Access, string> = {
  read: 'reading a file',
  write: 'writing a file',
  folder: 'reading pictures below a folder',
};

/** The files and folders that one client may use. It knows them by their grants alone, and never by a path. */
export class Grants {
  readonly #granted = new Map<Grant, { path: string; access: Access }>();
  /** What stands for each path in messages. Kept when a grant is taken back: a call that has begun may still speak of it. */
  readonly #shown = new Map([[os.homedir(), '~']]);

  add(grant: Grant, place: string, access: Access): void {
    if (checkString('grant', grant).length > mostText)
      throw invalidArgument('grant', `a text of 1 to ${mostText} characters`, grant);
    checkOneOf('access', access, Object.keys(uses) as Access[]);
    const file = path.resolve(checkPath('path', place));
    this.#granted.set(grant, { path: file, access });
    for (const one of [file, realPath(file)]) this.#shown.set(one, path.basename(file));
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

  /**
   * A text without the paths that the client is not to know: what is or was granted is called by its last part, also where
   * it leads if it is a link, and the home folder `~`.
   */
  hidePaths(text: string): string {
    // The longest first; a root would be found in every path.
    const places = [...this.#shown].filter(([place]) => path.dirname(place) !== place);
    places.sort(([a], [b]) => b.length - a.length);
    return places.reduce((rest, [place, name]) => rest.replaceAll(place, () => name), text);
  }
}

/** Where a path leads; what is not there yet is no link. */
function realPath(place: string): string {
  try {
    return realpathSync(place);
  } catch {
    const above = path.dirname(place);
    return above === place ? place : path.join(realPath(above), path.basename(place));
  }
}
