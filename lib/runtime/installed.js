'use strict';

/**
 * The note in the cache of which libtorch `densenet install-libtorch` installed last: that one goes before the others
 * there. Plain JavaScript on Node's own modules, like locate.js.
 */

const { mkdir, readFile, rename, writeFile } = require('node:fs/promises');
const path = require('node:path');

/** @param {string} folder The cache's folder of libtorchs. */
const noteOf = (folder) => path.join(folder, 'installed.json');

/**
 * @param {string} folder The cache's folder of libtorchs.
 * @returns {Promise<string | undefined>} Where the libtorch lies that was installed last, within the cache or without.
 */
async function readInstalled(folder) {
  try {
    const { place } = JSON.parse(await readFile(noteOf(folder), 'utf8'));
    return typeof place === 'string' ? path.resolve(folder, place) : undefined;
  } catch {
    return undefined; // nothing was installed, or somebody wrote into the note
  }
}

/**
 * @param {string} folder The cache's folder of libtorchs.
 * @param {string} place Where the libtorch lies; within the cache it moves with it.
 */
async function noteInstalled(folder, place) {
  const relative = path.relative(folder, place);
  const within = !relative.startsWith('..') && !path.isAbsolute(relative);
  await mkdir(folder, { recursive: true });
  const written = `${noteOf(folder)}.${process.pid}`;
  await writeFile(written, `${JSON.stringify({ place: within ? relative : place })}\n`);
  await rename(written, noteOf(folder)); // a reader finds the old note or the new one
}

module.exports = { noteInstalled, readInstalled };
