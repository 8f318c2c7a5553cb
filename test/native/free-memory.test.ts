import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { temporaryFolder } from '../unit/support';
import { buildProgram } from './program';

/** How the core reads what is free, from files as Linux has them in containers and out of them. */

const run = promisify(execFile);
const inFolder = temporaryFolder();
let program = '';

beforeAll(async () => {
  program = await buildProgram('free_memory_test');
}, 300_000);

let count = 0;

/** What is free, and what is with swap, in MB, on a system of these files. */
async function read(files: Record<string, string>): Promise<[number, number]> {
  const root = inFolder(`system${(count += 1)}`);
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(root, name)), { recursive: true });
    await writeFile(path.join(root, name), text);
  }
  const { stdout } = await run(program, [root]);
  const [free = 0, reachable = 0] = stdout.trim().split(' ').map(Number);
  return [free / 1e6, reachable / 1e6];
}

const megabytes = (value: number): string => `${value * 1e6}\n`;
const machine = {
  'proc/meminfo': 'MemTotal:  16000000 kB\nMemAvailable:   7812500 kB\nHugePages_Total:   0\nSwapFree:   1953125 kB\n',
};

test('a machine without containers has what it says, and its swap', async () => {
  expect(await read(machine)).toEqual([8000, 10_000]);
});

test('a container of the second version of control groups has what its limit leaves, pages of files aside', async () => {
  const group = {
    'memory.max': megabytes(2000),
    'memory.current': megabytes(1500),
    'memory.stat': 'anon 1\ninactive_file 400000000\n',
  };
  const files = Object.fromEntries(
    Object.entries(group).map(([name, text]) => [`sys/fs/cgroup/user/app/${name}`, text]),
  );
  expect(await read({ ...machine, 'proc/self/cgroup': '0::/user/app\n', ...files })).toEqual([900, 900]);
});

test('a limit of a group that it lies in counts, and one of "max" does not', async () => {
  const files = {
    'proc/self/cgroup': '0::/user/app\n',
    'sys/fs/cgroup/user/app/memory.max': 'max\n',
    'sys/fs/cgroup/user/app/memory.current': megabytes(100),
    'sys/fs/cgroup/user/memory.max': megabytes(3000),
    'sys/fs/cgroup/user/memory.current': megabytes(1000),
  };
  expect(await read({ ...machine, ...files })).toEqual([2000, 2000]);
});

test('a container that sees its own group as the root has the limit there', async () => {
  const files = {
    'proc/self/cgroup': '0::/\n',
    'sys/fs/cgroup/memory.max': megabytes(512),
    'sys/fs/cgroup/memory.current': megabytes(12),
  };
  expect(await read({ ...machine, ...files })).toEqual([500, 500]);
});

test('the first version of control groups has its limit under the controller of memory', async () => {
  const files = {
    'proc/self/cgroup': '5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n1:name=systemd:/docker/1\n0::/\n',
    // Inside, its own group is mounted where the root was, and the path that it is said to have is not there.
    'sys/fs/cgroup/memory/memory.limit_in_bytes': megabytes(1024),
    'sys/fs/cgroup/memory/memory.usage_in_bytes': megabytes(24),
  };
  expect(await read({ ...machine, ...files })).toEqual([1000, 1000]);
});

test('a group that has used up its limit leaves a byte, since none would say that nothing is known', async () => {
  const files = {
    'proc/self/cgroup': '0::/\n',
    'sys/fs/cgroup/memory.max': megabytes(512),
    'sys/fs/cgroup/memory.current': megabytes(600),
  };
  expect(await read({ ...machine, ...files })).toEqual([1e-6, 1e-6]);
});

test('a system that says nothing is not known', async () => {
  expect(await read({})).toEqual([0, 0]);
});
