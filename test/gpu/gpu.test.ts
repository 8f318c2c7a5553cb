import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { root, runNode } from '../child';
import { checks, program } from './checks';

/**
 * Everything on a GPU, with and without what has to be asked for (docs/guides/cuda.md). Where there is no device every
 * test is skipped, and its name says why.
 */
interface Check {
  check: string;
  held: boolean;
  value?: number;
  skipped?: string;
  error?: string;
}

/** Why there is no device; empty where there is one. Tests are chosen before any of them can wait for an answer. */
const reason = execFileSync(
  process.execPath,
  [
    '-e',
    `require(${JSON.stringify(path.join(root, 'dist'))}).runtimeInfo().then(({ cuda }) => console.log(cuda.reason ?? ''))`,
  ],
  { encoding: 'utf8' },
).trim();

const ways = { modules: 'none', engine: 'engine', 'engine, graphs and prefetch': 'all' };

describe.each(Object.entries(ways))('on a GPU, %s', (_, switches) => {
  if (reason !== '') {
    it.skip.each(checks)(`skipped: no device: ${reason}: %s`, () => undefined);
    return;
  }
  let found: Check[] = [];
  beforeAll(async () => {
    const env = { LIBTORCH_DENSENET_CUDA: switches, NVIDIA_TF32_OVERRIDE: '0' };
    const { stdout } = await runNode([program], { env });
    found = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Check);
  }, 1_800_000);

  it.each(checks)('%s', (check) => {
    const result = found.find((one) => one.check === check);
    if (result?.skipped !== undefined) console.warn(`skipped: ${check}: ${result.skipped}`);
    expect(result).toMatchObject({ check, held: true });
  });
});
