import type { Dtype } from './tensor-entry';

/** Whatever a pickle can hold. Nothing of it is ever executed, and dictionaries are Maps, never objects. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PickleList
  | PickleTuple
  | PickleDict
  | PickleSet
  | PickleGlobal
  | Inert
  | StorageNode
  | TensorNode;

/** A container that knows how deep it reaches, so that depth can be bounded while it is built. */
abstract class Container {
  /** Levels of containers in it, itself included. */
  depth = 1;
}

export class PickleList extends Container {
  readonly kind = 'list';
  readonly items: PickleValue[] = [];
}

export class PickleTuple extends Container {
  readonly kind = 'tuple';
  constructor(readonly items: readonly PickleValue[]) {
    super();
  }
}

export class PickleDict extends Container {
  readonly kind = 'dictionary';
  #entries: Map<PickleValue, PickleValue> | undefined;

  /** Made when it is first asked for: a hostile file can have many empty dictionaries, and a Map is not small. */
  get entries(): Map<PickleValue, PickleValue> {
    return (this.#entries ??= new Map());
  }

  get(key: PickleValue): PickleValue | undefined {
    return this.#entries?.get(key);
  }
}

/** Python's set; torch's files have one only beside their tensors, so its members are not kept. */
export class PickleSet extends Container {
  readonly kind = 'set';
}

/** A name that the pickle refers to and that this package knows the meaning of; see torch-globals.ts. */
export class PickleGlobal {
  readonly kind = 'global';
  constructor(
    /** The module and the name in it, such as `torch._utils._rebuild_tensor_v2`. */
    readonly path: string,
  ) {}
}

/** Something that this package does not look into: a class it does not know, and whatever that class would make. */
export class Inert {
  readonly kind = 'inert';
  constructor(readonly path: string) {}
}

/** A run of bytes in the file that tensors are views of. */
export class StorageNode {
  readonly kind = 'storage';
  constructor(
    readonly key: string,
    /** Of its elements; nothing for bytes that a tensor gives a type of its own. */
    readonly dtype: Dtype | undefined,
    /** Where it begins in the storage of that key, bytes; not 0 for a view of a storage. */
    readonly start: number,
    /** Of this storage, or of this view. */
    readonly bytes: number,
    /** Of the whole storage of that key. */
    readonly wholeBytes: number,
  ) {}
}

/** A tensor as a pickle describes it: a view of a storage. */
export class TensorNode {
  readonly kind = 'tensor';
  constructor(
    readonly storage: StorageNode,
    readonly dtype: Dtype,
    /** Of the first element, from the start of the storage of that key. */
    readonly byteOffset: number,
    readonly shape: readonly number[],
    /** In elements. */
    readonly strides: readonly number[],
    /** From the first element's first byte to the last one's end; checked to lie in the storage. */
    readonly bytes: number,
  ) {}
}

/** A value as an error message names it. */
export function describe(value: PickleValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'None';
  if (typeof value === 'object')
    return value.kind === 'inert' || value.kind === 'global' ? value.path.slice(0, 100) : `a ${value.kind}`;
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  return String(value).slice(0, 60);
}
