import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { CreateOptions, OptimizerOptions, ScheduleOptions } from '../../lib';
import type { TensorData } from '../../lib';

const folder = path.join(__dirname, 'fixtures');

/** What make_fixtures.py wrote for one configuration. */
export interface Fixture {
  config: CreateOptions;
  optimizer: OptimizerOptions;
  schedule: ScheduleOptions | null;
  stepsPerEpoch: number;
  losses: number[];
  learningRates: number[];
  tensors: Map<string, TensorData>;
}

/** Reads a fixture with a reader of its own, so that a fault of the package's reader cannot hide another. */
export async function readFixture(name: string): Promise<Fixture> {
  const facts = JSON.parse(await readFile(path.join(folder, `${name}.json`), 'utf8')) as Omit<Fixture, 'tensors'>;
  return { ...facts, tensors: readTensors(await readFile(path.join(folder, `${name}.safetensors`))) };
}

/** The tensors of a safetensors file. */
export function readTensors(bytes: Buffer): Map<string, TensorData> {
  const start = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  delete header['__metadata__'];
  const tensors = new Map<string, TensorData>();
  for (const [
    key,
    {
      dtype,
      shape,
      data_offsets: [from, to],
    },
  ] of Object.entries(header)) {
    const { buffer } = Uint8Array.from(bytes.subarray(start + from, start + to));
    const kinds = { F32: Float32Array, F64: Float64Array, I64: BigInt64Array, U8: Uint8Array };
    tensors.set(key, { data: new kinds[dtype as keyof typeof kinds](buffer), shape });
  }
  return tensors;
}

/** The fixture's tensors under a prefix, by the names after it. */
export function below(fixture: Fixture, prefix: string): Map<string, TensorData> {
  const entries = [...fixture.tensors].filter(([name]) => name.startsWith(`${prefix}.`));
  return new Map(entries.map(([name, tensor]) => [name.slice(prefix.length + 1), tensor]));
}

/** Writes tensors to a safetensors file for as long as `use` runs. */
export async function withSafetensors<Result>(
  tensors: Map<string, TensorData>,
  use: (file: string) => Promise<Result>,
): Promise<Result> {
  const place = await mkdtemp(path.join(os.tmpdir(), 'densenet-'));
  try {
    const file = path.join(place, 'weights.safetensors');
    let offset = 0;
    const header: Record<string, unknown> = {};
    for (const [name, { data, shape }] of tensors) {
      const end = offset + data.byteLength;
      header[name] = {
        dtype: data[Symbol.toStringTag] === 'BigInt64Array' ? 'I64' : 'F32',
        shape,
        data_offsets: [offset, end],
      };
      offset = end;
    }
    const text = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    const bodies = [...tensors.values()].map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    await writeFile(file, Buffer.concat([length, text, ...bodies]));
    return await use(file);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** The largest absolute value of a tensor. */
export function largest({ data }: TensorData): number {
  let found = 0;
  for (const value of data) found = Math.max(found, Math.abs(Number(value)));
  return found;
}

/** The largest difference of two tensors, relative to the largest value of the expected one. */
export function relativeDifference(actual: TensorData, expected: TensorData): number {
  expect(actual.shape).toEqual(expected.shape);
  let difference = 0;
  for (let place = 0; place < expected.data.length; place += 1) {
    const [found, wanted] = [Number(actual.data[place]), Number(expected.data[place])];
    difference = Math.max(difference, Number.isFinite(found) ? Math.abs(found - wanted) : Infinity);
  }
  return difference / Math.max(largest(expected), 1e-30);
}
