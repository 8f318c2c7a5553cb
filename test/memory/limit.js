'use strict';

/** A process that limits itself, by the `prlimit` of Linux. */

const { execFileSync } = require('node:child_process');
const { readFileSync } = require('node:fs');

/**
 * Not of address space: each of malloc's arenas reserves 64 MB of that, which no model uses.
 *
 * @param {number | 'unlimited'} bytes That can be written.
 */
function limit(bytes) {
  execFileSync('prlimit', [`--pid=${process.pid}`, `--data=${bytes}:unlimited`]);
}

/** Bytes that this process has to write in. */
function writable() {
  const [, kilobytes] = /VmData:\s*(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

module.exports = { limit, writable };
