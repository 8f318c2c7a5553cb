import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DenseNetError } from '../../lib/errors';
import { bufferSource, type ByteSource } from '../../lib/weights/byte-source';
import { readCheckpoint, type Checkpoint } from '../../lib/weights/checkpoint';
import { toModelNames } from '../../lib/weights/names';
import { readSafetensors } from '../../lib/weights/safetensors';
import { readStateDict } from '../../lib/weights/state-dict';
import { countOf, dtypeSize } from '../../lib/weights/tensor-entry';
import { readTorchLegacy } from '../../lib/weights/torch-legacy';
import { readTorchZip } from '../../lib/weights/torch-zip';
import { goodFiles, hostileFiles } from '../hostile/checkpoint-corpus';
import { torchZip } from '../weights/build-zip';
import { mutate, Random, type Seeds } from './mutate';

/**
 * Gives every parser of weights random files: seeds that are right, or wrong in one way, with a few changes. A parser may
 * take a file or refuse it with a code of its own, within a second; anything else is a fault.
 */
export interface Target {
  name: string;
  seeds: Seeds;
  parse(source: ByteSource): Promise<Checkpoint>;
  /** Turns the changed bytes into the file. */
  wrap?(bytes: Buffer): Buffer;
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

const SLOW_MS = 1000;

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
  return [
    { name: 'torch zip', seeds: zips, parse: readTorchZip },
    { name: 'legacy torch', seeds: seedsOf('legacy torch', /-legacy\.pth$/), parse: readTorchLegacy },
    { name: 'safetensors', seeds: seedsOf('safetensors', /\.safetensors$/), parse: readSafetensors },
    // A changed pickle in a right archive: the archive's checksum would otherwise refuse every one.
    {
      name: 'pickle',
      seeds: { right: pickles(zips.right), wrong: pickles(zips.wrong) },
      parse: readTorchZip,
      wrap: (bytes) => torchZip({}, bytes),
    },
    { name: 'any', seeds: seedsOf('', /./), parse: readCheckpoint },
  ];
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
    const bytes = target.wrap?.(changed) ?? changed;
    const start = performance.now();
    const outcome = await run(target, bytes);
    const took = performance.now() - start;
    result.slowest = Math.max(result.slowest, took);
    const place = `${target.name}, seed ${seed}, input ${index}`;
    if (took > SLOW_MS) result.faults.push(`${place}: took ${Math.round(took)} ms`);
    if (outcome === 'taken') result.taken += 1;
    else if (allowed.has(outcome)) result.refused[outcome] = (result.refused[outcome] ?? 0) + 1;
    else result.faults.push(`${place}: ${outcome}`);
  }
  return result;
}

/** `taken`, the code of a refusal, or what else happened. */
async function run(target: Target, bytes: Buffer): Promise<string> {
  try {
    const checkpoint = await target.parse(bufferSource(bytes, 'the file'));
    const { entries } = readStateDict('the file', checkpoint);
    await checkpoint.verify();
    for (const { name, offset, bytes: length, shape, strides, dtype } of entries) {
      const numbers = [offset, length, ...shape, ...strides];
      const inside = numbers.every((one) => Number.isSafeInteger(one) && one >= 0) && offset + length <= bytes.length;
      if (!inside || countOf(shape) * dtypeSize[dtype] > length || shape.length !== strides.length)
        return `tensor ${JSON.stringify(name)} does not lie in the file`;
    }
    toModelNames(
      'the file',
      entries.map(({ name }) => name),
    );
    return 'taken';
  } catch (error) {
    if (error instanceof DenseNetError) return error.code;
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}
