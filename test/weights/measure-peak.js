'use strict';

/** Reads each of the files that are named, and prints as JSON what came of it and the memory it took at its peak. */

const { readFileSync, writeFileSync } = require('node:fs');
require('../typescript');
const { withFileSource } = require('../../lib/weights/byte-source');
const { readCheckpoint } = require('../../lib/weights/checkpoint');
const { readStateDict } = require('../../lib/weights/state-dict');

/** @param {string} line Of /proc/self/status. */
function bytesOf(line) {
  const found = new RegExp(`${line}:\\s+(\\d+) kB`).exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(found?.[1]) * 1024;
}

/** @param {string} file */
async function measure(file) {
  global.gc?.();
  // Lets the peak begin anew; see proc(5).
  writeFileSync('/proc/self/clear_refs', '5');
  const before = bytesOf('VmRSS');
  // Of the processor, not of the clock: other tests run beside this one.
  const start = process.cpuUsage();
  let code = 'read';
  try {
    await withFileSource(file, async (source) => readStateDict(file, await readCheckpoint(source)));
  } catch (error) {
    code = String(/** @type {{ code?: string }} */ (error).code ?? error);
  }
  const { user, system } = process.cpuUsage(start);
  return { code, peak: bytesOf('VmHWM') - before, milliseconds: (user + system) / 1000 };
}

async function main() {
  const results = [];
  for (const file of process.argv.slice(2)) results.push(await measure(file));
  console.log(JSON.stringify(results));
}

void main();
