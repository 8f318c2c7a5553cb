import { damaged, type ByteSource } from './byte-source';
import type { Checkpoint } from './checkpoint';
import { pickleLimits, translatePickleError, unpickle, type Unpickled } from './pickle';
import { describe, Inert, StorageNode, type PickleValue } from './pickle-values';
import { makeStorage, torchMeaning } from './torch-globals';
import { checkRecord, readRecord, readZipEntries, ZipError, type ZipRecord } from './zip-entries';

/** What messages call the format. */
const format = 'torch zip';

/** The record in which this package keeps a model's configuration beside the tensors; torch passes over it. */
export const metadataRecord = 'extra/libtorch_densenet.json';

/** Bytes that a small record, such as `byteorder`, may have. */
const SMALL_RECORD = 65_536;

/** Reads what `torch.save` has written since torch 1.6: a ZIP archive of one pickle and a record for each storage. */
export async function readTorchZip(source: ByteSource): Promise<Checkpoint> {
  try {
    return await readArchive(source);
  } catch (error) {
    throw translateError(source, error);
  }
}

function translateError(source: ByteSource, error: unknown): Error {
  if (error instanceof ZipError) return damaged(source, format, error.message, error);
  return translatePickleError(error, (fault) => damaged(source, format, fault, error));
}

async function readArchive(source: ByteSource): Promise<Checkpoint> {
  const records = await readZipEntries(source);
  const prefix = commonFolder(records);
  const record = (name: string): ZipRecord | undefined => records.get(`${prefix}/${name}`);
  const small = async (name: string): Promise<string | undefined> => {
    const found = record(name);
    return found && (await readRecord(source, found, SMALL_RECORD)).toString('utf8');
  };
  const data = record('data.pkl');
  if (data === undefined) throw new ZipError('it is an archive, but has no data.pkl; torch.save did not write it');
  if (record('constants.pkl') !== undefined)
    throw new ZipError(
      'it is a TorchScript program (torch.jit.save); save weights with torch.save(model.state_dict(), path)',
    );
  const order = (await small('byteorder')) ?? 'little';
  if (order !== 'little')
    throw new ZipError(
      order === 'big'
        ? 'it was saved on a big-endian machine; load it in Python on any machine and save it again'
        : `its byteorder is ${describe(order)}`,
    );
  const storages = new Map<string, ZipRecord>();
  const wholeBytes = new Map<string, number>();
  const meaning = torchMeaning((kind, id) => {
    const storage = zipStorage(kind, id);
    if (!(storage instanceof StorageNode)) return storage;
    const before = wholeBytes.get(storage.key);
    if (before !== undefined && before !== storage.wholeBytes)
      throw new ZipError(`storage ${describe(storage.key)} has two lengths, ${before} and ${storage.wholeBytes} bytes`);
    wholeBytes.set(storage.key, storage.wholeBytes);
    return storage;
  });
  const bytes = await readRecord(source, data, pickleLimits.bytes);
  const { value, end }: Unpickled = await unpickle(bytes, meaning);
  if (end !== bytes.length) throw new ZipError(`its data.pkl ends at byte ${end}, and ${bytes.length} are there`);
  const locate = (storage: StorageNode): number => {
    const found = record(`data/${storage.key}`);
    if (found === undefined) throw damaged(source, format, `it has no record data/${storage.key.slice(0, 40)}`);
    if (found.bytes !== storage.wholeBytes)
      throw damaged(
        source,
        format,
        `its record data/${storage.key} has ${found.bytes} bytes, and the tensors in it need ${storage.wholeBytes}`,
      );
    storages.set(storage.key, found);
    return found.offset;
  };
  return {
    format,
    root: value,
    metadata: parseMetadata(await small(metadataRecord)),
    locate,
    // torch itself checks no checksums. Here those of all records that tensors were located in are checked, at about
    // a gigabyte a second: a flipped bit in a weight is otherwise never noticed.
    verify: async () => {
      try {
        for (const one of storages.values()) await checkRecord(source, one);
      } catch (error) {
        throw translateError(source, error);
      }
    },
  };
}

/** The one folder that all entries lie in. */
function commonFolder(records: ReadonlyMap<string, ZipRecord>): string {
  const folders = new Set([...records.keys()].map((name) => name.slice(0, Math.max(0, name.indexOf('/')))));
  const [folder] = folders;
  if (folders.size === 1 && folder) return folder;
  throw new ZipError(
    records.size === 0
      ? 'it is an empty archive'
      : 'its entries do not lie in one folder; torch.save did not write it, or another program packed it anew',
  );
}

/** storage class, key, location, number of elements */
function zipStorage(kind: string, id: readonly PickleValue[]): StorageNode | Inert {
  if (kind !== 'storage') throw new ZipError(`a persistent id is of the kind ${describe(kind)}`);
  if (id.length !== 4) throw new ZipError(`a persistent id has ${id.length + 1} parts, and torch writes 5`);
  const [type, key, , count] = id;
  return makeStorage(type, key, count);
}

function parseMetadata(text: string | undefined): Record<string, string> {
  if (text === undefined) return {};
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new ZipError(`its record ${metadataRecord} is not JSON: ${error instanceof Error ? error.message : ''}`);
  }
  const entries = typeof parsed === 'object' && parsed !== null ? Object.entries(parsed) : [];
  const texts = entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return Object.fromEntries(texts);
}
