/**
 * TensorBoard's event files: records of TFRecord framing (length, its checksum, data, its checksum; checksums are CRC-32C,
 * masked), each a protocol buffer `Event`. tensorflow/core/lib/io/record_writer.h and tensorflow/core/util/event.proto
 * describe them; scalars and restarts are written.
 */

/** CRC-32C (Castagnoli), reflected. */
const polynomial = 0x82f63b78;

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1;
  return value;
});

export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 0xff] as number);
  return (crc ^ 0xffffffff) >>> 0;
}

/** The form in which records hold a checksum, so that a checksum of bytes with checksums in them is not a plain one. */
export function maskedChecksum(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** A record around some data. */
export function toRecord(data: Uint8Array): Buffer {
  const record = Buffer.alloc(data.length + 16);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(maskedChecksum(record.subarray(0, 8)), 8);
  record.set(data, 12);
  record.writeUInt32LE(maskedChecksum(data), 12 + data.length);
  return record;
}

/** The first record of every file. */
export function versionRecord(seconds: number): Buffer {
  return toRecord(Buffer.concat([double(1, seconds), bytes(3, Buffer.from('brain.Event:2'))]));
}

/** A record after which readers drop what the files before have of this step and later ones: a run goes on from there. */
export function restartRecord(seconds: number, step: number): Buffer {
  const sessionStart = integer(1, 1);
  return toRecord(Buffer.concat([double(1, seconds), integer(2, step), bytes(7, sessionStart)]));
}

/**
 * A record of scalars.
 *
 * @param seconds When, since 1970.
 * @param step A whole number of at least 0.
 */
export function scalarRecord(seconds: number, step: number, scalars: Readonly<Record<string, number>>): Buffer {
  const values = Object.entries(scalars).map(([tag, value]) =>
    bytes(1, Buffer.concat([bytes(1, Buffer.from(tag)), float(2, value)])),
  );
  return toRecord(Buffer.concat([double(1, seconds), integer(2, step), bytes(5, Buffer.concat(values))]));
}

// Fields of a protocol buffer: a key of number and wire type, then the value.

function varint(value: number): Buffer {
  const list: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) list.push((rest % 128) | 128);
  return Buffer.from([...list, rest]);
}

function integer(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8), varint(value)]);
}

function double(field: number, value: number): Buffer {
  const data = Buffer.alloc(8);
  data.writeDoubleLE(value);
  return Buffer.concat([varint(field * 8 + 1), data]);
}

function bytes(field: number, value: Uint8Array): Buffer {
  return Buffer.concat([varint(field * 8 + 2), varint(value.length), value]);
}

function float(field: number, value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeFloatLE(value);
  return Buffer.concat([varint(field * 8 + 5), data]);
}
