import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

/** One line that a test program printed. */
interface Check {
  check: string;
  held: boolean;
  value: number;
}

const run = promisify(execFile);
const build = path.join(__dirname, '..', '..', 'build');

/** Builds a test program of CMakeLists.txt, and gives its path. */
export async function buildProgram(target: string): Promise<string> {
  await run('cmake', ['--build', build, '--target', target], { maxBuffer: 1 << 26 });
  const program = [target, path.join('Release', target)]
    .map((name) => path.join(build, name))
    .find((file) => existsSync(file));
  if (program === undefined) throw new Error(`cmake built no ${target}`);
  return program;
}

/** Builds a test program, runs it, and gives its checks. */
async function buildAndRun(target: string): Promise<Check[]> {
  const program = await buildProgram(target);
  // Its exit code says whether all checks held; which ones did not is told by the checks.
  const { stdout } = await run(program, [], { maxBuffer: 1 << 26 }).catch(
    (error: unknown) => error as { stdout: string },
  );
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Check);
}

/**
 * Builds and runs a program before the tests of this block.
 *
 * @returns Gives those of its checks that a pattern names and that did not hold, of which there must be so many at least.
 */
export function failedChecks(target: string, limit = 600_000): (pattern: RegExp, atLeast: number) => Check[] {
  let all: Check[];
  beforeAll(async () => (all = await buildAndRun(target)), limit);
  return (pattern, atLeast) => {
    const chosen = all.filter(({ check }) => pattern.test(check));
    expect(chosen.length).toBeGreaterThanOrEqual(atLeast);
    return chosen.filter(({ held }) => !held);
  };
}
