'use strict';

/**
 * The unfinished part of a download: kept from call to call, so that the next one goes on from it, and written by one
 * process at a time.
 */

const { readdir, rename } = require('node:fs/promises');
const path = require('node:path');

let counter = 0;

/**
 * Takes over what an earlier call left, if anything: of several callers one gets it, the others begin anew. What a
 * process left that died in the middle of it counts too.
 *
 * @param {string} kept Where an unfinished part lies while nobody works on it.
 * @returns {Promise<string>} The caller's own file, which may not exist yet.
 */
async function claimPart(kept) {
  const own = `${kept}.${process.pid}-${counter++}`;
  const folder = path.dirname(kept);
  const base = path.basename(kept);
  const names = await readdir(folder);
  for (const name of names) {
    const owner = name.startsWith(`${base}.`) ? /^(\d+)-\d+$/.exec(name.slice(base.length + 1))?.[1] : undefined;
    if (name !== base && (owner === undefined || isAlive(Number(owner)))) continue;
    const taken = await rename(path.join(folder, name), own).then(
      () => true,
      () => false, // another caller was first
    );
    if (taken) break;
  }
  return own;
}

/**
 * Gives an unfinished part back.
 *
 * @param {string} own
 * @param {string} kept
 */
async function keepPart(own, kept) {
  await rename(own, kept).catch(() => undefined); // there may be nothing to keep
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM'; // another user's
  }
}

module.exports = { claimPart, isAlive, keepPart };
