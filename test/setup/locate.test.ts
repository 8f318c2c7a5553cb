import { mkdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import {
  cacheFolder,
  compareVersions,
  libraryName,
  locateLibtorch,
  readLibtorch,
  type LocateOptions,
} from '../../lib/runtime/locate';
import { root, runNode } from '../child';
import { bareEnvironment, findCommand, makeCommand, makeLibtorch, put, temporaryFolder } from './fakes';

const folder = temporaryFolder();
const at = (...names: string[]) => path.join(folder(), ...names);
const inCache = (...names: string[]) => at('cache', 'libtorch', ...names);

/** The search in an environment that holds nothing but what the test put there. */
const locate = ({ env, ...options }: LocateOptions = {}) =>
  locateLibtorch({ env: { ...bareEnvironment(folder()), ...env }, ...options });

describe('the order', () => {
  const order = ['option', 'LIBTORCH', 'resources', 'cache', 'python'] as const;

  it.each(order.map((source, place) => [source, place] as const))(
    '%s goes before all after it',
    async (source, first) => {
      const there = (name: (typeof order)[number]) => order.indexOf(name) >= first;
      const option = await makeLibtorch(at('option'), { version: '2.13.0' });
      const variable = await makeLibtorch(at('variable'), { version: '2.13.1' });
      if (there('resources')) await makeLibtorch(at('app', 'libtorch'), { version: '2.13.2' });
      if (there('cache')) await makeLibtorch(inCache('2.13.3+cpu'), { version: '2.13.3' });
      await makeLibtorch(at('site', 'torch'), { version: '2.13.4' });
      await makeCommand(at('bin'), 'python3', `echo '${at('site', 'torch')}'`);
      const { libtorch, mismatched } = await locate({
        resourcesPath: at('app'),
        ...(there('option') && { libtorch: option }),
        ...(there('LIBTORCH') && { env: { LIBTORCH: variable } }),
      });
      expect(libtorch).toMatchObject({ source, version: `2.13.${first}` });
      expect(mismatched).toEqual([]);
    },
  );

  it('every place that was looked at is told of, in that order', async () => {
    await makeLibtorch(inCache('2.12.0+cpu'), { version: '2.12.0' });
    await makeLibtorch(at('site', 'torch'), { version: '2.11.0+cu130' });
    await makeCommand(at('bin'), 'python3', `echo '${at('site', 'torch')}'`);
    const { libtorch, tried, mismatched } = await locate({
      resourcesPath: at('app'),
      accept: (version) => version === '2.13.0',
    });
    expect(libtorch).toBeUndefined();
    expect(tried).toEqual([
      { source: 'LIBTORCH', place: 'the environment variable', result: 'not set' },
      { source: 'resources', place: at('app', 'libtorch'), result: 'there is no such folder' },
      { source: 'cache', place: inCache('2.12.0+cpu'), result: 'libtorch 2.12.0 (cpu), which does not fit' },
      { source: 'python', place: at('site', 'torch'), result: 'libtorch 2.11.0 (cu130), which does not fit' },
    ]);
    expect(mismatched.map(({ source, version }) => [source, version])).toEqual([
      ['cache', '2.12.0'],
      ['python', '2.11.0'],
    ]);
  });

  it('the search ends at the first that will do', async () => {
    await makeLibtorch(inCache('2.13.0+cpu'));
    const { tried } = await locate();
    expect(tried.map(({ source, result }) => [source, result])).toEqual([
      ['LIBTORCH', 'not set'],
      ['cache', 'libtorch 2.13.0 (cpu)'],
    ]);
  });
});

describe.each(['option', 'LIBTORCH'] as const)('a folder that the user insists on, by %s', (source) => {
  const insist = (place: string): LocateOptions =>
    source === 'option' ? { libtorch: place } : { env: { LIBTORCH: place } };
  beforeEach(() => makeLibtorch(inCache('2.13.0+cpu')));

  it('ends the search when it is not there', async () => {
    expect(await locate(insist(at('nowhere')))).toEqual({
      libtorch: undefined,
      tried: [{ source, place: at('nowhere'), result: 'there is no such folder' }],
      mismatched: [],
    });
  });

  it('ends the search when its version does not fit', async () => {
    const place = await makeLibtorch(at('old'), { version: '2.11.0+cu130' });
    const { libtorch, tried, mismatched } = await locate({
      ...insist(place),
      accept: (version) => version === '2.13.0',
    });
    expect(libtorch).toBeUndefined();
    expect(tried).toEqual([{ source, place, result: 'libtorch 2.11.0 (cu130), which does not fit' }]);
    expect(mismatched).toEqual([
      { path: place, libraries: [path.join(place, 'lib', libraryName)], version: '2.11.0', build: 'cu130', source },
    ]);
  });

  it('may be its lib', async () => {
    const place = await makeLibtorch(at('own'));
    expect((await locate(insist(path.join(place, 'lib')))).libtorch?.path).toBe(place);
  });

  it('may be relative; what comes back is absolute', async () => {
    const place = await makeLibtorch(at('own'));
    const { libtorch } = await locate(insist(path.relative(process.cwd(), place)));
    expect(libtorch).toMatchObject({ path: place, libraries: [path.join(place, 'lib', libraryName)] });
  });
});

test('an empty LIBTORCH is none', async () => {
  await makeLibtorch(inCache('2.13.0+cpu'));
  const { libtorch, tried } = await locate({ env: { LIBTORCH: '' } });
  expect(libtorch?.source).toBe('cache');
  expect(tried[0]).toEqual({ source: 'LIBTORCH', place: 'the environment variable', result: 'not set' });
});

describe('the cache', () => {
  it('gives its newest, by numbers and not by letters', async () => {
    for (const version of ['2.9.1', '2.13.0', '2.11.0']) await makeLibtorch(inCache(`${version}+cpu`), { version });
    expect((await locate()).libtorch).toMatchObject({
      version: '2.13.0',
      source: 'cache',
      path: inCache('2.13.0+cpu'),
    });
  });

  it('gives the next when the newest will not do', async () => {
    for (const version of ['2.9.1', '2.13.0', '2.11.0']) await makeLibtorch(inCache(`${version}+cpu`), { version });
    const { libtorch, mismatched } = await locate({ accept: (version) => version !== '2.13.0' });
    expect(libtorch?.version).toBe('2.11.0');
    expect(mismatched.map(({ version }) => version)).toEqual(['2.13.0']);
  });

  it('is not taken for more than it holds: folders on their way there, archives, strangers', async () => {
    for (const name of ['.fetch-x1y2z3', '2.13.0', '2.13.0+cpu.old', 'libtorch']) await makeLibtorch(inCache(name));
    await put(inCache('libtorch-2.13.0.zip.part'), 'half of it');
    const { libtorch, tried } = await locate();
    expect(libtorch).toBeUndefined();
    expect(tried[1]).toEqual({ source: 'cache', place: inCache(), result: 'nothing there' });
  });

  it.each<[string, NodeJS.ProcessEnv, string]>([
    ['LIBTORCH_DENSENET_CACHE', { LIBTORCH_DENSENET_CACHE: '/own', XDG_CACHE_HOME: '/xdg', HOME: '/home/me' }, '/own'],
    ['XDG_CACHE_HOME', { XDG_CACHE_HOME: '/xdg', HOME: '/home/me' }, '/xdg/libtorch-densenet'],
  ])('lies where %s says', (_, env, expected) => {
    expect(cacheFolder(env)).toBe(path.normalize(expected));
  });

  it.each<[string, NodeJS.ProcessEnv]>([
    ['LIBTORCH_DENSENET_CACHE is relative', { LIBTORCH_DENSENET_CACHE: 'here' }],
    ['XDG_CACHE_HOME is relative', { XDG_CACHE_HOME: 'here', HOME: '/home/me' }],
    ['HOME is empty', { HOME: '' }],
    ['nothing is set', {}],
  ])('has an absolute path when %s', (_, env) => {
    expect(path.isAbsolute(cacheFolder(env))).toBe(true);
  });
});

describe('the Python on the PATH', () => {
  const last = async (options?: LocateOptions) => (await locate(options)).tried.at(-1);

  it('may be missing', async () => {
    expect(await last()).toEqual({
      source: 'python',
      place: 'python3 and python on the PATH',
      result: 'no Python that runs',
    });
  });

  it('may have no torch', async () => {
    await makeCommand(at('bin'), 'python3', 'echo');
    expect(await last()).toEqual({
      source: 'python',
      place: 'python3 on the PATH',
      result: 'it has no package torch',
    });
  });

  it('has a torch that holds libtorch', async () => {
    const torch = await makeLibtorch(at('site', 'torch'), { told: ['version.py'] });
    await makeCommand(at('bin'), 'python3', `echo '${torch}'`);
    expect((await locate()).libtorch).toEqual({
      path: torch,
      libraries: [path.join(torch, 'lib', libraryName)],
      version: '2.13.0',
      build: 'cpu',
      source: 'python',
    });
  });

  it('has a torch that holds none', async () => {
    await mkdir(at('site', 'torch'), { recursive: true });
    await makeCommand(at('bin'), 'python3', `echo '${at('site', 'torch')}'`);
    expect(await last()).toEqual({
      source: 'python',
      place: at('site', 'torch'),
      result: `it has no lib/${libraryName}, so it is not libtorch`,
    });
  });

  it('is called python where python3 is missing or broken', async () => {
    const torch = await makeLibtorch(at('site', 'torch'));
    await makeCommand(at('bin'), 'python3', 'exit 1');
    await makeCommand(at('bin'), 'python', `echo '${torch}'`);
    expect((await locate()).libtorch?.path).toBe(torch);
  });
});

const python = findCommand('python3');
(python ? describe : describe.skip)(`the Python of this machine${python ? '' : ' (skipped: it has none)'}`, () => {
  /** The search, in a working folder and with this machine's Python. */
  async function search(cwd: string, env: NodeJS.ProcessEnv) {
    const program = `require(${JSON.stringify(path.join(root, 'lib/runtime/locate.js'))}).locateLibtorch()
      .then((found) => console.log(JSON.stringify(found)));`;
    const { stdout } = await runNode(['-e', program], {
      cwd,
      env: { LIBTORCH_DENSENET_CACHE: at('cache'), LIBTORCH: undefined, ...env },
    });
    return JSON.parse(stdout) as Awaited<ReturnType<typeof locateLibtorch>>;
  }

  /** A package that tells by a failure that it was imported. */
  async function makePackage(site: string): Promise<string> {
    await put(path.join(site, 'torch', '__init__.py'), 'raise SystemExit("imported")\n');
    return makeLibtorch(path.join(site, 'torch'), { told: ['version.py'] });
  }

  it('is asked for its torch, which is not imported', async () => {
    const torch = await makePackage(at('site'));
    expect((await search(folder(), { PYTHONPATH: at('site') })).libtorch).toMatchObject({
      path: torch,
      source: 'python',
    });
  });

  it('does not take a folder torch of the working folder for its own', async () => {
    await makePackage(folder());
    const { tried } = await search(folder(), {});
    expect(tried.at(-1)?.source).toBe('python');
    expect(tried.map(({ place }) => place)).not.toContain(at('torch'));
  });
});

describe('what a folder holds', () => {
  it.each(['build-version', 'version.py', 'version.h'] as const)('is read from %s', async (file) => {
    const place = await makeLibtorch(at('own'), { told: [file], version: '2.13.7' });
    expect((await readLibtorch(place, 'option')).libtorch).toMatchObject({ version: '2.13.7', build: 'cpu' });
  });

  it.each([
    ['2.13.0+cpu', '2.13.0', 'cpu'],
    ['2.11.0+cu130', '2.11.0', 'cu130'],
    ['2.14.0.dev20270101+cu130', '2.14.0', 'cu130'],
    ['2.13.0a0+gitabc123', '2.13.0', 'gitabc123'],
  ])('%s is version %s, build %s', async (version, number, build) => {
    const place = await makeLibtorch(at('own'), { version });
    expect((await readLibtorch(place, 'option')).libtorch).toMatchObject({ version: number, build });
  });

  it('a version that names no build is CUDA where its library is', async () => {
    const place = await makeLibtorch(at('own'), { version: '2.13.0' });
    await put(path.join(place, 'lib', 'libtorch_cuda.so'), '');
    expect((await readLibtorch(place, 'option')).libtorch?.build).toBe('cuda');
  });

  it('may be behind a link', async () => {
    await makeLibtorch(at('real'));
    await symlink(at('real'), at('link'));
    expect((await readLibtorch(at('link'), 'option')).libtorch?.version).toBe('2.13.0');
  });

  it('must have headers only where something is built against it', async () => {
    const place = await makeLibtorch(at('own'), { headers: false });
    expect((await readLibtorch(place, 'option')).libtorch?.version).toBe('2.13.0');
    expect((await locate({ env: { LIBTORCH: place }, needHeaders: true })).tried).toEqual([
      {
        source: 'LIBTORCH',
        place,
        result: 'it has no headers (include/ATen), so nothing can be built against it',
      },
    ]);
    await makeLibtorch(place);
    expect((await locate({ env: { LIBTORCH: place }, needHeaders: true })).libtorch?.path).toBe(place);
  });

  it.each(['unknown', '', '2.13', 'v2.13.0'])('is no libtorch of a known version where it says %j', async (version) => {
    const place = await makeLibtorch(at('own'), { version });
    expect((await readLibtorch(place, 'option')).fault).toMatch(/^its version cannot be read/);
  });

  it('is no libtorch of a known version where nothing says it', async () => {
    const place = await makeLibtorch(at('own'), { told: [] });
    expect((await readLibtorch(place, 'option')).fault).toMatch(/^its version cannot be read/);
  });
});

test('versions are ordered by their numbers', () => {
  const versions = ['2.13.0', '2.9.1+cpu', '10.0.0', '2.11.0+cu130', '2.9.10'];
  expect(versions.sort(compareVersions)).toEqual(['2.9.1+cpu', '2.9.10', '2.11.0+cu130', '2.13.0', '10.0.0']);
  expect(compareVersions('2.13.0+cpu', '2.13.0+cu130')).toBe(0);
  expect(compareVersions('2.13', '2.13.0')).toBe(0);
});
