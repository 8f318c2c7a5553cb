'use strict';

/**
 * Makes the folders that something is installed or built into. Loading never does: it works where nothing can be
 * written. Plain JavaScript on Node's own modules, like locate.js.
 */

const { constants } = require('node:fs');
const { access, mkdir } = require('node:fs/promises');

/**
 * @param {string} folder
 * @param {string} mend What to do where it cannot be written.
 * @returns {Promise<void>} Rejects with what `toDenseNetError` turns into ERR_FILE.
 */
async function makeWritable(folder, mend) {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    throw Object.assign(new Error(`${folder} cannot be written (${code}). ${mend}`, { cause: error }), {
      code: 'ERR_DENSENET_FILE',
    });
  }
}

/**
 * {@link makeWritable} for a folder of the cache.
 *
 * @param {string} folder
 * @returns {Promise<void>}
 */
function makeCacheFolder(folder) {
  return makeWritable(
    folder,
    'It is in the cache. Set LIBTORCH_DENSENET_CACHE to a folder that can be written, or LIBTORCH to a libtorch that is there.',
  );
}

module.exports = { makeCacheFolder, makeWritable };
