/** Writes pickles opcode by opcode, right ones and wrong ones; it shares nothing with the package's own writer. */

const bytes = (...values: number[]): Buffer => Buffer.from(values);

export const proto = bytes(0x80, 2);
export const stop = bytes(0x2e);
export const mark = bytes(0x28);
export const tuple = bytes(0x74);
export const reduce = bytes(0x52);
export const persid = bytes(0x51);
export const setitems = bytes(0x75);
export const none = bytes(0x4e);
export const no = bytes(0x89);
export const emptyTuple = bytes(0x29);
export const emptyDict = bytes(0x7d);
export const emptyList = bytes(0x5d);
export const append = bytes(0x61);
export const build = bytes(0x62);

export function global(module: string, name: string): Buffer {
  return Buffer.from(`c${module}\n${name}\n`);
}

export function text(value: string | Buffer): Buffer {
  const content = Buffer.from(value as string);
  const head = bytes(0x58, 0, 0, 0, 0);
  head.writeUInt32LE(content.length, 1);
  return Buffer.concat([head, content]);
}

/** A whole number as LONG1, which takes any of up to 255 bytes; small ones too. */
export function integer(value: number | bigint): Buffer {
  let digits = BigInt.asUintN(128, BigInt(value)).toString(16);
  if (digits.length % 2 === 1) digits = `0${digits}`;
  const content = Buffer.from(digits, 'hex').reverse();
  const length = value < 0 ? 16 : content.length + 1;
  return Buffer.concat([bytes(0x8a, length), Buffer.concat([content, Buffer.alloc(16)]).subarray(0, length)]);
}

export function tupleOf(...items: Buffer[]): Buffer {
  return Buffer.concat([mark, ...items, tuple]);
}

export function call(target: Buffer, ...args: Buffer[]): Buffer {
  return Buffer.concat([target, tupleOf(...args), reduce]);
}

export function dictOf(...pairs: Buffer[]): Buffer {
  return Buffer.concat([emptyDict, mark, ...pairs, setitems]);
}

export function pickle(...pieces: Buffer[]): Buffer {
  return Buffer.concat([proto, ...pieces, stop]);
}

export interface TensorParts {
  storage?: string;
  key?: string | Buffer;
  count?: number | bigint;
  offset?: number | bigint;
  shape?: (number | bigint)[];
  strides?: (number | bigint)[];
  /** `zip` for five parts of the persistent id, `legacy` for six. */
  layout?: 'zip' | 'legacy';
  view?: Buffer;
}

/** A tensor of 2×3 floats, unless told otherwise. */
export function tensor(parts: TensorParts = {}): Buffer {
  const { storage = 'FloatStorage', key = '0', count = 6, offset = 0, shape = [2, 3], strides = [3, 1] } = parts;
  const { layout = 'zip', view = none } = parts;
  const id = tupleOf(
    ...[text('storage'), global('torch', storage), text(key), text('cpu'), integer(count)],
    ...(layout === 'legacy' ? [view] : []),
  );
  return call(
    global('torch._utils', '_rebuild_tensor_v2'),
    Buffer.concat([id, persid]),
    integer(offset),
    tupleOf(...shape.map(integer)),
    tupleOf(...strides.map(integer)),
    no,
    call(global('collections', 'OrderedDict')),
  );
}
