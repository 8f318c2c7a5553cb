import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { root, runNode, type ChildOptions } from '../child';
import { bareEnvironment, makeCommand, makeLibtorch, put, temporaryFolder } from '../setup/fakes';
import { loadable, makeWheels, nvidia } from '../setup/wheels';

const folder = temporaryFolder();
const at = (...names: string[]) => path.join(folder(), ...names);
const inCache = (...names: string[]) => at('cache', 'libtorch', ...names);
const run = (args: string[], options: ChildOptions = {}) =>
  runNode([path.join(root, 'dist', 'cli', 'main.js'), ...args], {
    env: { ...bareEnvironment(folder()), LIBTORCH: undefined },
    ...options,
  });
const install = (args: string[], options?: ChildOptions) => run(['install-libtorch', ...args], options);

/** A Python whose pip has wheels in a folder; what `fetch` does goes before the copying. */
async function makePython(fetch = ''): Promise<void> {
  await makeWheels(at('wheels'));
  const wheels = [{ name: 'torch', version: '2.11.0' }, ...nvidia].map(({ name, version }) => ({
    download_info: { url: `http://127.0.0.1:9/${name.replaceAll('-', '_')}-${version}-py3-none-any.whl` },
    metadata: { name, version },
  }));
  const report = await put(at('report.json'), JSON.stringify({ install: wheels }));
  await makeCommand(
    at('bin'),
    'python3',
    `all="$*"
while [ $# -gt 1 ]; do
  case "$1" in --report) report="$2" ;; -d) folder="$2" ;; esac
  shift
done
case "$all" in
  '-m pip --version') echo 'pip 25.3 from /somewhere' ;;
  '-m pip install --dry-run '*) cp '${report}' "$report" ;;
  '-m pip download '*) ${fetch}
    mkdir -p "$folder"; cp '${at('wheels')}/'"$(echo "$1" | sed 's/-/_/g; s/==/-/')"-* "$folder" ;;
  *) exit 1 ;;
esac`,
  );
}

const cuda = ['--cuda', '--torch', '2.11.0'];

test('sizes, room and notes come first, and --dry-run leaves it at that', async () => {
  await makePython();
  const { code, stdout, stderr } = await install([...cuda, '--dry-run']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain('libtorch 2.11.0, CUDA build:');
  for (const name of ['torch 2.11.0', 'nvidia-cudnn-cu13 9.1.0', 'nvidia-cuda-runtime 13.0.48'])
    expect(stdout).toMatch(new RegExp(`^ {2}${name} +size unknown$`, 'm'));
  expect(stdout).toMatch(/^Of unknown size to fetch\.$/m);
  expect(stdout).toMatch(/^Takes about 8\.0 GB in .*libtorch while it is being installed; [\d.]+ [GM]B are free\.$/m);
  if (!existsSync('/proc/driver/nvidia')) expect(stdout).toContain('No NVIDIA driver was found on this machine');
  expect(await readdir(inCache())).toEqual([]);
});

test('without a terminal nothing is fetched unless --yes is given', async () => {
  await makePython();
  const { code, stderr } = await install(cuda);
  expect(code).toBe(1);
  expect(stderr).toContain('there is no terminal to ask whether to fetch this. Add --yes.');
  expect(await readdir(inCache())).toEqual([]);
});

test('with --yes it is installed, and the next step is said', async () => {
  await makePython();
  const { code, stdout, stderr } = await install([...cuda, '--yes']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^fetching torch 2\.11\.0 \(1 of 3\)$/m);
  expect(stdout).toContain(
    `✔ libtorch 2.11.0 (cu130) is used from now on: ${inCache('2.11.0+cu130', 'torch')} (in the cache)`,
  );
  expect(stdout).toMatch(/npx densenet (setup|doctor)/);
  const again = await install(cuda);
  expect(again.stdout).toContain(`is in the cache already: ${inCache('2.11.0+cu130')}`);
  expect(again.code).toBe(0);
});

test('a process that is killed in the middle leaves nothing that looks like libtorch, and the next goes on', async () => {
  await makePython(`case "$all" in *nvidia*) [ -e '${at('mended')}' ] || exec sleep 30 ;; esac`);
  const killed = await install([...cuda, '--yes'], {
    env: { ...bareEnvironment(folder()), LIBTORCH: undefined },
    onOutput: (stdout, kill) => stdout.includes('fetching nvidia') && kill('SIGKILL'),
  });
  expect(killed.signal).toBe('SIGKILL');
  const doctor = await run(['doctor', '--json']);
  expect(doctor.stdout).toContain('nothing there');
  await put(at('mended'), '');
  const { code, stdout } = await install([...cuda, '--yes']);
  expect(code).toBe(0);
  expect(stdout).not.toContain('fetching torch');
  expect((await readdir(inCache())).sort()).toEqual(['2.11.0+cu130', 'installed.json']);
});

test('Ctrl-C ends it with a word on how to go on, and tidies up', async () => {
  await makePython(`case "$all" in *nvidia*) exec sleep 30 ;; esac`);
  const { code, stderr } = await install([...cuda, '--yes'], {
    env: { ...bareEnvironment(folder()), LIBTORCH: undefined },
    onOutput: (stdout, kill) => stdout.includes('fetching nvidia') && kill('SIGINT'),
  });
  expect(code).toBe(1);
  expect(stderr).toContain('interrupted; run it again to go on from here');
  expect(await readdir(inCache())).toEqual(['.wheels']);
});

test('a folder is used where it lies, without a question', async () => {
  const place = await makeLibtorch(at('mine'), { library: loadable });
  const { code, stdout } = await install(['--from', place]);
  expect(code).toBe(0);
  expect(stdout).toContain(`is used where it lies: ${place}`);
  expect(stdout).toContain('recorded in the cache, not copied');
});

test('--cuda and --cpu together are refused', async () => {
  const { code, stderr } = await install(['--cuda', '--cpu']);
  expect(code).toBe(1);
  expect(stderr).toContain("'--cuda' cannot be used with option '--cpu'");
});
