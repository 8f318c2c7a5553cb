import { Opcode } from './pickle-opcodes';

/** Writes a pickle of protocol 2 from the few kinds of values that a state dict needs. */
export class PickleWriter {
  private readonly pieces: Buffer[] = [Buffer.from([Opcode.PROTO, 2])];
  private readonly memo = new Map<string, number>();

  opcode(...bytes: number[]): this {
    this.pieces.push(Buffer.from(bytes));
    return this;
  }

  integer(value: number): this {
    if (value >= 0 && value < 256) return this.opcode(Opcode.BININT1, value);
    if (value >= 0 && value < 65_536) return this.opcode(Opcode.BININT2, value & 0xff, value >> 8);
    const bytes = Buffer.alloc(10);
    if (Math.abs(value) < 2 ** 31) {
      bytes[0] = Opcode.BININT;
      bytes.writeInt32LE(value, 1);
      this.pieces.push(bytes.subarray(0, 5));
    } else {
      bytes[0] = Opcode.LONG1;
      bytes[1] = 8;
      bytes.writeBigInt64LE(BigInt(value), 2);
      this.pieces.push(bytes);
    }
    return this;
  }

  text(value: string): this {
    const bytes = Buffer.from(value);
    const head = Buffer.alloc(5);
    head[0] = Opcode.BINUNICODE;
    head.writeUInt32LE(bytes.length, 1);
    this.pieces.push(head, bytes);
    return this;
  }

  /** A class or function, or a text, that occurs often: after the first time its place in the memo is written. */
  shared(value: { module: string; name: string } | string): this {
    const key = typeof value === 'string' ? value : `${value.module}\n${value.name}\n`;
    const place = this.memo.get(key);
    if (place !== undefined) return this.opcode(Opcode.BINGET, place);
    if (typeof value === 'string') this.text(value);
    else this.pieces.push(Buffer.from(`c${key}`));
    this.memo.set(key, this.memo.size);
    return this.opcode(Opcode.BINPUT, this.memo.size - 1);
  }

  tuple(values: readonly number[]): this {
    if (values.length === 0) return this.opcode(Opcode.EMPTY_TUPLE);
    this.opcode(Opcode.MARK);
    for (const value of values) this.integer(value);
    return this.opcode(Opcode.TUPLE);
  }

  /** The whole pickle. */
  end(): Buffer {
    return Buffer.concat([...this.pieces, Buffer.from([Opcode.STOP])]);
  }
}
