import { damaged, type ByteSource } from './byte-source';
import type { Checkpoint } from './checkpoint';
import {
  MeaningError,
  PickleError,
  pickleLimits,
  translatePickleError,
  unpickle,
  type PickleMeaning,
  type Unpickled,
} from './pickle';
import { describe, Inert, PickleDict, PickleList, type PickleValue } from './pickle-values';
import { makeStorage, storageKey, torchMeaning } from './torch-globals';
import { dtypeSize } from './tensor-entry';

/** What messages call the format. */
const format = 'legacy torch';

/** The first value of every file, and the number of the layout after it. */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;

/** The bytes of the first pickle: PROTO 2, LONG1 of ten bytes, the magic number, STOP. */
export const legacyStart = Buffer.from([0x80, 2, 0x8a, 10, ...magicBytes(), 0x2e]);

/** Bytes of an element in storages that no tensor here can be read from, but that others may follow in the file. */
const foreignSizes: Readonly<Record<string, number>> = {
  'torch.ComplexFloatStorage': 8,
  'torch.ComplexDoubleStorage': 16,
  'torch.QUInt8Storage': 1,
  'torch.QInt8Storage': 1,
  'torch.QInt32Storage': 4,
};

/** A storage as far as stepping over it goes. */
interface Extent {
  /** Elements. */
  count: number;
  /** Bytes of an element. */
  size: number;
}

/** Most pickles are far smaller; a longer one is read again, whole. */
const FIRST_READ = 1024 * 1024;

function magicBytes(): Buffer {
  return Buffer.from(MAGIC.toString(16), 'hex').reverse();
}

/**
 * Reads what `torch.save` wrote before torch 1.6, and still writes on request: five pickles in a row, then for each
 * storage its number of elements and its bytes.
 */
export async function readTorchLegacy(source: ByteSource): Promise<Checkpoint> {
  try {
    return await readPickles(source);
  } catch (error) {
    throw translatePickleError(error, (fault) => damaged(source, format, fault, error));
  }
}

async function readPickles(source: ByteSource): Promise<Checkpoint> {
  const plain = torchMeaning(() => {
    throw new MeaningError('there is a persistent id where none may be');
  });
  const magic = await readPickle(source, 0, plain);
  if (magic.value !== MAGIC) throw damaged(source, format, 'it does not begin with the magic number');
  const protocol = await readPickle(source, magic.end, plain);
  if (protocol.value !== PROTOCOL)
    throw damaged(source, format, `its layout is ${describe(protocol.value)}, and ${PROTOCOL} is the only known one`);
  const system = await readPickle(source, protocol.end, plain);
  if (!(system.value instanceof PickleDict) || system.value.get('little_endian') !== true)
    throw damaged(source, format, 'it was not saved on a little-endian machine');
  const storages = new Map<string, Extent>();
  const object = await readPickle(source, system.end, legacyMeaning(storages));
  const keys = await readPickle(source, object.end, plain);
  const starts = await locateStorages(source, keys, storages);
  return {
    format,
    root: object.value,
    metadata: {},
    // Every storage that a tensor can lie in is in the list: locateStorages has seen to it.
    locate: (storage) => starts.get(storage.key) as number,
    // The format has no checksums.
    verify: () => Promise.resolve(),
  };
}

/** Reads one pickle of unknown length. */
async function readPickle(source: ByteSource, offset: number, meaning: PickleMeaning): Promise<Unpickled> {
  const rest = source.size - offset;
  for (const limit of [FIRST_READ, pickleLimits.bytes]) {
    const bytes = await source.read(offset, Math.min(rest, limit));
    try {
      const { value, end } = await unpickle(bytes, meaning);
      return { value, end: offset + end };
    } catch (error) {
      const more = error instanceof PickleError && error.ended && bytes.length < rest;
      if (more && limit < pickleLimits.bytes) continue;
      if (more) throw damaged(source, format, `a pickle in it has more than ${pickleLimits.bytes} bytes`, error);
      throw error;
    }
  }
  throw damaged(source, format, 'a pickle in it has no end');
}

/** Gathers the storages that the object's persistent ids name. */
function legacyMeaning(storages: Map<string, Extent>): PickleMeaning {
  return torchMeaning((kind, id) => {
    // A module's class with its source; the class is all that torch makes of it.
    if (kind === 'module') return id[0] ?? null;
    if (kind !== 'storage') throw new MeaningError(`a persistent id is of the kind ${describe(kind)}`);
    if (id.length !== 5) throw new MeaningError(`a persistent id has ${id.length + 1} parts, and torch writes 6`);
    const [type, key, , count, view] = id;
    const storage = makeStorage(type, key, count, viewOf(view));
    const size = storage instanceof Inert ? foreignSizes[storage.path] : storage.dtype && dtypeSize[storage.dtype];
    if (size === undefined || typeof count !== 'number' || !Number.isSafeInteger(count * size) || count < 0)
      throw new MeaningError(`it has a storage of ${describe(type)}, whose length in the file is not known`);
    const name = storageKey(key);
    const before = storages.get(name);
    if (before !== undefined && (before.count !== count || before.size !== size))
      throw new MeaningError(`storage ${describe(name)} is described in two ways`);
    storages.set(name, { count, size });
    return storage;
  });
}

/** A view's key, start and length; nothing for the whole storage. */
function viewOf(view: PickleValue | undefined): { start: PickleValue; count: PickleValue } | undefined {
  if (view === null) return undefined;
  const items = typeof view === 'object' && view.kind === 'tuple' ? view.items : [];
  if (items.length !== 3) throw new MeaningError(`a storage has ${describe(view)} in the place of its view`);
  return { start: items[1] as PickleValue, count: items[2] as PickleValue };
}

/** Steps over the storages at the end of the file, and gives where the bytes of each begin. */
async function locateStorages(
  source: ByteSource,
  keys: Unpickled,
  storages: ReadonlyMap<string, Extent>,
): Promise<Map<string, number>> {
  if (!(keys.value instanceof PickleList)) throw damaged(source, format, 'it has no list of storages');
  const starts = new Map<string, number>();
  let position = keys.end;
  for (const key of keys.value.items) {
    const name = String(typeof key === 'string' || typeof key === 'number' ? key : describe(key));
    const storage = storages.get(name);
    if (storage === undefined) throw damaged(source, format, `no tensor lies in its storage ${describe(name)}`);
    if (starts.has(name)) throw damaged(source, format, `it lists the storage ${describe(name)} twice`);
    const expected = storage.count;
    const count = (await source.read(position, 8)).readBigInt64LE();
    if (count !== BigInt(expected))
      throw damaged(source, format, `storage ${name} has ${count} elements, and its tensors need ${expected}`);
    starts.set(name, position + 8);
    position += 8 + expected * storage.size;
    if (position > source.size) throw damaged(source, format, `it was cut short within storage ${name}`);
  }
  if (starts.size !== storages.size) throw damaged(source, format, 'it does not list all storages of its tensors');
  if (position !== source.size)
    throw damaged(source, format, `its storages end at byte ${position}, and the file at ${source.size}`);
  return starts;
}
