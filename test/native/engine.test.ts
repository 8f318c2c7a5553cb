import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

/**
 * The core's engine against the module-by-module reference, in double precision and with every instruction set that this
 * processor has. The checks are a program of their own (engine_test.cc), since nobody computes in double precision from
 * JavaScript.
 */

interface Check {
  check: string;
  held: boolean;
  value: number;
}

const run = promisify(execFile);
const build = path.join(__dirname, '..', '..', 'build');

async function checks(): Promise<Check[]> {
  await run('cmake', ['--build', build, '--target', 'engine_test'], { maxBuffer: 1 << 26 });
  const program = ['engine_test', path.join('Release', 'engine_test')]
    .map((name) => path.join(build, name))
    .find((file) => existsSync(file));
  if (program === undefined) throw new Error('cmake built no engine_test');
  // Its exit code says whether all checks held; which ones did not is told below.
  const { stdout } = await run(program, [], { maxBuffer: 1 << 26 }).catch(
    (error: unknown) => error as { stdout: string },
  );
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Check);
}

describe('the engine', () => {
  let all: Check[];
  beforeAll(async () => (all = await checks()), 600_000);

  const failed = (pattern: RegExp) => {
    const chosen = all.filter(({ check }) => pattern.test(check));
    expect(chosen.length).toBeGreaterThan(15);
    return chosen.filter(({ held }) => !held);
  };

  it('has the gradients, statistics and outputs of the reference in double precision', () => {
    expect(failed(/double precision/)).toEqual([]);
  });

  it('is as near to them in single precision as the reference is, on portable kernels', () => {
    expect(failed(/float, portable/)).toEqual([]);
  });

  it('is as near to them on every instruction set of this processor', () => {
    expect(failed(/: float, /)).toEqual([]);
  });

  it('repeats bit for bit, whether it keeps the 1×1 convolutions or does them again', () => {
    expect(failed(/bit for bit/)).toEqual([]);
  });

  it('gives the same bits on one thread and on several', () => {
    expect(failed(/number of threads/)).toEqual([]);
  });
});
