import { access, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fetchLibtorch, runCommand, type FetchOptions } from '../../lib/runtime/fetch';
import { locateLibtorch } from '../../lib/runtime/locate';
import {
  bareEnvironment,
  findCommand,
  makeCommand,
  makeLibtorch,
  put,
  rejection,
  temporaryFolder,
  type FakeLibtorch,
} from './fakes';

const folder = temporaryFolder();
const at = (...names: string[]) => path.join(folder(), ...names);
const inCache = (...names: string[]) => at('cache', 'libtorch', ...names);
const calls = () => at('calls');
const wheel = () => at('torch.whl');

const fetchHere = (options: FetchOptions = {}) => fetchLibtorch({ env: bareEnvironment(folder()), ...options });

/** A wheel as PyTorch's index has it: a ZIP with a folder torch. */
async function makeWheel(libtorch: FakeLibtorch = {}): Promise<void> {
  await makeLibtorch(at('wheel', 'torch'), { told: ['version.py'], ...libtorch });
  await zipWheel(['torch']);
}

async function zipWheel(names: string[]): Promise<void> {
  const { code, output } = await runCommand(
    'cmake',
    ['-E', 'tar', 'cf', wheel(), '--format=zip', ...names],
    process.env,
    at('wheel'),
  );
  if (code !== 0) throw new Error(output);
}

/** What a `pip download` does: it gives the wheel to DESTINATION, the value of -d. */
const give = (name = 'torch.whl') => `cp '${wheel()}' "$destination/${name}"`;
const refuse = `echo 'ERROR: No matching distribution found for torch'; exit 1`;

interface FakePython {
  name?: string;
  /** Of `pip --version`. */
  pip?: string;
  /** Of `pip download`; "$all" holds its arguments, "$destination" the folder it is to fill. */
  download?: string;
  /** Of "$program", which unpacks the wheel $1 to the folder $2. */
  unpack?: string;
}

/** A Python that notes every `pip download`, a line each. */
function makePython({
  name = 'python3',
  pip = 'exit 0',
  download = give(),
  unpack = 'cd "$2" && cmake -E tar xf "$1"',
}: FakePython = {}): Promise<void> {
  return makeCommand(
    at('bin'),
    name,
    `all="$*"
case "$all" in
  '-m pip --version') ${pip} ;;
  '-m pip download '*)
    echo "$all" >> '${calls()}'
    while [ "$1" != -d ]; do shift; done
    destination="$2"
    ${download} ;;
  '-c '*) program="$2"; shift 2; ${unpack} ;;
  *) echo "unexpected: $all" >&2; exit 9 ;;
esac`,
  );
}

/** What each `pip download` was asked for beyond what all of them are. */
async function ways(): Promise<string[]> {
  const lines = (await readFile(calls(), 'utf8')).trimEnd().split('\n');
  return lines.map((line) => {
    const match =
      /^-m pip download --no-deps --only-binary=:all: --progress-bar=off -d \S+\/\.fetch-\S+ ?(.*) torch==2\.13\.0\+cpu$/.exec(
        line,
      );
    return match?.[1] ?? `unexpected: ${line}`;
  });
}

const extra = '--extra-index-url https://download.pytorch.org/whl/cpu';

describe('a wheel', () => {
  it('that pip gets as it is configured ends in the cache, where the search finds it', async () => {
    await makeWheel();
    await makePython();
    const libtorch = await fetchHere();
    expect(libtorch).toMatchObject({
      path: inCache('2.13.0+cpu'),
      version: '2.13.0',
      build: 'cpu',
      source: 'cache',
    });
    for (const library of libtorch.libraries) await access(library);
    expect(await ways()).toEqual(['']);
    expect(await readdir(inCache())).toEqual(['2.13.0+cpu']);
    expect((await locateLibtorch({ env: { ...bareEnvironment(folder()), PATH: '' } })).libtorch).toEqual(libtorch);
  });

  it('for another version of Python is asked for next, and then PyTorch’s own index', async () => {
    await makeWheel();
    await makePython({
      download: `case "$all" in *'${extra} --python-version 3.13'*) ${give()} ;; *) ${refuse} ;; esac`,
    });
    const lines: string[] = [];
    await fetchHere({ report: (line) => lines.push(line) });
    const expected = [
      '',
      '--python-version 3.12',
      '--python-version 3.13',
      '--python-version 3.11',
      extra,
      `${extra} --python-version 3.12`,
      `${extra} --python-version 3.13`,
    ];
    expect(await ways()).toEqual(expected);
    expect(lines).toEqual([
      ...expected.map((way) => `pip download torch==2.13.0+cpu ${way}`.trimEnd()),
      'unpacking torch.whl',
    ]);
    expect((await locateLibtorch({ env: bareEnvironment(folder()) })).libtorch?.path).toBe(inCache('2.13.0+cpu'));
  });

  it('that is not the CPU build is refused, and leaves nothing', async () => {
    await makeWheel({ version: '2.13.0+cu130' });
    await makePython();
    const error = await rejection(fetchHere());
    expect(error.message).toContain('libtorch 2.13.0+cpu was asked for, but 2.13.0+cu130 arrived');
    expect(await readdir(inCache())).toEqual([]);
  });

  it('that is damaged is refused, and leaves nothing', async () => {
    await put(wheel(), 'half a wheel');
    await makePython({ unpack: 'echo "BadZipFile: File is not a zip file" >&2; exit 1' });
    const error = await rejection(fetchHere());
    expect(error.message).toMatch(/the wheel cannot be unpacked:\n.*BadZipFile/);
    expect(await readdir(inCache())).toEqual([]);
  });

  it('that pip only says to have downloaded is missed', async () => {
    await makePython({ download: 'exit 0' });
    expect((await rejection(fetchHere())).message).toContain('there is no wheel');
    expect(await readdir(inCache())).toEqual([]);
  });
});

