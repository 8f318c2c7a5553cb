'use strict';

const { constants } = require('node:os');

/** The kinds of calls that shim.c can make fail, in its order, and which errors each is given. */
const writing = ['ENOSPC', 'EACCES', 'EIO'];
const kinds = [
  { name: 'open', errors: writing },
  { name: 'write', errors: writing },
  { name: 'fsync', errors: writing },
  { name: 'rename', errors: writing },
  { name: 'open to read', errors: ['EACCES', 'EIO'] },
  { name: 'read', errors: ['EIO'] },
  { name: 'open of the folder', errors: ['EIO'] },
  { name: 'fsync of the folder', errors: ['ENOSPC', 'EIO'] },
  { name: 'unlink', errors: ['EACCES', 'EIO'] },
  { name: 'mkdir', errors: writing },
];

/** @typedef {{ kind: number, error: string, before: number, lasting: boolean }} Fault */

/** Where the counts of calls begin in the plan, in numbers. */
const COUNTS = 5;
const PLAN_BYTES = 4 * (COUNTS + kinds.length);

/**
 * The plan's bytes; without a fault nothing fails.
 *
 * @param {Fault} [fault]
 */
function planOf(fault) {
  const numbers = new Int32Array(COUNTS + kinds.length);
  numbers.set(
    fault === undefined
      ? [-1, 0, 0, 0, 0]
      : [
          fault.kind,
          fault.before,
          constants.errno[/** @type {keyof typeof constants.errno} */ (fault.error)],
          Number(fault.lasting),
          0,
        ],
  );
  return Buffer.from(numbers.buffer);
}

/**
 * Whether a call has failed, and how many there were of each kind.
 *
 * @param {Buffer} plan
 */
function readPlan(plan) {
  const numbers = Array.from({ length: COUNTS + kinds.length }, (_, place) => plan.readInt32LE(4 * place));
  return { hit: numbers[COUNTS - 1] === 1, seen: numbers.slice(COUNTS) };
}

/** @param {Fault} fault */
function describe({ kind, error, before, lasting }) {
  return `${error} at ${kinds[kind]?.name} ${before + 1}${lasting ? ' and after it' : ''}`;
}

module.exports = { PLAN_BYTES, describe, kinds, planOf, readPlan };
