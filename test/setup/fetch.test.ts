import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fetchLibtorch, runCommand, type FetchOptions } from '../../lib/runtime/fetch';
import { locateLibtorch } from '../../lib/runtime/locate';
import { root } from '../child';
import { bareEnvironment, makeLibtorch, put, rejection, temporaryFolder, type FakeLibtorch } from './fakes';
import { begin, ranged, serve, serveTunnels, sha256, silence, whole, type RunningServer } from './server';

const folder = temporaryFolder();
const inCache = (...names: string[]) => path.join(folder(), 'cache', 'libtorch', ...names);

/** An archive as PyTorch's server has it: one folder libtorch. CMake makes it, since the fetch needs CMake as well. */
async function makeArchive(libtorch: FakeLibtorch = {}): Promise<Buffer> {
  const place = path.join(folder(), 'archive');
  await makeLibtorch(path.join(place, 'libtorch'), libtorch);
  await put(path.join(place, 'libtorch', 'lib', 'weight.bin'), Buffer.alloc(100_000, 'does not compress to nothing'));
  const { code, output } = await runCommand(
    'cmake',
    ['-E', 'tar', 'cf', 'libtorch.zip', '--format=zip', 'libtorch'],
    process.env,
    place,
  );
  if (code !== 0) throw new Error(output);
  return readFile(path.join(place, 'libtorch.zip'));
}

/** The cache of the test, with the commands of this machine. */
const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  HTTP_PROXY: '',
  http_proxy: '',
  LIBTORCH_DENSENET_CACHE: bareEnvironment(folder()).LIBTORCH_DENSENET_CACHE,
});
const fetchFrom = (server: RunningServer, archive: Buffer, options: FetchOptions = {}) =>
  fetchLibtorch({
    archiveUrl: `${server.url}/libtorch.zip`,
    pin: { sha256: sha256(archive) },
    env: environment(),
    backoffMs: 1,
    ...options,
  });
const found = () => locateLibtorch({ env: bareEnvironment(folder()) });

describe('the archive', () => {
  it('ends in the cache, alone and whole, where the search finds it', async () => {
    const archive = await makeArchive();
    await using server = await serve(whole(archive));
    const libtorch = await fetchFrom(server, archive);
    const place = inCache('2.13.0+cpu');
    expect(libtorch).toMatchObject({ path: place, version: '2.13.0', build: 'cpu', source: 'cache' });
    expect(await readdir(inCache())).toEqual(['2.13.0+cpu']);
    for (const library of libtorch.libraries) await access(library);
    await access(path.join(place, 'include', 'ATen', 'ATen.h'));
    expect((await found()).libtorch).toEqual(libtorch);
  });

  it('is told of while it comes', async () => {
    const archive = await makeArchive();
    await using server = await serve(whole(archive));
    const lines: string[] = [];
    const told: [number, number | undefined][] = [];
    await fetchFrom(server, archive, {
      report: (line) => lines.push(line),
      progress: (done, total) => told.push([done, total]),
    });
    expect(lines).toEqual([`downloading ${server.url}/libtorch.zip`, `unpacking libtorch-2.13.0.zip`]);
    expect(told.at(-1)).toEqual([archive.length, archive.length]);
  });

  it('takes the place of what an interruption left under its name', async () => {
    await put(inCache('2.13.0+cpu', 'lib', 'half.so'), '');
    const archive = await makeArchive();
    await using server = await serve(whole(archive));
    await fetchFrom(server, archive);
    expect((await readdir(inCache('2.13.0+cpu', 'lib'))).sort()).toEqual(['libtorch.so', 'weight.bin']);
    expect(await readdir(inCache())).toEqual(['2.13.0+cpu']);
  });

  it('leaves a sound libtorch that another process put there first', async () => {
    const first = await makeLibtorch(inCache('2.13.0+cpu'));
    await put(path.join(first, 'first'), '');
    const archive = await makeArchive();
    await using server = await serve(whole(archive));
    expect((await fetchFrom(server, archive)).path).toBe(first);
    await access(path.join(first, 'first'));
    expect(await readdir(inCache())).toEqual(['2.13.0+cpu']);
  });
});

describe('an archive that is refused', () => {
  it.each<[string, FakeLibtorch, string]>([
    ['another version', { version: '2.12.1+cpu' }, 'libtorch 2.13.0+cpu was asked for, but 2.12.1+cpu arrived'],
    ['another build', { version: '2.13.0+cu130' }, 'libtorch 2.13.0+cpu was asked for, but 2.13.0+cu130 arrived'],
    ['no headers', { headers: false }, 'what arrived cannot be used: it has no headers'],
    ['no version', { told: [] }, 'what arrived cannot be used: its version cannot be read'],
  ])('for %s leaves nothing', async (_, libtorch, expected) => {
    const archive = await makeArchive(libtorch);
    await using server = await serve(whole(archive));
    const error = await rejection(fetchFrom(server, archive));
    expect(error.code).toBe('ERR_DENSENET_DOWNLOAD');
    expect(error.message).toContain(expected);
    expect(await readdir(inCache())).toEqual([]);
  });

  it('for its SHA-256 leaves nothing', async () => {
    const archive = await makeArchive();
    await using server = await serve(whole(archive));
    const error = await rejection(fetchFrom(server, archive, { pin: { sha256: sha256(Buffer.from('another')) } }));
    expect(error.message).toContain(sha256(archive));
    expect(error.message).toContain(sha256(Buffer.from('another')));
    expect(await readdir(inCache())).toEqual([]);
  });

  it('for being no ZIP leaves nothing that looks like libtorch', async () => {
    const archive = Buffer.from('<html>sign in to this network</html>');
    await using server = await serve(whole(archive));
    const error = await rejection(fetchFrom(server, archive));
    expect(error.message).toContain('the archive cannot be unpacked');
    expect((await found()).libtorch).toBeUndefined();
    expect((await readdir(inCache())).filter((name) => name.startsWith('.fetch-'))).toEqual([]);
  });

  it('for want of CMake says so', async () => {
    const archive = await makeArchive();
    await using server = await serve(whole(archive));
    const error = await rejection(fetchFrom(server, archive, { env: bareEnvironment(folder()) }));
    expect(error.message).toContain('is CMake installed?');
  });
});

