import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

/** One line that a test program printed. */
export interface Check {
  check: string;
  held: boolean;
  value: number;
}

const run = promisify(execFile);
const build = path.join(__dirname, '..', '..', 'build');

/** Builds a test program of CMakeLists.txt, runs it, and gives its checks. */
export async function buildAndRun(target: string): Promise<Check[]> {
  await run('cmake', ['--build', build, '--target', target], { maxBuffer: 1 << 26 });
  const program = [target, path.join('Release', target)]
    .map((name) => path.join(build, name))
    .find((file) => existsSync(file));
  if (program === undefined) throw new Error(`cmake built no ${target}`);
  // Its exit code says whether all checks held; which ones did not is told by the checks.
  const { stdout } = await run(program, [], { maxBuffer: 1 << 26 }).catch(
    (error: unknown) => error as { stdout: string },
  );
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Check);
}
