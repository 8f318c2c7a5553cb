import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { parseCifar } from '../../lib/data/cifar';
import { parseIdx } from '../../lib/data/idx';
import { DenseNetError } from '../../lib/errors';
import { elementCount } from '../../lib/tensor';
import { bufferSource, type ByteSource } from '../../lib/weights/byte-source';
import { readCheckpoint, type Checkpoint } from '../../lib/weights/checkpoint';
import { toModelNames } from '../../lib/weights/names';
import { readSafetensors } from '../../lib/weights/safetensors';
import { readStateDict } from '../../lib/weights/state-dict';
import { dtypeSize } from '../../lib/weights/tensor-entry';
import { readTorchLegacy } from '../../lib/weights/torch-legacy';
import { readTorchZip } from '../../lib/weights/torch-zip';
import { goodFiles, hostileFiles } from '../hostile/checkpoint-corpus';
import { SLOW_MS } from '../hostile/slow';
import { torchZip } from '../weights/build-zip';
import { mutate, Random, type Seeds } from './mutate';

/**
 * Gives every parser of files random ones: seeds that are right, or wrong in one way, with a few changes. A parser may
 * take a file or refuse it with a code of its own, within a second; anything else is a fault.
 */
export interface Target {
  name: string;
  seeds: Seeds;
  /** `taken`, or what is wrong with that the parser took it; a refusal is thrown. */
  take(bytes: Buffer): Promise<string>;
}

export interface FuzzResult {
  inputs: number;
  /** Files that a parser took. */
  taken: number;
  /** Refusals by code. */
  refused: Record<string, number>;
  /** Of the slowest input, milliseconds. */
  slowest: number;
  faults: string[];
}

/** Larger seeds only make the run slow. */
const LARGEST_SEED = 40_000;

const allowed = new Set(['ERR_FILE_FORMAT', 'ERR_WEIGHTS_MISMATCH']);

/** The parsers and their seeds: PyTorch's own files and built ones, and the hostile ones of the format. */
export function fuzzTargets(): Target[] {
  const folder = path.join(__dirname, '..', 'weights', 'fixtures');
  const fixtures = readdirSync(folder).filter((name) => !name.startsWith('refused-') && !name.endsWith('.json'));
  const seedsOf = (format: string, ending: RegExp): Seeds => {
    const take = (files: { name: string; bytes: Buffer }[]): Buffer[] =>
      files
        .filter(({ name, bytes }) => name.startsWith(format) && bytes.length > 0 && bytes.length <= LARGEST_SEED)
        .map(({ bytes }) => bytes);
    const saved = fixtures.filter((name) => ending.test(name)).map((name) => readFileSync(path.join(folder, name)));
    return { right: [...take(goodFiles()), ...saved], wrong: take(hostileFiles()) };
  };
  const zips = seedsOf('torch zip', /(?<!-legacy)\.pth$/);
  const legacy = seedsOf('legacy torch', /-legacy\.pth$/);
  return [
    { name: 'torch zip', seeds: zips, take: (bytes) => takeWeights(readTorchZip, bytes) },
    { name: 'legacy torch', seeds: legacy, take: (bytes) => takeWeights(readTorchLegacy, bytes) },
    {
      name: 'safetensors',
      seeds: seedsOf('safetensors', /\.safetensors$/),
      take: (bytes) => takeWeights(readSafetensors, bytes),
    },
    // A changed pickle in a right archive: the archive's checksum would otherwise refuse every one.
    {
      name: 'pickle',
      seeds: { right: pickles(zips.right), wrong: pickles(zips.wrong) },
      take: (bytes) => takeWeights(readTorchZip, torchZip({}, bytes)),
    },
    { name: 'any', seeds: seedsOf('', /./), take: (bytes) => takeWeights(readCheckpoint, bytes) },
    { name: 'IDX', seeds: { right: idxFiles(), wrong: [] }, take: takeIdx },
    { name: 'CIFAR', seeds: { right: [cifarFile(3)], wrong: [cifarFile(1).subarray(1)] }, take: takeCifar },
  ];
}

