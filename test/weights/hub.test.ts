import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { findFile, findPretrained, type PretrainedName, type PretrainedOptions } from '../../lib/weights/hub';
import { temporaryFolder } from '../setup/fakes';
import { begin, ranged, serve, sha256, status, whole } from '../setup/server';

const folder = temporaryFolder();
const own = () => path.join(folder(), 'cache', 'weights');
const torchs = () => path.join(folder(), 'torch', 'hub', 'checkpoints');

const body = Buffer.from('weights, or so we say. '.repeat(5000));
const name = `tiny-${sha256(body).slice(0, 8)}.pth`;

const before = { ...process.env };
beforeEach(() => {
  process.env['LIBTORCH_DENSENET_CACHE'] = path.join(folder(), 'cache');
  process.env['TORCH_HOME'] = path.join(folder(), 'torch');
  delete process.env['LIBTORCH_DENSENET_HUB'];
});
afterEach(() => Object.assign(process.env, before));

async function put(place: string, content: Buffer): Promise<string> {
  await mkdir(place, { recursive: true });
  await writeFile(path.join(place, name), content);
  return path.join(place, name);
}

const expectOwn = async (found: string) => {
  expect(found).toBe(path.join(own(), name));
  expect((await readFile(found)).equals(body)).toBe(true);
  expect(await readdir(own())).toEqual([name]);
};

test('what torch’s own hub has is taken from there, and nothing is downloaded', async () => {
  const place = await put(torchs(), body);
  await using server = await serve(whole(body));
  expect(await findFile(name, { mirror: server.url })).toBe(place);
  expect(server.requests).toEqual([]);
});

test('what was downloaded before is taken from our cache', async () => {
  await using server = await serve(whole(body));
  await expectOwn(await findFile(name, { mirror: server.url }));
  await expectOwn(await findFile(name, { mirror: server.url }));
  await expectOwn(await findFile(name, { offline: true }));
  expect(server.requests.map(({ url }) => url)).toEqual([`/${name}`]);
});

test('a damaged file in torch’s hub is passed over and left as it is', async () => {
  const place = await put(torchs(), Buffer.from('damaged'));
  await using server = await serve(whole(body));
  await expectOwn(await findFile(name, { mirror: `${server.url}/models` }));
  expect(server.requests.map(({ url }) => url)).toEqual([`/models/${name}`]);
  expect(await readFile(place, 'utf8')).toBe('damaged');
});

test('a damaged file in our cache is downloaded anew', async () => {
  await put(own(), Buffer.from('damaged'));
  await using server = await serve(whole(body));
  await expectOwn(await findFile(name, { mirror: server.url }));
});

test('progress is told in bytes', async () => {
  await using server = await serve(whole(body));
  const told: [number, number | undefined][] = [];
  await findFile(name, { mirror: server.url, onProgress: (done, total) => told.push([done, total]) });
  expect(told.at(-1)).toEqual([body.length, body.length]);
});

test('a connection that is cut is taken up where it broke', async () => {
  await using server = await serve(begin(body, 1000, folder(), { end: true }), ranged(body));
  await expectOwn(await findFile(name, { mirror: server.url }));
  expect(server.requests.map(({ headers }) => headers.range)).toEqual([undefined, 'bytes=1000-']);
});

test('a file of another content is refused with both hashes, and nothing is kept', async () => {
  const wrong = Buffer.from('something else');
  await using server = await serve(whole(wrong));
  await expect(findFile(name, { mirror: server.url })).rejects.toMatchObject({
    name: 'DenseNetError',
    code: 'ERR_DOWNLOAD',
    message: expect.stringContaining(sha256(wrong)) as unknown,
  });
  expect(await readdir(own())).toEqual([]);
});

test('404 fails at once, with the address', async () => {
  await using server = await serve(status(404));
  await expect(findFile(name, { mirror: server.url })).rejects.toMatchObject({
    code: 'ERR_DOWNLOAD',
    message: expect.stringContaining(`${server.url}/${name}: the server answered 404`) as unknown,
  });
  expect(server.requests).toHaveLength(1);
});

test('a signal ends the download with its reason, and the next call goes on from there', async () => {
  const control = new AbortController();
  const reason = new Error('no time');
  const beginning = begin(body, 5000, folder(), { end: false });
  await using slow = await serve(async (request, response) => {
    await beginning(request, response);
    control.abort(reason);
  });
  const finding = findFile(name, { mirror: slow.url, signal: control.signal });
  await expect(finding).rejects.toBe(reason);
  await using server = await serve(ranged(body));
  await expectOwn(await findFile(name, { mirror: server.url }));
  expect(server.requests[0]?.headers.range).toBe('bytes=5000-');
});

test('two calls at once both get the file', async () => {
  await using server = await serve(whole(body));
  const found = await Promise.all([findFile(name, { mirror: server.url }), findFile(name, { mirror: server.url })]);
  await expectOwn(found[0]);
  expect(found[1]).toBe(found[0]);
});

test('offline never touches the network, and says where it looked', async () => {
  await using server = await serve(whole(body));
  const error = await findFile(name, { mirror: server.url, offline: true }).catch((caught: unknown) => caught as Error);
  expect(error).toMatchObject({ code: 'ERR_DOWNLOAD' });
  for (const place of [torchs(), own()]) expect((error as Error).message).toContain(path.join(place, name));
  expect(server.requests).toEqual([]);
});

test('the environment can name a mirror', async () => {
  await using server = await serve(whole(body));
  process.env['LIBTORCH_DENSENET_HUB'] = `${server.url}/mirror/`;
  await expectOwn(await findFile(name));
  expect(server.requests.map(({ url }) => url)).toEqual([`/mirror/${name}`]);
});

test.each([
  [{ mirror: 'ftp://example.invalid' }, /mirror must be an http or https address/],
  [{ mirror: 'nowhere' }, /mirror/],
  [{ offline: 'yes' as unknown as boolean }, /offline must be true or false/],
  [{ offlin: true }, /Did you mean "offline"/],
])('%j is refused', async (options, message) => {
  await expect(findFile(name, options as PretrainedOptions)).rejects.toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
    message: expect.stringMatching(message) as unknown,
  });
});

test('a variant without pretrained weights is refused with the nearest that has some', async () => {
  await expect(findPretrained('densenet120' as PretrainedName)).rejects.toMatchObject({
    code: 'ERR_UNKNOWN_VARIANT',
    message: expect.stringContaining('"densenet121"') as unknown,
  });
});
