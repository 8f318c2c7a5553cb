import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DenseNet, isDenseNetError, type CreateOptions, type DenseNetError, type ErrorCode } from '../../lib';
import type { TensorData } from '../../lib';
import { tinyModel } from '../tiny';

/** A value of the wrong type, as a caller without TypeScript may pass it. */
export function wrong(value: unknown): never {
  return value as never;
}

/** What a call is refused with. A call that is not refused, or not with a DenseNetError, fails the test. */
export async function refusal(call: () => unknown): Promise<DenseNetError> {
  try {
    await call();
  } catch (error) {
    if (isDenseNetError(error)) return error;
    throw new Error(`the call threw ${String(error)}, which is no DenseNetError`, { cause: error });
  }
  throw new Error('the call was not refused');
}

/** Expects a call to be refused with a code, and with a message that holds each of the texts. */
export async function expectRefusal(call: () => unknown, code: ErrorCode, ...texts: string[]): Promise<void> {
  const { code: found, message } = await refusal(call);
  for (const text of ['', ...texts])
    expect({ code: found, message }).toEqual({ code, message: expect.stringContaining(text) });
}

/** Makes tiny models that are disposed of after each test. */
export function modelMaker(): (options?: CreateOptions) => Promise<DenseNet> {
  const made: DenseNet[] = [];
  afterEach(async () => {
    await Promise.all(made.splice(0).map((model) => model.dispose()));
  });
  return async (options) => {
    const model = await tinyModel(options);
    made.push(model);
    return model;
  };
}

/** Paths in a folder that is there for the tests of one file, and removed after them. */
export function temporaryFolder(): (name: string) => string {
  let folder = '';
  beforeAll(async () => (folder = await mkdtemp(path.join(os.tmpdir(), 'densenet-'))));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return (name) => path.join(folder, name);
}

/** All weights and buffers, bit for bit, as one text. */
export async function fingerprint(model: DenseNet): Promise<string> {
  const hash = createHash('sha256');
  for (const [name, { data, shape }] of await model.stateDict())
    hash.update(`${name} ${shape.join()}\n`).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return hash.digest('hex');
}

/** Raw pixels N×C×H×W that look like noise, always the same for the same seed. */
export function rawImages(shape: [number, number, number, number], seed = 1): TensorData {
  let state = seed;
  const draw = (): number => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) >>> 24;
  return { data: Uint8Array.from({ length: shape.reduce((a, b) => a * b) }, draw), shape };
}

/** A tensor of floats. */
export function floats(shape: number[], values: Iterable<number>): TensorData {
  return { data: Float32Array.from(values), shape };
}

/** The values of a tensor as numbers. */
export function valuesOf(tensor: TensorData | undefined): number[] {
  return Array.from(tensor?.data as Float32Array, Number);
}

/** The largest difference of two lists of as many numbers. */
export function difference(actual: readonly number[], expected: readonly number[]): number {
  expect(actual).toHaveLength(expected.length);
  return actual.reduce((most, value, place) => Math.max(most, Math.abs(value - (expected[place] as number))), 0);
}

/** A safetensors file: 8 bytes of length, the header, the tensors' bytes. A text stands for itself. */
export function packSafetensors(header: unknown, data: Uint8Array = new Uint8Array(), length?: bigint): Buffer {
  const text = Buffer.isBuffer(header)
    ? header
    : Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(length ?? BigInt(text.length));
  return Buffer.concat([start, text, data]);
}

/** Writes float tensors to a file and loads them into a model that may have others. */
export async function putTensors(model: DenseNet, file: string, tensors: Record<string, TensorData>): Promise<void> {
  const header: Record<string, object> = {};
  let position = 0;
  for (const [name, { data, shape }] of Object.entries(tensors)) {
    header[name] = { dtype: 'F32', shape, data_offsets: [position, position + data.byteLength] };
    position += data.byteLength;
  }
  const bytes = Object.values(tensors).map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  await writeFile(file, packSafetensors(header, Buffer.concat(bytes)));
  const { matched } = await model.loadWeights(file, { strict: false });
  expect(matched).toEqual(Object.keys(tensors));
}
