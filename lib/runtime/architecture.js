'use strict';

/** Which processors a library is for. Plain JavaScript on Node's own modules, like locate.js. */

const { open } = require('node:fs/promises');

/**
 * ELF's numbers of machines, by Node's names of them.
 *
 * @type {Record<string, number>}
 */
const machines = { ia32: 3, ppc64: 21, s390x: 22, arm: 40, x64: 62, arm64: 183, riscv64: 243, loong64: 258 };

/**
 * The architecture that an ELF file is for, where it is another than that of this Node. The system's loader would only
 * say that there is no such file.
 *
 * @param {string} file
 * @returns {Promise<string | undefined>} Such as `arm64`; nothing for what fits, and for what is no ELF file.
 */
async function foreignArchitecture(file) {
  const header = Buffer.alloc(20);
  const handle = await open(file);
  try {
    const { bytesRead } = await handle.read(header, 0, header.length, 0);
    if (bytesRead < header.length || header.toString('latin1', 0, 4) !== '\x7fELF') return undefined;
  } finally {
    await handle.close();
  }
  const machine = header[5] === 2 ? header.readUInt16BE(18) : header.readUInt16LE(18);
  const own = machines[process.arch];
  if (own === undefined || machine === own) return undefined;
  return Object.keys(machines).find((name) => machines[name] === machine) ?? `machine ${machine}`;
}

module.exports = { foreignArchitecture };
