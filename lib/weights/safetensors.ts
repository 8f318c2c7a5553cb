import { DenseNetError } from '../errors';
import { show } from '../validate';
import { damaged as damagedFile, type ByteSource } from './byte-source';
import type { Checkpoint } from './checkpoint';
import { findDuplicateKey, findExcess } from './json';
import { PickleDict, StorageNode, TensorNode } from './pickle-values';
import { contiguousStrides, dtypeSize, type Dtype, type TensorEntry } from './tensor-entry';

/** The largest header that the format's own implementation reads, bytes. */
const LARGEST_HEADER = 100_000_000;

/** Tensors that a file may describe: more than any network has, few enough to check in a moment. */
const MOST_TENSORS = 50_000;

/**
 * Reads the header of a safetensors file, never its tensors. Everything is checked: a file that does not agree with
 * itself is refused as a whole.
 *
 * @throws DenseNetError `ERR_FILE_FORMAT` when it is damaged or something else.
 */
export async function readSafetensors(source: ByteSource): Promise<Checkpoint> {
  const { name, size } = source;
  if (size < 8) throw damaged(name, `it has ${size} bytes, and a safetensors file has at least 8`);
  const length = (await source.read(0, 8)).readBigUInt64LE();
  if (length > BigInt(LARGEST_HEADER))
    throw damaged(name, `its header would have ${length} bytes, and the limit is ${LARGEST_HEADER}`);
  const start = 8 + Number(length);
  if (start > size) throw damaged(name, `its header would have ${length} bytes, and the file has ${size}`);
  const { entries, metadata } = parseHeader(name, await source.read(8, Number(length)), start, size);
  // All of the file after the header is one storage that the tensors are views of.
  const storage = new StorageNode('', undefined, 0, size - start, size - start);
  const root = new PickleDict();
  for (const { name: key, dtype, offset, shape, strides, bytes } of entries)
    root.entries.set(key, new TensorNode(storage, dtype, offset - start, shape, strides, bytes));
  return {
    format: 'safetensors',
    root,
    metadata,
    locate: () => start,
    // The format has no checksums.
    verify: () => Promise.resolve(),
  };
}

function decode(path: string, bytes: Buffer): string {
  if (bytes[0] !== 0x7b) throw damaged(path, 'its header does not begin with "{"');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw damaged(path, 'its header is not UTF-8', error);
  }
}

/** What a header says of its file. */
export interface SafetensorsHeader {
  /** In the order of their bytes in the file. */
  entries: TensorEntry[];
  /** The header's `__metadata__`. */
  metadata: Record<string, string>;
}

/**
 * Checks a header and turns it into entries.
 *
 * @param path For messages.
 * @param bytes The header's JSON.
 * @param start Of the tensors' bytes in the file.
 * @param end Of the file.
 */
export function parseHeader(path: string, bytes: Buffer, start: number, end: number): SafetensorsHeader {
  const excess = findExcess(bytes);
  if (excess !== undefined) throw damaged(path, `its header is too large: ${excess}`);
  const text = decode(path, bytes);
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    throw damaged(path, 'its header is not JSON', error);
  }
  if (!isRecord(header)) throw damaged(path, 'its header is not a JSON object');
  const duplicate = findDuplicateKey(bytes);
  if (duplicate !== undefined) throw damaged(path, `its header has the key ${show(duplicate)} twice`);
  const { __metadata__: metadata = {}, ...tensors } = header;
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === 'string'))
    throw damaged(path, 'its __metadata__ is not an object of texts');
  const names = Object.keys(tensors);
  if (names.length > MOST_TENSORS)
    throw damaged(path, `it has ${names.length} tensors, and the limit is ${MOST_TENSORS}`);
  const entries = names.map((name) => parseEntry(path, name, tensors[name], start));
  checkRanges(path, entries, start, end);
  return { entries, metadata: metadata as Record<string, string> };
}

function parseEntry(path: string, name: string, value: unknown, start: number): TensorEntry {
  const fault = (what: string): DenseNetError => damaged(path, `tensor ${show(name)} ${what}`);
  if (!isRecord(value)) throw fault('is not an object');
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(dtypeSize, dtype))
    throw fault(`has the element type ${show(dtype)}, and it may be ${Object.keys(dtypeSize).join(', ')}`);
  if (!isLengths(shape) || shape.length > 64) throw fault(`has the shape ${show(shape)}, which is none`);
  if (!isLengths(offsets) || offsets.length !== 2) throw fault(`has the data_offsets ${show(offsets)}, which are none`);
  const [from, to] = offsets as [number, number];
  const bytes = shape.reduce((product, length) => product * length, dtypeSize[dtype as Dtype]);
  if (!Number.isSafeInteger(bytes)) throw fault(`has a shape too large to be true, [${shape.join(', ')}]`);
  if (to - from !== bytes) throw fault(`has ${to - from} bytes, and ${dtype} [${shape.join(', ')}] needs ${bytes}`);
  return { name, dtype: dtype as Dtype, shape, strides: contiguousStrides(shape), offset: start + from, bytes };
}

/** Sorts the entries, and checks that they fill the file from the header to its end without a hole or an overlap. */
function checkRanges(path: string, entries: TensorEntry[], start: number, end: number): void {
  entries.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  let position = start;
  for (const { name, offset, bytes } of entries) {
    if (offset !== position)
      throw damaged(path, `tensor ${show(name)} begins at byte ${offset}, and the one before it ends at ${position}`);
    position = offset + bytes;
  }
  if (position !== end)
    throw damaged(
      path,
      `its tensors end at byte ${position}, and the file at ${end}: it was cut short, or something was added`,
    );
}

/** A tensor that is about to be written. */
export interface TensorDescription {
  name: string;
  dtype: Dtype;
  shape: number[];
}

/**
 * The start of a safetensors file for tensors that follow in this order, each row-major: 8 bytes of length and the
 * JSON, padded with spaces so that the tensors begin at a multiple of 8.
 */
export function safetensorsHeader(
  tensors: readonly TensorDescription[],
  metadata: Readonly<Record<string, string>>,
): { header: Uint8Array; entries: TensorEntry[] } {
  let position = 0;
  const described = tensors.map(({ name, dtype, shape }) => {
    const bytes = shape.reduce((product, length) => product * length, dtypeSize[dtype]);
    const from = position;
    position += bytes;
    return { name, dtype, shape, strides: contiguousStrides(shape), offset: from, bytes };
  });
  const json: Record<string, unknown> = { __metadata__: metadata };
  for (const { name, dtype, shape, offset, bytes } of described)
    json[name] = { dtype, shape, data_offsets: [offset, offset + bytes] };
  const text = Buffer.from(JSON.stringify(json));
  const padded = Math.ceil(text.length / 8) * 8;
  const header = Buffer.alloc(8 + padded, ' ');
  header.writeBigUInt64LE(BigInt(padded));
  text.copy(header, 8);
  return { header, entries: described.map((entry) => ({ ...entry, offset: entry.offset + header.length })) };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isLengths(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((length) => Number.isSafeInteger(length) && length >= 0);
}

function damaged(path: string, fault: string, cause?: unknown): DenseNetError {
  return damagedFile({ name: path }, 'safetensors', fault, cause);
}
