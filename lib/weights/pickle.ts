import { setImmediate } from 'node:timers/promises';
import { DenseNetError } from '../errors';
import { Opcode, opcodeName } from './pickle-opcodes';
import {
  describe,
  Inert,
  PickleDict,
  PickleGlobal,
  PickleList,
  PickleSet,
  PickleTuple,
  StorageNode,
  TensorNode,
  type PickleValue,
} from './pickle-values';

/** What bounds a pickle; far above what torch writes for any network, and small enough to be read in a moment. */
export const pickleLimits = {
  bytes: 16 * 1024 * 1024,
  /** Of containers within containers, and of marks that are open. */
  depth: 256,
  opcodes: 5_000_000,
  /** Values that wait on the stack. */
  stack: 500_000,
  memo: 250_000,
  /** Containers, storages and tensors; each takes some hundred bytes where its opcode takes one. */
  objects: 120_000,
  /** Values in lists and dictionaries, all together. */
  items: 1_000_000,
  /** Different names of classes and functions. */
  globals: 10_000,
  /** Characters of such a name. */
  globalName: 512,
} as const;

/** Opcodes between two pauses in which the event loop goes on. */
const OPCODES_A_TURN = 4096;

/** What the names in a pickle mean: the only code that runs for what is in a file. */
export interface PickleMeaning {
  /** Whether a global is known; any other one stays inert. */
  knows(path: string): boolean;
  /** Calls a known global. An `Inert` among the results stands for what cannot be read. */
  reduce(target: PickleGlobal, args: readonly PickleValue[]): PickleValue;
  /** Finds what a persistent id stands for. */
  persistent(id: PickleValue): PickleValue;
}

/** What a pickle held, and where it ended. */
export interface Unpickled {
  value: PickleValue;
  /** After STOP, from the start of the bytes. */
  end: number;
}

/** A fault of a pickle; the reader of the file around it adds the file's name. */
export class PickleError extends Error {
  constructor(
    readonly fault: string,
    readonly offset: number,
    /** Whether more bytes might mend it. */
    readonly ended = false,
  ) {
    super(`at byte ${offset} of its pickle: ${fault}`);
  }
}

/**
 * Reads one pickle, as far as torch's own files use the format: no code is looked up or run, whatever it names.
 *
 * @throws PickleError for anything that is not allowed or does not fit together.
 */
export async function unpickle(bytes: Buffer, meaning: PickleMeaning): Promise<Unpickled> {
  const machine = new PickleMachine(bytes, meaning);
  for (;;) {
    const result = machine.run(OPCODES_A_TURN);
    if (result !== undefined) return result;
    await setImmediate();
  }
}

class PickleMachine {
  private stack: PickleValue[] = [];
  /** Where the values after each open MARK begin on the stack. */
  private readonly marks: number[] = [];
  private readonly memo = new Map<number, PickleValue>();
  private readonly globals = new Map<string, PickleGlobal | Inert>();
  private position = 0;
  /** Of the opcode that is being read, for messages. */
  private start = 0;
  private opcodes = 0;
  private objects = 0;
  private items = 0;

  /** What each opcode that is read does, STOP aside. */
  private readonly actions = new Map<number, () => void>([
    [Opcode.PROTO, () => this.protocol()],
    [Opcode.MARK, () => this.mark()],
    [Opcode.NONE, () => this.push(null)],
    [Opcode.NEWTRUE, () => this.push(true)],
    [Opcode.NEWFALSE, () => this.push(false)],
    [Opcode.BININT, () => this.push(this.bytes.readInt32LE(this.take(4)))],
    [Opcode.BININT1, () => this.push(this.byte())],
    [Opcode.BININT2, () => this.push(this.bytes.readUInt16LE(this.take(2)))],
    [Opcode.LONG1, () => this.push(this.long())],
    [Opcode.BINFLOAT, () => this.push(this.bytes.readDoubleBE(this.take(8)))],
    [Opcode.BINUNICODE, () => this.push(this.text(this.uint32()))],
    [Opcode.SHORT_BINSTRING, () => this.push(this.oldText(this.byte()))],
    [Opcode.EMPTY_TUPLE, () => this.push(this.tuple([]))],
    [Opcode.TUPLE1, () => this.push(this.tuple(this.popLast(1)))],
    [Opcode.TUPLE2, () => this.push(this.tuple(this.popLast(2)))],
    [Opcode.TUPLE3, () => this.push(this.tuple(this.popLast(3)))],
    [Opcode.TUPLE, () => this.push(this.tuple(this.popMark()))],
    [Opcode.EMPTY_LIST, () => this.push(this.made(new PickleList()))],
    [Opcode.EMPTY_DICT, () => this.push(this.made(new PickleDict()))],
    [Opcode.EMPTY_SET, () => this.push(this.made(new PickleSet()))],
    [Opcode.APPEND, () => this.append(this.popLast(1))],
    [Opcode.APPENDS, () => this.append(this.popMark())],
    [Opcode.SETITEM, () => this.set(this.popLast(2))],
    [Opcode.SETITEMS, () => this.set(this.popMark())],
    [Opcode.BINPUT, () => this.remember(this.byte())],
    [Opcode.LONG_BINPUT, () => this.remember(this.uint32())],
    [Opcode.BINGET, () => this.recall(this.byte())],
    [Opcode.LONG_BINGET, () => this.recall(this.uint32())],
    [Opcode.GLOBAL, () => this.push(this.global(`${this.line()}.${this.line()}`))],
    [Opcode.REDUCE, () => this.reduce()],
    [Opcode.NEWOBJ, () => this.reduce()],
    [Opcode.BUILD, () => this.build()],
    [Opcode.BINPERSID, () => this.push(this.persistent(this.pop()))],
  ]);

