/** Random numbers and changes of bytes that one seed decides: an input that fails can be made again by its number. */

/** A generator of 32-bit numbers (mulberry32), small and good enough for this. */
export class Random {
  #state: number;

  constructor(seed: number, index: number) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0;
  }

  /** From 0 to below `limit`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  pick<Value>(list: readonly Value[]): Value {
    return list[this.below(list.length)] as Value;
  }
}

/** Numbers at which lengths and offsets go wrong. */
const edges = [
  0n,
  1n,
  2n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0xffffn,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];

type Change = (bytes: Buffer, random: Random, seeds: readonly Buffer[]) => Buffer;

const changes: readonly Change[] = [
  function flipBit(bytes, random) {
    bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
    return bytes;
  },
  function setByte(bytes, random) {
    bytes[random.below(bytes.length)] = random.below(256);
    return bytes;
  },
  function editLength(bytes, random) {
    const width = random.pick([1, 2, 4, 8]);
    const number = Buffer.alloc(8);
    number.writeBigUInt64LE(random.pick(edges));
    number.copy(bytes, random.below(bytes.length), 0, width);
    return bytes;
  },
  function cutShort(bytes, random) {
    return bytes.subarray(0, random.below(bytes.length));
  },
  function remove(bytes, random) {
    const from = random.below(bytes.length);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + 1 + random.below(32))]);
  },
  function repeat(bytes, random) {
    const from = random.below(bytes.length);
    const piece = bytes.subarray(from, from + 1 + random.below(64));
    const times = 1 + random.below(random.below(20) === 0 ? 300 : 3);
    return Buffer.concat([bytes.subarray(0, from), ...Array<Buffer>(times).fill(piece), bytes.subarray(from)]);
  },
  function splice(bytes, random, seeds) {
    const other = random.pick(seeds);
    const from = random.below(other.length);
    const piece = other.subarray(from, from + 1 + random.below(128));
    const at = random.below(bytes.length);
    const over = random.below(2) === 0 ? piece.length : 0;
    return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + over)]);
  },
];

/** Files to change: most often one that is right. */
export interface Seeds {
  right: readonly Buffer[];
  wrong: readonly Buffer[];
}

/** One of the seeds with one to four changes, more often one. */
export function mutate(random: Random, { right, wrong }: Seeds): Buffer {
  const all = [...right, ...wrong];
  let bytes: Buffer = Buffer.from(random.pick(random.below(4) === 0 && wrong.length > 0 ? wrong : right));
  for (let left = random.pick([1, 1, 1, 2, 3, 4]); left > 0 && bytes.length > 0; left -= 1)
    bytes = random.pick(changes)(bytes, random, all);
  return bytes;
}