test('where every way fails, the error gives pip’s last words and what to do', async () => {
  const words = Array.from({ length: 8 }, (_, line) => `echo 'pip says ${line}'`).join('; ');
  await makePython({ download: `${words}; exit 1` });
  const error = await rejection(fetchHere());
  expect(error.code).toBe('ERR_DENSENET_DOWNLOAD');
  expect(error.message).toContain('pip cannot download torch==2.13.0+cpu');
  expect(error.message).toContain('pip says 3\npip says 4\npip says 5\npip says 6\npip says 7\n');
  expect(error.message).not.toContain('pip says 2');
  expect(error.message).toContain('HTTPS_PROXY');
  expect(error.message).toContain('set LIBTORCH');
  expect(await ways()).toHaveLength(8);
  expect(await readdir(inCache())).toEqual([]);
});

test('a python serves where python3 has no pip', async () => {
  await makeWheel();
  await makePython({ pip: `echo 'No module named pip' >&2; exit 1` });
  await makePython({ name: 'python' });
  expect((await fetchHere()).path).toBe(inCache('2.13.0+cpu'));
  expect(await ways()).toEqual(['']);
});

test('two fetches at once end with one libtorch', async () => {
  await makeWheel();
  await makePython();
  const [first, second] = await Promise.all([fetchHere(), fetchHere()]);
  expect(first).toEqual(second);
  expect(await readdir(inCache())).toEqual(['2.13.0+cpu']);
});

const python = findCommand('python3');
(python ? describe : describe.skip)(`the Python of this machine${python ? '' : ' (skipped: it has none)'}`, () => {
  /** The files of the cache's libtorch that come of a wheel with these files, each with its own name in it. */
  async function unpack(files: string[]): Promise<string[]> {
    for (const name of files) await put(at('wheel', ...name.split('/')), name);
    await makeLibtorch(at('wheel', 'torch'), { told: ['version.py'] });
    await zipWheel(await readdir(at('wheel')));
    await makePython({ unpack: `exec '${python ?? ''}' -c "$program" "$@"` });
    const { path: place } = await fetchHere();
    const entries = await readdir(place, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(place, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, '/'))
      .sort();
  }

  it('unpacks libraries, headers and CMake files of a wheel, and not what Python alone needs', async () => {
    const wanted = [
      'torch/lib/libc10.so',
      'torch/include/c10/core/Device.h',
      'torch/share/cmake/Torch/TorchConfig.cmake',
    ];
    const unwanted = ['torch/__init__.py', 'torch/nn/modules.py', 'torch/bin/protoc', 'torch/lib/libtorch_python.so'];
    expect(await unpack([...wanted, ...unwanted, 'functorch/__init__.py', 'functorch/lib/_C.so'])).toEqual([
      'include/ATen/ATen.h',
      'include/c10/core/Device.h',
      'lib/libc10.so',
      'lib/libtorch.so',
      'share/cmake/Torch/TorchConfig.cmake',
      'version.py',
    ]);
  });

  it('keeps the licences, which those who pass libtorch on must pass on too', async () => {
    const names = await unpack(['torch-2.13.0+cpu.dist-info/licenses/LICENSE', 'torch-2.13.0+cpu.dist-info/RECORD']);
    expect(names.filter((name) => name.endsWith('/LICENSE'))).toHaveLength(1);
    expect(names.filter((name) => name.endsWith('/RECORD'))).toEqual([]);
  });
});
