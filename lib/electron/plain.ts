import { DenseNetError } from '../densenet-error';
import { show } from '../show';

/** Far more than any call needs, and far less than would keep the host busy. */
const most = { depth: 10, values: 500_000, text: 10_000 } as const;

const arrayKinds = ['Uint8Array', 'Float32Array', 'Int32Array', 'BigInt64Array', 'Float64Array'];

/** Names under which JavaScript keeps what objects inherit. */
const reserved = new Set(['__proto__', 'constructor', 'prototype']);

/** The kind of an object by JavaScript's own name. A clone cannot lie about it: no symbol and no prototype comes along. */
const kindOf = (value: object): string => Object.prototype.toString.call(value).slice(8, -1);

/**
 * Checks that a message is made of plain objects, lists without holes, numbers, texts, booleans and typed arrays, that no
 * key of it reaches a prototype, and that it is neither deep nor large. A structured clone may hold much else: maps, dates,
 * circles, lists of four thousand million holes. The host checks what it gets; the client does so before it sends, since
 * what the host could not even read would never be answered.
 *
 * @returns The bytes of the memory that its typed arrays look into.
 * @throws DenseNetError `ERR_INVALID_MESSAGE`.
 */
export function checkPlain(message: unknown): number {
  const buffers = new Set<ArrayBufferLike>();
  let values = 0;
  const visit = (value: unknown, depth: number): void => {
    values += 1;
    if (values > most.values) throw refused(`it has more than ${most.values} values`);
    if (typeof value === 'string' && value.length > most.text)
      throw refused(`a text in it has ${value.length} characters; ${most.text} are allowed`);
    if (typeof value === 'bigint') throw refused(`it holds ${show(value)}, and no call takes a bigint`);
    if (typeof value !== 'object' || value === null) return;
    if (depth === most.depth) throw refused(`it is deeper than ${most.depth} levels, or holds itself`);
    if (ArrayBuffer.isView(value)) buffers.add(checkArray(value));
    else for (const item of contents(value)) visit(item, depth + 1);
  };
  visit(message, 0);
  return [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function checkArray(view: ArrayBufferView): ArrayBufferLike {
  if (!arrayKinds.includes(kindOf(view))) throw refused(`it holds ${show(view)}`);
  // Whoever shares memory may change it after it was checked.
  if (kindOf(view.buffer) === 'SharedArrayBuffer') throw refused('it holds memory that another thread shares');
  return view.buffer;
}

/** What lies in a list or a plain object. */
function contents(value: object): unknown[] {
  if (Array.isArray(value)) {
    if (value.length > most.values || Object.keys(value).length !== value.length)
      throw refused(`it holds a list of ${value.length} values with holes or keys, or too long a one`);
    return value;
  }
  if (kindOf(value) !== 'Object') throw refused(`it holds ${show(value)}`);
  const keys = Object.keys(value);
  const wrong = keys.find((key) => reserved.has(key));
  if (wrong !== undefined) throw refused(`it has the key ${show(wrong)}`);
  return keys.map((key) => (value as Record<string, unknown>)[key]);
}

function refused(why: string): DenseNetError {
  return new DenseNetError('ERR_INVALID_MESSAGE', `the message was refused: ${why}.`);
}