describe('a fetch that is interrupted', () => {
  const half = (archive: Buffer) => Math.floor(archive.length / 2);

  it('by the network leaves only what the next one goes on from', async () => {
    const archive = await makeArchive();
    await using broken = await serve(begin(archive, half(archive), inCache(), { end: false }), silence);
    await rejection(fetchFrom(broken, archive, { stallMs: 100 }));
    expect((await readdir(inCache())).filter((name) => !name.endsWith('.part'))).toEqual([]);
    expect((await found()).libtorch).toBeUndefined();

    await using mended = await serve(ranged(archive));
    await fetchFrom(mended, archive);
    expect(mended.requests.map(({ headers }) => headers.range)).toEqual([`bytes=${half(archive)}-`]);
    expect(await readdir(inCache())).toEqual(['2.13.0+cpu']);
  });

  /** A fetch in a process that is killed when half of the archive is there. */
  async function fetchAndKill(archive: Buffer): Promise<void> {
    const beginning = begin(archive, half(archive), inCache(), { end: false });
    await using server = await serve(async (request, response) => {
      await beginning(request, response);
      child.kill('SIGKILL');
    });
    const options: FetchOptions = { archiveUrl: server.url, pin: { sha256: sha256(archive) } };
    const program = `require(${JSON.stringify(path.join(root, 'lib/runtime/fetch.js'))})
      .fetchLibtorch(${JSON.stringify(options)});`;
    const child = spawn(process.execPath, ['-e', program], { env: environment(), stdio: 'ignore' });
    expect(await once(child, 'close')).toEqual([null, 'SIGKILL']);
  }

  it('by the death of its process leaves nothing that looks like libtorch', async () => {
    await fetchAndKill(await makeArchive());
    const { libtorch, tried } = await found();
    expect(libtorch).toBeUndefined();
    expect(tried.find(({ source }) => source === 'cache')?.result).toBe('nothing there');
  });

  it('by the death of its process is taken up by the next, which clears up what is left', async () => {
    const archive = await makeArchive();
    await fetchAndKill(archive);
    await using server = await serve(ranged(archive));
    await fetchFrom(server, archive);
    expect(server.requests.map(({ headers }) => headers.range)).toEqual([`bytes=${half(archive)}-`]);
    expect(await readdir(inCache())).toEqual(['2.13.0+cpu']);
  });
});

describe('two fetches at the same time', () => {
  it('both end with the libtorch', async () => {
    const archive = await makeArchive();
    await using server = await serve(whole(archive));
    const [first, second] = await Promise.all([fetchFrom(server, archive), fetchFrom(server, archive)]);
    expect(first).toEqual(second);
    expect(await readdir(inCache())).toEqual(['2.13.0+cpu']);
  });

  it('do not clear up one another’s work', async () => {
    const archive = await makeArchive();
    await using other = await serve(whole(archive));
    await using server = await serve(async (request, response) => {
      // In the middle of the first, a whole second one.
      await fetchFrom(other, archive);
      await whole(archive)(request, response);
    });
    await fetchFrom(server, archive);
    expect(await readdir(inCache())).toEqual(['2.13.0+cpu']);
  });
});

describe('where there is neither Python nor an archive of our own choice', () => {
  const pinned = `${process.platform}-${process.arch}` === 'linux-x64';
  (pinned ? it : it.skip)(
    'PyTorch’s archive of the pinned version is asked for (pinned for linux-x64 only)',
    async () => {
      await using proxy = await serveTunnels({ status: 407 });
      const lines: string[] = [];
      const env = { ...bareEnvironment(folder()), HTTPS_PROXY: proxy.url };
      const error = await rejection(fetchLibtorch({ env, report: (line) => lines.push(line) }));
      expect(error.message).toContain('the proxy answered 407');
      expect(proxy.requests.map(({ url }) => url)).toEqual(['download.pytorch.org:443']);
      expect(lines).toEqual([
        'downloading https://download.pytorch.org/libtorch/cpu/libtorch-shared-with-deps-2.13.0%2Bcpu.zip',
      ]);
    },
  );

  it('a version whose archive nobody pinned is refused, with what to do', async () => {
    const error = await rejection(fetchLibtorch({ version: '2.12.0', env: bareEnvironment(folder()) }));
    expect(error.code).toBe('ERR_DENSENET_DOWNLOAD');
    expect(error.message).toContain(`no official archive is known for ${process.platform}-${process.arch}-2.12.0`);
    expect(error.message).toMatch(/Install Python with pip, or set LIBTORCH/);
    expect(await readdir(inCache())).toEqual([]);
  });
});