  constructor(
    private readonly bytes: Buffer,
    private readonly meaning: PickleMeaning,
  ) {}

  /** Runs up to `count` opcodes; the result when STOP was among them. */
  run(count: number): Unpickled | undefined {
    for (let done = 0; done < count; done += 1) {
      this.start = this.position;
      const code = this.byte();
      if ((this.opcodes += 1) > pickleLimits.opcodes)
        throw this.fault(`it has more than ${pickleLimits.opcodes} opcodes`);
      if (code === Opcode.STOP) return this.stop();
      this.execute(code);
      if (this.stack.length > pickleLimits.stack)
        throw this.fault(`more than ${pickleLimits.stack} values are on its stack`);
    }
    return undefined;
  }

  private stop(): Unpickled {
    const value = this.pop();
    if (this.stack.length > 0 || this.marks.length > 0) throw this.fault('it ends with values left over');
    return { value, end: this.position };
  }

  private execute(code: number): void {
    const action = this.actions.get(code);
    if (action === undefined)
      throw this.fault(
        `it has the opcode ${opcodeName(code)}, which torch's files do not need; save it with torch.save and its own pickle_protocol, 2`,
      );
    action();
  }

  private protocol(): void {
    const version = this.byte();
    if (version > 5) throw this.fault(`its protocol is ${version}, and the newest is 5`);
  }

  private mark(): void {
    if (this.marks.length >= pickleLimits.depth) throw this.tooDeep();
    this.marks.push(this.stack.length);
  }

  private reduce(): void {
    const [target, args] = this.popLast(2) as [PickleValue, PickleValue];
    if (!(args instanceof PickleTuple)) throw this.fault(`a call has ${describe(args)} in the place of its arguments`);
    // What an unknown class would make is as unknown; what it was to be made of is dropped.
    if (target instanceof Inert) {
      this.push(target);
      return;
    }
    if (!(target instanceof PickleGlobal)) throw this.fault(`it calls ${describe(target)}`);
    this.push(this.made(this.meant(() => this.meaning.reduce(target, args.items))));
  }

  private build(): void {
    this.pop();
    const target = this.top();
    // The state of an OrderedDict is the attribute `_metadata`; nothing here needs it.
    if (!(target instanceof Inert || target instanceof PickleDict))
      throw this.fault(`it gives a state to ${describe(target)}`);
  }

  private append(items: PickleValue[]): void {
    const list = this.top();
    if (list instanceof Inert || list instanceof PickleSet) return;
    if (!(list instanceof PickleList)) throw this.fault(`it appends to ${describe(list)}`);
    this.holdMore(items.length);
    for (const item of items) {
      list.items.push(item);
      this.deepen(list, item);
    }
  }

  private set(pairs: PickleValue[]): void {
    if (pairs.length % 2 !== 0) throw this.fault('it sets a key without a value');
    const target = this.top();
    if (target instanceof Inert) return;
    if (!(target instanceof PickleDict)) throw this.fault(`it sets keys of ${describe(target)}`);
    this.holdMore(pairs.length);
    const { entries } = target;
    for (let index = 0; index < pairs.length; index += 2) {
      const key = pairs[index] as PickleValue;
      const value = pairs[index + 1] as PickleValue;
      // Python would keep the last; a pickle that Python wrote has none.
      if (typeof key === 'string' && entries.has(key))
        throw this.fault(`a dictionary has the key ${describe(key)} twice`);
      entries.set(key, value);
      this.deepen(target, key);
      this.deepen(target, value);
    }
  }

  private holdMore(count: number): void {
    if ((this.items += count) > pickleLimits.items)
      throw this.fault(`its lists and dictionaries hold more than ${pickleLimits.items} values`);
  }

  private tuple(items: PickleValue[]): PickleTuple {
    const tuple = this.made(new PickleTuple(items));
    for (const item of items) this.deepen(tuple, item);
    return tuple;
  }

  private deepen(outer: PickleList | PickleTuple | PickleDict, inner: PickleValue): void {
    if (typeof inner !== 'object' || inner === null || !('depth' in inner)) return;
    outer.depth = Math.max(outer.depth, inner.depth + 1);
    if (outer.depth > pickleLimits.depth) throw this.tooDeep();
  }

