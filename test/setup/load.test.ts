import { copyFile, mkdir, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { coreName, findCores } from '../../lib/runtime/cores';
import { libraryName, locateLibtorch, type Libtorch } from '../../lib/runtime/locate';
import { root, runNode, type Ended } from '../child';
import { bareEnvironment, copyPackage, makeCommand, makeLibtorch, put, temporaryFolder } from './fakes';

const folder = temporaryFolder();
const at = (...names: string[]) => path.join(folder(), ...names);

/** The version that the addon was built against, its core library, its loader, and a libtorch that fits. */
let version: string;
let core: string;
let loader: string;
let sound: Libtorch;

beforeAll(async () => {
  const cores = await findCores(root);
  const { libtorch, tried } = await locateLibtorch({ accept: (found) => cores.has(found) });
  if (!libtorch)
    throw new Error(`these tests need a libtorch that the addon was built against: ${JSON.stringify(tried)}`);
  sound = libtorch;
  version = libtorch.version;
  core = cores.get(version) as string;
  const name = (await readdir(path.dirname(core))).find((file) => file.endsWith('.node')) as string;
  loader = path.join(path.dirname(core), name);
});

/** An environment of the child in which nothing is found but what a test adds. */
const nothing = (): NodeJS.ProcessEnv => ({ ...bareEnvironment(folder()), LIBTORCH: undefined });
const runProgram = (body: string, env: NodeJS.ProcessEnv, home = root): Promise<Ended> =>
  runNode(['-e', `const densenet = require(${JSON.stringify(path.join(home, 'dist', 'index.js'))});\n${body}`], {
    env,
  });

interface Failure {
  code: string;
  message: string;
  /** Whether it is this package's own class of error. */
  own: boolean;
}

/** How loading fails, in a process of its own, since libtorch is loaded once a process. */
async function failureOf(env: NodeJS.ProcessEnv, home = root): Promise<Failure> {
  const { stdout, stderr, code } = await runProgram(
    `densenet.runtimeInfo().then(
       () => console.log(JSON.stringify({ code: 'none', message: 'it loaded' })),
       (error) => console.log(JSON.stringify({
         code: error.code, message: error.message, own: error instanceof densenet.DenseNetError })),
     );`,
    env,
    home,
  );
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  return JSON.parse(stdout) as Failure;
}

/** The loaded libraries of a process that have to do with libtorch, after some steps; each step is an expression. */
async function librariesAfter(...steps: string[]): Promise<string[]> {
  const { stdout, stderr } = await runProgram(
    `(async () => {
       ${steps.map((step) => `await ${step};`).join('\n')}
       process.report.excludeNetwork = true;
       const { sharedObjects } = process.report.getReport();
       console.log(JSON.stringify(sharedObjects.filter((name) => /torch|densenet|c10/.test(require('path').basename(name)))));
     })();`,
    { LIBTORCH: sound.path },
  );
  expect(stderr).toBe('');
  return JSON.parse(stdout) as string[];
}

describe('without libtorch', () => {
  it('ERR_LIBTORCH_NOT_FOUND lists every place, what was there, and what mends it', async () => {
    await makeCommand(at('bin'), 'python3', 'echo');
    const { code, message, own } = await failureOf(nothing());
    expect({ code, own }).toEqual({ code: 'ERR_LIBTORCH_NOT_FOUND', own: true });
    expect(message.split('\n')).toEqual([
      'ERR_LIBTORCH_NOT_FOUND: no libtorch was found.',
      'Places tried, in order:',
      '  LIBTORCH: the environment variable - not set',
      `  cache: ${at('cache', 'libtorch')} - nothing there`,
      '  python: python3 on the PATH - it has no package torch',
      expect.stringContaining(`built against libtorch ${version}`),
      expect.stringContaining('npx densenet setup'),
    ]);
  });

  it('a LIBTORCH that leads nowhere is named, and nothing else is tried', async () => {
    const { code, message } = await failureOf({ LIBTORCH: at('nowhere') });
    expect(code).toBe('ERR_LIBTORCH_NOT_FOUND');
    expect(message).toContain(`  LIBTORCH: ${at('nowhere')} - there is no such folder`);
    expect(message).not.toMatch(/ {2}(cache|python): /);
    expect(message).toMatch(/Set LIBTORCH .*`pip install torch`.*`npx densenet setup`/);
  });

  it('requiring the package works', async () => {
    const ended = await runProgram('console.log(typeof densenet.DenseNet.create)', { LIBTORCH: '/nonexistent' });
    expect(ended).toEqual({ code: 0, signal: null, stdout: 'function\n', stderr: '' });
  });
});

test('requiring the package loads neither libtorch nor the addon; the first call does', async () => {
  expect(await librariesAfter()).toEqual([]);
  const loaded = await librariesAfter('densenet.runtimeInfo()');
  expect(loaded).toEqual(expect.arrayContaining([core, loader]));
  expect(loaded.map((name) => path.basename(name))).toContain(libraryName);
});

describe('with another libtorch than the addon was built against', () => {
  it('ERR_LIBTORCH_VERSION names both versions, the folder, and what mends it', async () => {
    // Its library is an empty file: were it opened, the system would refuse it first.
    const other = await makeLibtorch(at('other'), { version: '2.99.1+cu999' });
    const { code, message, own } = await failureOf({ LIBTORCH: other });
    expect({ code, own }).toEqual({ code: 'ERR_LIBTORCH_VERSION', own: true });
    expect(message).toContain(`libtorch 2.99.1 (cu999) in ${other} does not fit`);
    expect(message).toContain(`built against libtorch ${version}`);
    expect(message).toContain(`  LIBTORCH: ${other} - libtorch 2.99.1 (cu999), which does not fit`);
    expect(message).toContain('npx densenet setup');
  });

  it('all that were found are named', async () => {
    await makeLibtorch(at('cache', 'libtorch', '2.98.0+cpu'), { version: '2.98.0+cpu' });
    const torch = await makeLibtorch(at('site', 'torch'), { version: '2.99.1+cu999' });
    await makeCommand(at('bin'), 'python3', `echo '${torch}'`);
    const { code, message } = await failureOf(nothing());
    expect(code).toBe('ERR_LIBTORCH_VERSION');
    expect(message).toContain('2.98.0 (cpu)');
    expect(message).toContain('2.99.1 (cu999)');
  });
});

describe('with a libtorch that the system will not load', () => {
  it('ERR_ADDON_LOAD gives the words of the system, what was opened, and what mends it', async () => {
    const broken = await makeLibtorch(at('broken'), { version: `${version}+cpu` });
    const library = path.join(broken, 'lib', libraryName);
    await writeFile(library, 'this is no library, though it is long enough to be looked at: '.repeat(10));
    const { code, message, own } = await failureOf({ LIBTORCH: broken });
    expect({ code, own }).toEqual({ code: 'ERR_ADDON_LOAD', own: true });
    expect(message).toMatch(new RegExp(`the system's loader said: ${library}: .*(ELF|header|format)`));
    expect(message).toContain(`addon:    ${loader}`);
    expect(message).toContain(`core:     ${core}`);
    expect(message).toContain(`libtorch: ${version} (cpu) in ${broken}, from LIBTORCH`);
    expect(message).toContain(`  LIBTORCH: ${broken} - libtorch ${version} (cpu)`);
    expect(message).toContain('npx densenet setup');
  });
});

describe('a load that failed', () => {
  it.each<[string, string | undefined, string]>([
    ['libtorch was not found', undefined, 'ERR_LIBTORCH_NOT_FOUND'],
    ['it was another version', '2.99.1', 'ERR_LIBTORCH_VERSION'],
    ['it was broken', 'the same', 'ERR_ADDON_LOAD'],
  ])('since %s succeeds once LIBTORCH is mended', async (_, found, expected) => {
    const place = at('first');
    if (found) await makeLibtorch(place, { version: found === 'the same' ? version : found });
    const { stdout, stderr, code } = await runProgram(
      `(async () => {
         const results = [];
         for (const place of ${JSON.stringify([place, place, sound.path])}) {
           process.env.LIBTORCH = place;
           results.push(await densenet.runtimeInfo().then(({ libtorch }) => libtorch.path, (error) => error.code));
         }
         console.log(JSON.stringify(results));
       })();`,
      {},
    );
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    expect(JSON.parse(stdout)).toEqual([expected, expected, sound.path]);
  });

  it('is one load for all calls that waited for it', async () => {
    await makeCommand(at('bin'), 'python3', `echo called >> '${at('calls')}'`);
    const { stdout } = await runProgram(
      `Promise.allSettled([densenet.runtimeInfo(), densenet.manualSeed(1), densenet.DenseNet.create({})])
         .then((results) => console.log(JSON.stringify(results.map(({ reason }) => reason.code))));`,
      nothing(),
    );
    expect(JSON.parse(stdout)).toEqual(Array<string>(3).fill('ERR_LIBTORCH_NOT_FOUND'));
    expect(await readFile(at('calls'), 'utf8')).toBe('called\n');
  });
});

describe('a package', () => {
  const home = () => at('package');
  const addons = () => path.join(home(), 'build', 'Release');

  beforeEach(() => copyPackage(home()));

  /** Puts an addon into it; the loader stands in for any library that can be loaded and does nothing by that. */
  async function addAddon({ node = loader, library = loader }: { node?: string; library?: string }): Promise<string> {
    await mkdir(addons(), { recursive: true });
    await copyFile(node, path.join(addons(), 'libtorch_densenet.node'));
    const place = path.join(addons(), path.basename(core));
    await copyFile(library, place);
    return place;
  }

  it('without an addon for this system says where it looked', async () => {
    const { code, message } = await failureOf({ LIBTORCH: sound.path }, home());
    expect(code).toBe('ERR_ADDON_LOAD');
    expect(message).toContain(`there is no addon for ${process.platform}-${process.arch} in ${home()}`);
    expect(message).toContain('npx densenet setup');
  });

  it('with a loader and no core says so', async () => {
    await put(path.join(addons(), 'libtorch_densenet.node'), await readFile(loader));
    const { code, message } = await failureOf({ LIBTORCH: sound.path }, home());
    expect(code).toBe('ERR_ADDON_LOAD');
    expect(message).toContain(`${addons()} holds the loader but no core library`);
    expect(message).toContain('npx densenet setup');
  });

  it('with a loader that is damaged gives the words of the system', async () => {
    await addAddon({ node: path.join(root, 'package.json') });
    const { code, message } = await failureOf({ LIBTORCH: await makeLibtorch(at('own'), { version }) }, home());
    expect(code).toBe('ERR_ADDON_LOAD');
    expect(message).toMatch(/the system's loader said: .*libtorch_densenet\.node: .*(ELF|header|format)/);
  });

  it('with a core that is damaged gives the words of the system', async () => {
    const place = await addAddon({ library: path.join(root, 'package.json') });
    const own = await makeLibtorch(at('own'), { version, library: loader });
    const { code, message } = await failureOf({ LIBTORCH: own }, home());
    expect(code).toBe('ERR_ADDON_LOAD');
    expect(message).toMatch(new RegExp(`the system's loader said: ${place}: .*(ELF|header|format)`));
  });

  it('with a core that is none says so', async () => {
    const place = await addAddon({});
    const own = await makeLibtorch(at('own'), { version, library: loader });
    const { code, message } = await failureOf({ LIBTORCH: own }, home());
    expect(code).toBe('ERR_ADDON_LOAD');
    expect(message).toContain(`${place} is not a core library of libtorch-densenet`);
  });

  it('with a core that was cut short says so, where the system would kill the process', async () => {
    const place = await addAddon({ library: core });
    await truncate(place, 300_000);
    const { code, message } = await failureOf({ LIBTORCH: sound.path }, home());
    expect(code).toBe('ERR_ADDON_LOAD');
    expect(message).toMatch(
      new RegExp(`${place} was cut short: it has 300000 of at least \\d+ bytes\\. .*npx densenet setup`),
    );
  });

  it('with a loader that was cut short says so', async () => {
    await addAddon({ library: core });
    const place = path.join(addons(), 'libtorch_densenet.node');
    await truncate(place, (await stat(place)).size - 1);
    const { code, message } = await failureOf({ LIBTORCH: sound.path }, home());
    expect(code).toBe('ERR_ADDON_LOAD');
    expect(message).toContain(`${place} was cut short`);
  });

  it('beside a libtorch that was cut short names the file of it', async () => {
    await addAddon({ library: core });
    const own = await makeLibtorch(at('own'), { version, library: path.join(sound.path, 'lib', libraryName) });
    const part = path.join(own, 'lib', 'libc10.so');
    await copyFile(path.join(sound.path, 'lib', 'libc10.so'), part);
    await truncate(part, 100_000);
    const { code, message } = await failureOf({ LIBTORCH: own }, home());
    expect(code).toBe('ERR_ADDON_LOAD');
    expect(message).toContain(`${part} was cut short`);
    expect(message).toContain(`Delete ${own}`);
  });

  describe('with cores for several libtorchs', () => {
    const older = '2.12.9';

    beforeEach(async () => {
      await addAddon({ library: core });
      await copyFile(loader, path.join(addons(), coreName(older)));
    });

    it('takes the one whose version is that of the libtorch', async () => {
      const { stdout } = await runProgram(
        `densenet.runtimeInfo().then(({ libtorch }) => console.log(libtorch.version));`,
        { LIBTORCH: sound.path },
        home(),
      );
      expect(stdout).toBe(`${version}\n`);
      const place = await makeLibtorch(at('older'), { version: older, library: loader });
      const { message } = await failureOf({ LIBTORCH: place }, home());
      expect(message).toContain(`${path.join(addons(), coreName(older))} is not a core library`);
    });

    it('names them all where none is', async () => {
      const place = await makeLibtorch(at('other'), { version: '2.99.1' });
      const { code, message } = await failureOf({ LIBTORCH: place }, home());
      expect(code).toBe('ERR_LIBTORCH_VERSION');
      for (const one of [version, older, '2.99.1']) expect(message).toContain(one);
    });

    it('takes what was built here before what came along', async () => {
      const shipped = path.join(home(), 'prebuilds', `${process.platform}-${process.arch}`);
      await put(path.join(shipped, coreName(version)), 'never looked at');
      const { stdout } = await runProgram(
        `densenet.runtimeInfo().then(() => console.log('loaded'));`,
        { LIBTORCH: sound.path },
        home(),
      );
      expect(stdout).toBe('loaded\n');
    });
  });
});
