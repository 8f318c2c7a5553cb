import { access, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { carryOut } from '../../lib/runtime/install/install';
import { planInstall, type InstallOptions } from '../../lib/runtime/install/plan';
import { locateLibtorch, type Libtorch } from '../../lib/runtime/locate';
import { bareEnvironment, findCommand, makeCommand, put, rejection, temporaryFolder } from './fakes';
import { serve, sha256, type RunningServer } from './server';
import { makeWheels, nvidia, pipEnvironment, wheelIndex } from './wheels';

const folder = temporaryFolder();
const at = (...names: string[]) => path.join(folder(), ...names);
const inCache = (...names: string[]) => at('cache', 'libtorch', ...names);
const found = async () => (await locateLibtorch({ env: bareEnvironment(folder()) })).libtorch;

const cuda = { build: 'cuda', version: '2.11.0' } as const;
const install = async (options: InstallOptions): Promise<Libtorch> => carryOut(await planInstall(options), options);

/** Nothing is found, and nothing lies in the cache but what `kept` names. */
async function expectNothing(kept: string[] = []): Promise<void> {
  expect(await found()).toBeUndefined();
  expect((await readdir(inCache())).sort()).toEqual(kept);
}

const python = findCommand('python3');
(python ? describe : describe.skip)(
  `with the pip of this machine${python ? '' : ' (skipped: it has no Python)'}`,
  () => {
    /** An environment that knows an index of ours alone; PyTorch's own is behind a proxy that does not answer. */
    const asking = (server: RunningServer) => ({
      env: { ...pipEnvironment(at('cache'), `${server.url}/simple`), HTTPS_PROXY: 'http://127.0.0.1:9' },
    });
    const offline = () => ({ env: pipEnvironment(at('cache')), wheels: at('wheels') });

    /** torch and NVIDIA's libraries lie side by side, as torch's own paths to them want it. */
    async function expectWhole(): Promise<void> {
      const place = inCache('2.11.0+cu130');
      expect(await found()).toMatchObject({ path: path.join(place, 'torch'), build: 'cu130', source: 'installed' });
      await access(path.join(place, 'nvidia', 'cudnn', 'lib', 'libnvidia-cudnn-cu13.so.9'));
      await access(path.join(place, 'nvidia', 'cuda', 'lib', 'libnvidia-cuda-runtime.so.9'));
      expect((await readdir(path.join(place, 'torch'))).sort()).toEqual(['include', 'lib', 'version.py']);
      expect((await readdir(place)).filter((name) => name.includes('sympy'))).toEqual([]);
      expect((await readdir(inCache())).sort()).toEqual(['2.11.0+cu130', 'installed.json']);
    }

    it('a plan has every wheel with its size; they are fetched, checked, and put side by side', async () => {
      const fetched: string[] = [];
      await using server = await serve(wheelIndex(await makeWheels(at('wheels')), fetched));
      const lines: string[] = [];
      const options = { ...cuda, ...asking(server), report: (line: string) => lines.push(line) };
      const plan = await planInstall(options);
      const names = ['torch 2.11.0', ...nvidia.map(({ name, version }) => `${name} ${version}`)];
      expect(plan.parts.map(({ name }) => name)).toEqual(names);
      for (const { bytes } of plan.parts) expect(bytes).toBeGreaterThan(100);
      expect(plan).toMatchObject({ build: 'cuda', version: '2.11.0', fetches: true });
      // This index has no pip, so an old one here had to look into the wheels.
      if (!lines.some((line) => line.includes('newer pip'))) expect(fetched).toEqual([]);
      await expectNothing();
      fetched.splice(0);
      await carryOut(plan, options);
      await expectWhole();
      expect(fetched.map((name) => name.split('-')[0])).toEqual(['torch', 'nvidia_cuda_runtime', 'nvidia_cudnn_cu13']);
      expect(lines.filter((line) => !line.includes('newer pip'))).toEqual([
        'asking pip for torch==2.11.0',
        ...names.map((name, index) => `fetching ${name} (${index + 1} of 3)`),
        'unpacking 3 wheels',
      ]);
    });

    it('what has arrived is kept when a wheel is not to be had, and not fetched again', async () => {
      const files = await makeWheels(at('wheels'));
      const missing = new Set<string>();
      const fetched: string[] = [];
      await using server = await serve(wheelIndex(files, fetched, missing));
      const options = asking(server);
      const plan = await planInstall({ ...cuda, ...options });
      fetched.splice(0);
      missing.add(path.basename(files[2] as string));
      const error = await rejection(carryOut(plan, options));
      expect(error.code).toBe('ERR_DOWNLOAD');
      expect(error.message).toMatch(/pip cannot download nvidia-cudnn-cu13==9\.1\.0.*It said:\n.*404/s);
      expect(error.message).toContain('run the same command again to go on from there');
      await expectNothing(['.wheels']);
      missing.clear();
      await carryOut(plan, options);
      expect(fetched.map((name) => name.split('-')[0])).toEqual(['torch', 'nvidia_cuda_runtime', 'nvidia_cudnn_cu13']);
      await expectWhole();
    });

    it('pip’s own proxy is used, for the sizes too', async () => {
      await using proxy = await serve(wheelIndex(await makeWheels(at('wheels'))));
      const index = 'http://index.invalid/simple';
      const config = await put(at('pip.conf'), `[global]\nproxy = ${proxy.url}\ntrusted-host = index.invalid\n`);
      const env = { ...pipEnvironment(at('cache'), index), PIP_CONFIG_FILE: config };
      const plan = await planInstall({ ...cuda, env });
      expect(plan.parts.map(({ bytes }) => bytes)).not.toContain(undefined);
      await carryOut(plan, { env });
      await expectWhole();
      expect(new Set(proxy.requests.map(({ url }) => new URL(url ?? '').host))).toEqual(new Set(['index.invalid']));
    });

    it('a folder of wheels serves without a network', async () => {
      await makeWheels(at('wheels'));
      const plan = await planInstall({ ...cuda, ...offline() });
      expect(plan).toMatchObject({ fetches: false, version: '2.11.0' });
      expect(plan.parts.every(({ bytes }) => (bytes ?? 0) > 100)).toBe(true);
      await carryOut(plan, offline());
      await expectWhole();
      expect(await readdir(at('wheels'))).toHaveLength(4); // the user's own, so nothing is taken away
    });

    it('a folder in which a wheel lacks is refused with pip’s words and how to make one', async () => {
      const [, , cudnn = ''] = await makeWheels(at('wheels'));
      await rm(cudnn);
      const error = await rejection(planInstall({ ...cuda, ...offline() }));
      expect(error.message).toContain(`in ${at('wheels')}`);
      expect(error.message).toMatch(/nvidia-cudnn-cu13/);
      expect(error.message).toContain('pip download torch==2.11.0 -d FOLDER');
      await expectNothing();
    });

    it('a damaged wheel of a folder is refused, and left to its owner', async () => {
      const [, , runtime = ''] = await makeWheels(at('wheels'));
      const plan = await planInstall({ ...cuda, ...offline() });
      await writeFile(runtime, (await readFile(runtime)).subarray(0, 300));
      const error = await rejection(carryOut(plan, offline()));
      expect(error.code).toBe('ERR_FILE_FORMAT');
      expect(error.message).toContain(runtime);
      await access(runtime);
      await expectNothing();
    });
  },
);

describe('with a pip of our own', () => {
  interface FakePip {
    /** What `pip install --dry-run` does; "$report" is the file that it writes. */
    ask?: string;
    /** What `pip download` does; "$folder" is where the wheel goes. */
    fetch?: string;
    version?: string;
  }

  /** A Python whose pip notes what it is asked. */
  const makePython = ({ ask = 'cp "$0.report" "$report"', fetch = 'exit 1', version = '25.3' }: FakePip) =>
    makeCommand(
      at('bin'),
      'python3',
      `all="$*"
echo "$all" >> '${at('calls')}'
while [ $# -gt 0 ]; do
  case "$1" in --report) report="$2" ;; -d) folder="$2" ;; esac
  shift
done
case "$all" in
  '-m pip --version') echo 'pip ${version} from /somewhere' ;;
  '-m pip config '*) ;;
  *' install --dry-run '*) ${ask} ;;
  '-m pip download '*) mkdir -p "$folder"; ${fetch} ;;
  *) echo "unexpected: $all" >&2; exit 9 ;;
esac`,
    );
  const env = () => bareEnvironment(folder());

  /** pip's report of wheels whose sizes no server tells. */
  async function putReport({ version = '2.11.0', hash = '' } = {}): Promise<void> {
    const wheels = [{ name: 'torch', version }, ...(version === '2.11.0' ? nvidia : [])];
    const install = wheels.map((wheel) => ({
      download_info: {
        url: `http://127.0.0.1:9/${wheel.name.replaceAll('-', '_')}-${encodeURIComponent(wheel.version)}-py3-none-any.whl`,
        archive_info: hash !== '' && wheel.name === 'torch' ? { hashes: { sha256: hash } } : {},
      },
      metadata: wheel,
    }));
    await put(at('bin', 'python3.report'), JSON.stringify({ install }));
  }

  /** Gives the wheel that is asked for out of a folder. */
  const give = () =>
    `for file in '${at('wheels')}'/*; do case "$all" in *"$(basename "$file" | sed 's/-.*//; s/_/-/g')=="*) cp "$file" "$folder" ;; esac; done`;
  const downloads = async () =>
    (await readFile(at('calls'), 'utf8'))
      .split('\n')
      .filter((line) => line.includes('pip download'))
      .map((line) => line.split(' ').at(-1));

  it('an old one lets a newer one be asked, which runs from its wheel', async () => {
    await putReport();
    await makePython({ version: '23.0.1', fetch: 'touch "$folder"/pip-26.3-py3-none-any.whl' });
    const lines: string[] = [];
    const plan = await planInstall({ ...cuda, env: env(), report: (line) => lines.push(line) });
    expect(plan.parts).toHaveLength(3);
    expect(await downloads()).toEqual(['pip>=25.3']);
    expect(lines[0]).toBe('fetching a newer pip to ask, since pip 23.0.1 would fetch all that it is asked about');
    expect(await readFile(at('calls'), 'utf8')).toMatch(/^\/.*\/pip-26\.3-py3-none-any\.whl\/pip install --dry-run /m);
  });

  it('an old one is asked itself where there is no newer one, and for a folder of wheels', async () => {
    await putReport();
    await makePython({ version: '23.0.1' });
    const lines: string[] = [];
    await planInstall({ ...cuda, env: env(), report: (line) => lines.push(line) });
    expect(lines[1]).toBe('there is no newer pip, so pip 23.0.1 fetches the wheels to look into them');
    await makeWheels(at('wheels'));
    await planInstall({ ...cuda, env: env(), wheels: at('wheels') });
    expect(await downloads()).toEqual(['pip>=25.3']);
    expect(await readFile(at('calls'), 'utf8')).toMatch(
      /^-m pip install --dry-run .* --no-index --find-links \S+ torch==2\.11\.0$/m,
    );
  });

  it('an index that has only the other build is told of', async () => {
    await putReport({ version: '2.11.0+cpu' });
    await makePython({});
    const error = await rejection(planInstall({ ...cuda, env: env() }));
    expect(error.message).toContain('pip finds no CUDA build of torch 2.11.0');
    expect(error.message).toContain('torch 2.11.0+cpu is there, but it is no CUDA build');
  });

  it('the CPU build ends as one folder', async () => {
    await putReport({ version: '2.13.0+cpu' });
    await makeWheels(at('wheels'), { version: '2.13.0+cpu' });
    await makePython({ fetch: give() });
    await install({ build: 'cpu', version: '2.13.0', env: env() });
    expect(await found()).toMatchObject({ path: inCache('2.13.0+cpu'), build: 'cpu' });
    expect((await readdir(inCache())).sort()).toEqual(['2.13.0+cpu', 'installed.json']);
  });

  it('a wheel with another hash than the index gives is refused, and one that was kept is fetched again', async () => {
    const [torch = ''] = await makeWheels(at('wheels'));
    await put(inCache('.wheels', path.basename(torch)), 'of an earlier try');
    await putReport({ hash: sha256(await readFile(torch)) });
    await makePython({ fetch: give() });
    await install({ ...cuda, env: env() });
    expect((await downloads())[0]).toBe('torch==2.11.0');
    await rm(inCache(), { recursive: true });
    await putReport({ hash: sha256(Buffer.from('another')) });
    const error = await rejection(install({ ...cuda, env: env() }));
    expect(error.code).toBe('ERR_DOWNLOAD');
    expect(error.message).toContain(`it must be ${sha256(Buffer.from('another'))}`);
    await expectNothing();
  });

  it('sizes that no server tells are unknown, and the room is reckoned', async () => {
    await putReport();
    await makePython({});
    const plan = await planInstall({ ...cuda, env: env() });
    expect(plan.parts.map(({ bytes }) => bytes)).toEqual([undefined, undefined, undefined]);
    expect(plan.neededBytes).toBe(8e9);
    const options = { env: env(), machine: { freeBytes: () => Promise.resolve(5e9) } };
    const error = await rejection(install({ ...cuda, ...options }));
    expect(error.message).toMatch(/this takes 8\.0 GB in .* and 5\.0 GB are free there/);
    expect(await readFile(at('calls'), 'utf8')).not.toContain('pip download');
  });

  it('that is too old to say what it would fetch is to be renewed', async () => {
    await makePython({ ask: `echo 'no such option: --report' >&2; exit 2` });
    const error = await rejection(planInstall({ ...cuda, env: env() }));
    expect(error.message).toContain('python3 -m pip install --upgrade pip');
    expect((error as { mend?: string }).mend).toBe('python3 -m pip install --upgrade pip');
  });

  it('other Pythons are asked for, then PyTorch’s own index, where no wheel is known', async () => {
    await makePython({ ask: `echo 'ERROR: No matching distribution found for torch==2.11.0'; exit 1` });
    const lines: string[] = [];
    await rejection(planInstall({ ...cuda, env: env(), report: (line) => lines.push(line) }));
    const extra = '--extra-index-url https://download.pytorch.org/whl/cu130';
    expect(lines).toEqual([
      'asking pip for torch==2.11.0',
      ...['3.12', '3.13', '3.11'].map((version) => `asking pip for torch==2.11.0 --python-version ${version}`),
      `asking pip for torch==2.11.0+cu130 ${extra}`,
      ...['3.12', '3.13', '3.11'].map(
        (version) => `asking pip for torch==2.11.0+cu130 ${extra} --python-version ${version}`,
      ),
    ]);
  });

  it('a network that fails is asked no more for other Pythons', async () => {
    await makePython({ ask: `echo 'ERROR: Could not install packages: connection refused'; exit 1` });
    const lines: string[] = [];
    const error = await rejection(planInstall({ ...cuda, env: env(), report: (line) => lines.push(line) }));
    expect(lines).toHaveLength(2);
    expect(error.message).toMatch(/connection refused\n.*HTTPS_PROXY/s);
  });

  it('one build of several is asked for by its name', async () => {
    await makePython({ ask: 'echo nothing; exit 1' });
    const lines: string[] = [];
    const options = { build: 'cuda', version: '2.11.0+cu126', env: env() } as const;
    await rejection(planInstall({ ...options, report: (line) => lines.push(line) }));
    expect(lines.at(-1)).toBe(
      'asking pip for torch==2.11.0+cu126 --extra-index-url https://download.pytorch.org/whl/cu126',
    );
  });

  it('a disk that becomes full while it fetches is told of', async () => {
    await putReport();
    await makePython({ fetch: `echo 'ERROR: Could not install packages: [Errno 28] No space left on device'; exit 1` });
    const error = await rejection(install({ ...cuda, env: env() }));
    expect(error.code).toBe('ERR_FILE');
    expect(error.message).toContain('the disk became full while pip fetched torch==2.11.0');
    expect(error.message).toContain('LIBTORCH_DENSENET_CACHE');
  });

  it('a damaged wheel without a hash is fetched anew by the next try', async () => {
    await putReport();
    await makeWheels(at('wheels'));
    await makePython({
      fetch: `${give()}; case "$all" in *torch==*) if [ ! -e '${at('once')}' ]; then touch '${at('once')}'; echo half > "$folder"/torch-2.11.0-py3-none-any.whl; fi ;; esac`,
    });
    const options = { ...cuda, env: env() };
    expect((await rejection(install(options))).code).toBe('ERR_FILE_FORMAT');
    expect(await found()).toBeUndefined();
    await install(options);
    expect((await found())?.build).toBe('cu130');
    expect(await downloads()).toEqual([
      ...['torch==2.11.0', 'nvidia-cuda-runtime==13.0.48', 'nvidia-cudnn-cu13==9.1.0'],
      'torch==2.11.0',
    ]);
  });

  it('a signal ends it, and what was fetched stays', async () => {
    await putReport();
    await makeWheels(at('wheels'));
    await makePython({
      fetch: `case "$all" in *torch==*) cp '${at('wheels')}'/torch-* "$folder" ;; *) exec sleep 60 ;; esac`,
    });
    const stop = new AbortController();
    const reason = new Error('enough');
    const options = {
      ...cuda,
      env: env(),
      signal: stop.signal,
      report: (line: string) => line.startsWith('fetching nvidia') && setTimeout(() => stop.abort(reason), 100),
    };
    expect(await rejection(install(options))).toBe(reason);
    await expectNothing(['.wheels']);
    expect(await readdir(inCache('.wheels'))).toEqual(['torch-2.11.0-py3-none-any.whl']);
  });
});
