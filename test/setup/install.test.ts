import { access, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { carryOut } from '../../lib/runtime/install/install';
import { planInstall, type InstallOptions } from '../../lib/runtime/install/plan';
import { locateLibtorch, type Libtorch } from '../../lib/runtime/locate';
import {
  bareEnvironment,
  makeCommand,
  makeLibtorch,
  put,
  rejection,
  temporaryFolder,
  type FakeLibtorch,
} from './fakes';
import { begin, ranged, serve, sha256, whole } from './server';
import { loadable, makeWheels, zip } from './wheels';

/** Installing what the user has already, and the official archive; wheels by pip are in install-wheels.test.ts. */

const folder = temporaryFolder();
const at = (...names: string[]) => path.join(folder(), ...names);
const inCache = (...names: string[]) => at('cache', 'libtorch', ...names);
const environment = () => bareEnvironment(folder());

const install = async (options: InstallOptions): Promise<Libtorch> => {
  const all = { env: environment(), ...options };
  return carryOut(await planInstall(all), all);
};
const found = async () => (await locateLibtorch({ env: environment() })).libtorch;

/** An archive as PyTorch's server has it: one folder libtorch. */
async function makeArchive(libtorch: FakeLibtorch = {}): Promise<string> {
  const place = await makeLibtorch(at('archive', 'libtorch'), { library: loadable, ...libtorch });
  await put(path.join(place, 'lib', 'weight.bin'), Buffer.alloc(100_000, 'does not compress to nothing'));
  return zip(at('archive'), ['libtorch'], at('downloads', 'libtorch.zip'));
}

/** Nothing is found, and nothing lies in the cache but what `kept` names. */
async function expectNothing(kept: string[] = []): Promise<void> {
  expect(await found()).toBeUndefined();
  expect((await readdir(inCache())).sort()).toEqual(kept);
}

describe('a folder', () => {
  it('is used where it lies', async () => {
    const place = await makeLibtorch(at('mine'), { library: loadable });
    expect((await install({ from: place })).path).toBe(place);
    expect(await readdir(inCache())).toEqual(['installed.json']);
    expect(await found()).toMatchObject({ path: place, version: '2.13.0', build: 'cpu', source: 'installed' });
  });

  it('may hold torch beside NVIDIA’s libraries', async () => {
    const torch = await makeLibtorch(at('site', 'torch'), { version: '2.11.0+cu130', library: loadable });
    await install({ from: at('site'), build: 'cuda' });
    expect(await found()).toMatchObject({ path: torch, build: 'cu130' });
  });

  it.each<[string, () => Promise<unknown>, string, RegExp]>([
    ['that is not there', () => Promise.resolve(), 'ERR_FILE', /cannot be read: ENOENT/],
    ['that holds no libtorch', () => put(at('mine', 'README'), ''), 'ERR_FILE_FORMAT', /no lib\/libtorch\.so/],
    ['that will not load', () => makeLibtorch(at('mine')), 'ERR_ADDON_LOAD', /file too short/],
  ])('%s is refused', async (_, make, code, message) => {
    await make();
    const error = await rejection(install({ from: at('mine') }));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    await expectNothing();
  });

  it('of another build than what is asked for is refused', async () => {
    await makeLibtorch(at('mine'), { library: loadable });
    const error = await rejection(install({ from: at('mine'), build: 'cuda' }));
    expect(error.message).toContain('--cuda asks for another build than what is there: libtorch 2.13.0 (cpu)');
    await expectNothing();
  });
});

describe('an archive in a file', () => {
  it('is unpacked into the cache, alone and whole', async () => {
    const file = await makeArchive();
    const libtorch = await install({ from: file });
    expect(libtorch).toMatchObject({ path: inCache('2.13.0+cpu'), version: '2.13.0', source: 'installed' });
    expect((await readdir(inCache())).sort()).toEqual(['2.13.0+cpu', 'installed.json']);
    await access(inCache('2.13.0+cpu', 'include', 'ATen', 'ATen.h'));
    expect(await readFile(inCache('2.13.0+cpu', 'lib', 'weight.bin'))).toEqual(
      await readFile(at('archive', 'libtorch', 'lib', 'weight.bin')),
    );
    expect(await found()).toEqual(libtorch);
  });

  it('is told of while it is unpacked', async () => {
    const lines: string[] = [];
    const told: [number, number | undefined][] = [];
    await install({
      from: await makeArchive(),
      report: (line) => lines.push(line),
      progress: (...amounts) => told.push(amounts),
    });
    expect(lines).toEqual(['unpacking libtorch.zip']);
    expect(told.at(-1)?.[0]).toBeGreaterThan(100_000);
    expect(told.at(-1)?.[0]).toBe(told.at(-1)?.[1]);
  });

  it('is checked against the SHA-256 that is given', async () => {
    const file = await makeArchive();
    const right = sha256(await readFile(file));
    const wrong = sha256(Buffer.from('another'));
    const error = await rejection(install({ from: file, sha256: wrong }));
    expect(error.message).toContain(`its SHA-256 is ${right}, and it must be ${wrong}`);
    await expectNothing();
    await install({ from: file, sha256: right.toUpperCase() });
    expect((await found())?.path).toBe(inCache('2.13.0+cpu'));
  });

  it.each<[string, (file: string, bytes: Buffer) => Promise<void>]>([
    ['the first half of it', (file, bytes) => truncate(file, Math.floor(bytes.length / 2))],
    ['a page of words', (file) => writeFile(file, '<html>sign in to this network</html>')],
    ['nothing', (file) => writeFile(file, '')],
    ['it with one bit turned', (file, bytes) => writeFile(file, turnBit(bytes))],
  ])('of which there is %s is refused, and leaves nothing', async (_, damage) => {
    const file = await makeArchive();
    await damage(file, await readFile(file));
    const error = await rejection(install({ from: file }));
    expect(error.code).toBe('ERR_FILE_FORMAT');
    expect(error.message).toContain(`${file} is damaged, not whole (half of a download?) or no ZIP archive`);
    await expectNothing();
  });

  /** In the middle of the one large entry's bytes, which lies at the end of the entries. */
  function turnBit(bytes: Buffer): Buffer {
    const place = bytes.lastIndexOf('weight.bin', bytes.indexOf('PK\x01\x02', 0, 'latin1')) + 60;
    const turned = Buffer.from(bytes);
    turned[place] = (turned[place] as number) ^ 1;
    return turned;
  }

  it.each<[string, FakeLibtorch, string, string]>([
    ['no headers', { headers: false }, 'ERR_DOWNLOAD', 'it has no headers'],
    ['no version', { told: [] }, 'ERR_DOWNLOAD', 'its version cannot be read'],
    ['a library that will not load', { library: __filename }, 'ERR_ADDON_LOAD', 'nothing was installed'],
  ])('with %s is refused, and leaves nothing', async (_, libtorch, code, message) => {
    const error = await rejection(install({ from: await makeArchive(libtorch) }));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
    await expectNothing();
  });

  it('of something else is refused', async () => {
    await put(at('else', 'file'), 'x');
    const error = await rejection(install({ from: await zip(at('else'), ['file'], at('else.zip')) }));
    expect(error.message).toContain('is neither an archive of libtorch nor a wheel of torch');
  });

  it('takes the place of a damaged one in the cache, and leaves a sound one', async () => {
    await makeLibtorch(inCache('2.13.0+cpu')); // its library is empty
    await put(inCache('2.13.0+cpu', 'old'), '');
    const file = await makeArchive();
    await install({ from: file });
    expect(await readdir(inCache('2.13.0+cpu'))).not.toContain('old');
    await put(inCache('2.13.0+cpu', 'mine'), '');
    await install({ from: file });
    expect(await readdir(inCache('2.13.0+cpu'))).toContain('mine');
  });
});

describe('a wheel in a file', () => {
  it('of the CPU build is unpacked, without what Python alone needs', async () => {
    const [torch = ''] = await makeWheels(at('wheels'), { version: '2.13.0+cpu' });
    await install({ from: torch, build: 'cpu' });
    const place = inCache('2.13.0+cpu');
    expect((await found())?.path).toBe(place);
    expect((await readdir(place)).sort()).toEqual(['include', 'lib', 'torch-2.13.0+cpu.dist-info', 'version.py']);
  });

  it('of the CUDA build is half of what it takes, and is refused with the way to the rest', async () => {
    const [torch = ''] = await makeWheels(at('wheels'));
    const error = await rejection(install({ from: torch }));
    expect(error.message).toContain('without the NVIDIA libraries that it needs');
    expect(error.message).toContain('--wheels FOLDER');
    await expectNothing();
  });
});

describe('where there is not the room', () => {
  it('nothing is done, and what it takes, what is free and what to do are said', async () => {
    const file = await makeArchive();
    const error = await rejection(install({ from: file, machine: { freeBytes: () => Promise.resolve(1000) } }));
    expect(error.code).toBe('ERR_FILE');
    expect(error.message).toMatch(/this takes 1 MB in .*libtorch while it is being installed, and 1 MB are free there/);
    expect(error.message).toContain('LIBTORCH_DENSENET_CACHE');
    await expectNothing();
  });

  it('by the time that all is fetched, nothing is unpacked', async () => {
    const file = await makeArchive();
    let asked = 0;
    const freeBytes = () => Promise.resolve((asked += 1) === 1 ? 1e9 : 1000);
    expect((await rejection(install({ from: file, machine: { freeBytes } }))).code).toBe('ERR_FILE');
    await expectNothing();
  });
});

describe('the official archive, where there is no Python', () => {
  const fetchFrom = (url: string, options: InstallOptions = {}) =>
    install({
      build: 'cpu',
      version: '2.13.0',
      ...options,
      machine: { archiveUrl: `${url}/libtorch.zip`, backoffMs: 1 },
    });

  it('is fetched and unpacked without Python or CMake', async () => {
    const archive = await readFile(await makeArchive());
    await using server = await serve(whole(archive));
    const plan = await planInstall({
      build: 'cpu',
      version: '2.13.0',
      env: environment(),
      machine: { archiveUrl: `${server.url}/libtorch.zip` },
    });
    expect(plan.parts).toEqual([{ name: 'libtorch.zip', bytes: archive.length }]);
    expect(server.requests.map(({ method }) => method)).toEqual(['HEAD']);
    await fetchFrom(server.url, { sha256: sha256(archive) });
    expect((await found())?.path).toBe(inCache('2.13.0+cpu'));
    expect((await readdir(inCache())).sort()).toEqual(['2.13.0+cpu', 'installed.json']);
  });

  it('that breaks off is gone on with by the next installation', async () => {
    const archive = await readFile(await makeArchive());
    const half = Math.floor(archive.length / 2);
    const cut = begin(archive, half, inCache(), { end: true });
    await using broken = await serve(async (request, response) => {
      if (request.method === 'HEAD') response.writeHead(200, { 'content-length': archive.length }).end();
      else if (request.headers.range === undefined) await cut(request, response);
      else response.writeHead(404).end();
    });
    await rejection(fetchFrom(broken.url));
    await expectNothing(['libtorch-2.13.0+cpu.zip.part']);
    await using mended = await serve(ranged(archive));
    await fetchFrom(mended.url);
    expect(mended.requests.map(({ headers }) => headers.range)).toEqual([undefined, `bytes=${half}-`]);
    expect((await found())?.path).toBe(inCache('2.13.0+cpu'));
  });

  it.each<[string, FakeLibtorch, string]>([
    ['another version', { version: '2.12.1+cpu' }, 'libtorch 2.13.0+cpu was asked for, but 2.12.1+cpu arrived'],
    ['another build', { version: '2.13.0+cu130' }, 'another build than what is there: libtorch 2.13.0 (cu130)'],
  ])('that turns out to be %s is refused, and leaves nothing', async (_, libtorch, message) => {
    await using server = await serve(whole(await readFile(await makeArchive(libtorch))));
    expect((await rejection(fetchFrom(server.url))).message).toContain(message);
    await expectNothing();
  });

  it('is asked for where PyTorch has its CUDA build, and its hash is said to be unknown', async () => {
    const env = { ...environment(), HTTPS_PROXY: 'http://127.0.0.1:9' }; // nobody listens there
    const plan = planInstall({ build: 'cuda', version: '2.11.0', env });
    if (`${process.platform}-${process.arch}` !== 'linux-x64')
      return expect(plan).rejects.toThrow('no official archive');
    const { source, parts, notes } = await plan;
    expect(source).toEqual({
      type: 'archive',
      url: 'https://download.pytorch.org/libtorch/cu130/libtorch-shared-with-deps-2.11.0%2Bcu130.zip',
      sha256: undefined,
    });
    expect(parts).toEqual([{ name: 'libtorch-shared-with-deps-2.11.0+cu130.zip', bytes: undefined }]);
    expect(notes.join('\n')).toContain('The SHA-256 of this archive is not known here');
  });
});

describe('what is in the cache already', () => {
  beforeEach(async () => {
    await makeLibtorch(inCache('2.13.0+cpu'), { library: loadable });
    await makeLibtorch(inCache('2.11.0+cu130', 'torch'), { version: '2.11.0+cu130', library: loadable });
  });

  it('is only chosen', async () => {
    await install({ build: 'cuda', version: '2.11.0' });
    expect((await found())?.build).toBe('cu130');
    await install({ build: 'cpu', version: '2.13.0+cpu' });
    expect((await found())?.build).toBe('cpu');
  });

  it('is not taken for another version or build', async () => {
    for (const version of ['2.12.0', '2.11.0+cu126'])
      expect(
        (
          await planInstall({
            build: 'cuda',
            version,
            env: environment(),
            machine: { archiveUrl: 'http://127.0.0.1:9/x' },
          })
        ).source.type,
      ).toBe('archive');
  });
});

describe('which build', () => {
  const planned = async (driver: string | undefined) => {
    if (driver) await makeCommand(at('bin'), 'nvidia-smi', `echo '${driver}, NVIDIA L4, 23034, 22000'`);
    return planInstall({
      version: '2.11.0',
      env: environment(),
      machine: { archiveUrl: 'http://127.0.0.1:9/x', driver: { proc: at('proc') } },
    });
  };

  it('is CUDA where there is a driver, and the CPU’s elsewhere, unless it is asked for', async () => {
    expect((await planned(undefined)).build).toBe('cpu');
    expect(await planned('580.65.06')).toMatchObject({ build: 'cuda', version: '2.11.0+cu130' });
  });

  it('a driver is too old for is said before anything is fetched', async () => {
    expect((await planned('535.129.03')).notes.join('\n')).toContain(
      "NVIDIA's driver 535.129.03 is too old for CUDA 13.0, which needs 580.65.06 or newer",
    );
  });
});

describe('bad options', () => {
  it.each<[InstallOptions, string]>([
    [{ from: 'a', wheels: 'b' }, '--from and --wheels say two places'],
    [{ version: 'latest' }, '--torch must be a version such as 2.11.0 or 2.11.0+cu126; got "latest"'],
    [{ version: '2.11.0', from: 'a' }, '--torch says which version to fetch'],
    [{ sha256: 'abc' }, '--sha256 must be 64 hexadecimal digits; got "abc"'],
    [{ version: '2.11.0+cu130', build: 'cpu' }, '--torch 2.11.0+cu130 is not the build that --cpu asks for'],
  ])('%j are refused', async (options, message) => {
    const error = await rejection(planInstall({ env: environment(), ...options }));
    expect(error.code).toBe('ERR_INVALID_ARGUMENT');
    expect(error.message).toContain(message);
  });

  it('a folder of wheels that is none is refused; so is one without Python', async () => {
    const planned = (wheels: string) => planInstall({ build: 'cuda', version: '2.11.0', wheels, env: environment() });
    expect((await rejection(planned(at('none')))).message).toContain('is no folder');
    await makeWheels(at('wheels'));
    expect((await rejection(planned(at('wheels')))).message).toContain('takes Python with pip');
  });
});
