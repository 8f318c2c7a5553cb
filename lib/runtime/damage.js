'use strict';

/**
 * Sees whether a library was cut short, as by a full disk or a broken download. Linux maps such a file all the same and
 * then kills the process that touches what is missing; the other systems' loaders look for themselves. Plain JavaScript
 * on Node's own modules, like locate.js.
 */

const { open } = require('node:fs/promises');

/** What an ELF file begins with, for 64 bits and little-endian. */
const magic = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
const headerBytes = 64;

/**
 * @param {string} file
 * @returns {Promise<string | undefined>} What is wrong with it; nothing where it is whole, or is no ELF file, of which
 *   the system itself has something to say.
 */
async function findDamage(file) {
  const handle = await open(file, 'r').catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    const { size } = await handle.stat();
    const header = Buffer.alloc(headerBytes);
    const { bytesRead } = await handle.read(header, 0, headerBytes, 0);
    if (!header.subarray(0, magic.length).equals(magic)) return undefined;
    const needed = bytesRead < headerBytes ? headerBytes : await bytesOf(handle, header, size);
    return size < needed ? `${file} was cut short: it has ${size} of at least ${needed} bytes` : undefined;
  } finally {
    await handle.close();
  }
}

/**
 * How long the file must be for its headers, its segments and its table of sections, which mostly comes last.
 *
 * @param {import('node:fs/promises').FileHandle} handle
 * @param {Buffer} header
 * @param {number} size The file's.
 * @returns {Promise<number>}
 */
async function bytesOf(handle, header, size) {
  const segments = {
    start: Number(header.readBigUInt64LE(32)),
    size: header.readUInt16LE(54),
    count: header.readUInt16LE(56),
  };
  const sections = Number(header.readBigUInt64LE(40)) + header.readUInt16LE(58) * header.readUInt16LE(60);
  let needed = Math.max(sections, segments.start + segments.size * segments.count);
  if (needed > size) return needed;
  const table = Buffer.alloc(segments.size * segments.count);
  await handle.read(table, 0, table.length, segments.start);
  for (let place = 0; place + 40 <= table.length; place += segments.size)
    needed = Math.max(needed, Number(table.readBigUInt64LE(place + 8) + table.readBigUInt64LE(place + 32)));
  return needed;
}

module.exports = { findDamage };