/** Arrays of one to four axes, each plain and gzipped. */
function idxFiles(): Buffer[] {
  const plain = [[40], [3, 8, 8], [2, 3, 4, 4]].map((shape) => {
    const lengths = shape.flatMap((length) => [0, 0, 0, length]);
    const count = shape.reduce((product, length) => product * length, 1);
    return Buffer.from([0, 0, 8, shape.length, ...lengths, ...Array.from({ length: count }, (_, n) => n % 256)]);
  });
  return [...plain, ...plain.map((bytes) => gzipSync(bytes))];
}

function cifarFile(records: number): Buffer {
  return Buffer.concat(Array.from({ length: records }, (_, n) => Buffer.alloc(3073, n)));
}

async function takeIdx(bytes: Buffer): Promise<string> {
  const { shape, data } = await parseIdx('the file', bytes);
  return elementCount(shape) === data.length && data.length > 0 ? 'taken' : 'its shape and its data differ';
}

async function takeCifar(bytes: Buffer): Promise<string> {
  const { pixels, labels } = await parseCifar('the file', bytes, { labelBytes: 1, label: 0, classes: 10 });
  const right = pixels.length === labels.length * 3072 && labels.every((label) => label < 10);
  return right ? 'taken' : 'its labels and its pixels differ';
}

/** The pickles in zips whose directory can be believed: from PROTO to before the next local header or descriptor. */
function pickles(zips: readonly Buffer[]): Buffer[] {
  return zips.flatMap((bytes) => {
    const start = bytes.indexOf(Buffer.from([0x80, 2]));
    const end = bytes.indexOf('PK', start + 1);
    return start < 0 || end < 0 ? [] : [bytes.subarray(start, end)];
  });
}

/** Runs inputs `first` to `first + inputs` of a seed against a parser. */
export async function fuzz(target: Target, seed: number, inputs: number, first = 0): Promise<FuzzResult> {
  const result: FuzzResult = { inputs, taken: 0, refused: {}, slowest: 0, faults: [] };
  for (let index = first; index < first + inputs; index += 1) {
    const changed = mutate(new Random(seed, index), target.seeds);
    const start = performance.now();
    const outcome = await outcomeOf(target, changed);
    const took = performance.now() - start;
    result.slowest = Math.max(result.slowest, took);
    const place = `${target.name}, seed ${seed}, input ${index}`;
    if (took > SLOW_MS) result.faults.push(`${place}: took ${Math.round(took)} ms`);
    if (!isRight(outcome)) result.faults.push(`${place}: ${outcome}`);
    else if (outcome === 'taken') result.taken += 1;
    else result.refused[outcome] = (result.refused[outcome] ?? 0) + 1;
  }
  return result;
}

/** Whether a parser may do with a random file what it did. */
export function isRight(outcome: string): boolean {
  return outcome === 'taken' || allowed.has(outcome);
}

/** `taken`, the code of a refusal, or what else happened. */
export async function outcomeOf(target: Target, bytes: Buffer): Promise<string> {
  try {
    return await target.take(bytes);
  } catch (error) {
    if (error instanceof DenseNetError) return error.code;
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}

/** Whether every tensor that a parser found in a file lies within it. */
async function takeWeights(parse: (source: ByteSource) => Promise<Checkpoint>, bytes: Buffer): Promise<string> {
  const checkpoint = await parse(bufferSource(bytes, 'the file'));
  const { entries } = readStateDict('the file', checkpoint);
  await checkpoint.verify();
  for (const { name, offset, bytes: length, shape, strides, dtype } of entries) {
    const numbers = [offset, length, ...shape, ...strides];
    const inside = numbers.every((one) => Number.isSafeInteger(one) && one >= 0) && offset + length <= bytes.length;
    if (!inside || elementCount(shape) * dtypeSize[dtype] > length || shape.length !== strides.length)
      return `tensor ${JSON.stringify(name)} does not lie in the file`;
  }
  toModelNames(
    'the file',
    entries.map(({ name }) => name),
  );
  return 'taken';
}