  /** Counts what was made. */
  private made<Value extends PickleValue>(value: Value): Value {
    const counts =
      typeof value === 'object' &&
      value !== null &&
      ('depth' in value || value instanceof StorageNode || value instanceof TensorNode);
    if (counts && (this.objects += 1) > pickleLimits.objects)
      throw this.fault(`it has more than ${pickleLimits.objects} objects`);
    return value;
  }

  /** Runs what the pickle's names mean; its fault gets the place. */
  private meant(work: () => PickleValue): PickleValue {
    try {
      return work();
    } catch (error) {
      if (error instanceof MeaningError) throw this.fault(error.message);
      throw error;
    }
  }

  private global(path: string): PickleGlobal | Inert {
    const known = this.globals.get(path);
    if (known !== undefined) return known;
    if (this.globals.size >= pickleLimits.globals)
      throw this.fault(`it names more than ${pickleLimits.globals} classes and functions`);
    const made = this.meaning.knows(path) ? new PickleGlobal(path) : new Inert(path);
    this.globals.set(path, made);
    return made;
  }

  private remember(index: number): void {
    this.memo.set(index, this.top());
    if (this.memo.size > pickleLimits.memo) throw this.fault(`its memo has more than ${pickleLimits.memo} values`);
  }

  private recall(index: number): void {
    const value = this.memo.get(index);
    if (value === undefined) throw this.fault(`it takes ${index} from its memo, where nothing is`);
    this.push(value);
  }

  private push(value: PickleValue): void {
    this.stack.push(value);
  }

  private pop(): PickleValue {
    return this.popLast(1)[0] as PickleValue;
  }

  private popLast(count: number): PickleValue[] {
    this.need(count);
    return this.stack.splice(this.stack.length - count, count);
  }

  private popMark(): PickleValue[] {
    const from = this.marks.pop();
    if (from === undefined) throw this.fault('it needs a mark, and none is open');
    return this.stack.splice(from);
  }

  private top(): PickleValue {
    this.need(1);
    return this.stack.at(-1) as PickleValue;
  }

  /** Values below an open mark are out of reach. */
  private need(count: number): void {
    if (this.stack.length - count < (this.marks.at(-1) ?? 0)) throw this.fault('its stack has too few values');
  }

  private byte(): number {
    return this.bytes[this.take(1)] as number;
  }

  /** Steps over bytes, and gives where they begin. */
  private take(count: number): number {
    const from = this.position;
    if (from + count > this.bytes.length) throw new PickleError('it was cut short', this.start, true);
    this.position += count;
    return from;
  }

  private long(): number | bigint {
    const length = this.byte();
    const from = this.take(length);
    if (length === 0) return 0;
    // Six bytes at a time, the highest first, which alone have a sign: as many as a double holds exactly.
    let left = length - (((length - 1) % 6) + 1);
    const highest = this.bytes.readIntLE(from + left, length - left);
    if (left === 0) return highest;
    let value = BigInt(highest);
    for (; left > 0; left -= 6) value = (value << 48n) | BigInt(this.bytes.readUIntLE(from + left - 6, 6));
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  private persistent(id: PickleValue): PickleValue {
    return this.made(this.meant(() => this.meaning.persistent(id)));
  }

  private uint32(): number {
    return this.bytes.readUInt32LE(this.take(4));
  }

  /** Python 2's str; torch's names in it are ASCII. */
  private oldText(length: number): string {
    const from = this.take(length);
    return this.bytes.toString('latin1', from, from + length);
  }

  private text(length: number): string {
    const from = this.take(length);
    const bytes = this.bytes.subarray(from, from + length);
    const text = bytes.toString('utf8');
    if (text.includes('\uFFFD') && !bytes.equals(Buffer.from(text))) throw this.fault('a text in it is not UTF-8');
    return text;
  }

  private line(): string {
    const end = this.bytes.indexOf(0x0a, this.position);
    const length = (end < 0 ? this.bytes.length : end) - this.position;
    if (length > pickleLimits.globalName) throw this.fault('a name in it is too long to be one');
    if (end < 0) throw new PickleError('it was cut short', this.start, true);
    const from = this.take(end + 1 - this.position);
    return this.bytes.toString('utf8', from, end);
  }

  private tooDeep(): PickleError {
    return this.fault(`its values lie more than ${pickleLimits.depth} levels deep`);
  }

  private fault(what: string): PickleError {
    return new PickleError(what, this.start);
  }
}

/** A fault in what a pickle's names were given; the place is added where it is caught. */
export class MeaningError extends Error {}

/** Turns whatever went wrong with a pickle into the file's error. */
export function translatePickleError(error: unknown, refuse: (fault: string) => DenseNetError): DenseNetError {
  if (error instanceof PickleError) return refuse(error.message);
  if (error instanceof DenseNetError) return error;
  throw error;
}
