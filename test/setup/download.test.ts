import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { download, type DownloadOptions } from '../../lib/runtime/download';
import { rejection, temporaryFolder } from './fakes';
import { begin, ranged, serve, sha256, silence, status, whole, type RunningServer } from './server';

const folder = temporaryFolder();
const file = () => path.join(folder(), 'archive.zip');
const part = () => `${file()}.part`;

/** Bytes that tell by their values where they belong; more than one chunk of a socket. */
const body = Buffer.from(Uint8Array.from({ length: 200_000 }, (_, place) => (place * 31 + (place >> 8)) % 251));
const half = body.length / 2;

const fetchFrom = (url: string, options: Partial<DownloadOptions> = {}) =>
  download({ url, file: file(), sha256: sha256(body), env: {}, backoffMs: 1, ...options });
const ranges = ({ requests }: RunningServer) => requests.map(({ headers }) => headers.range);

/** The file is whole, and alone in its folder. */
async function expectWhole(): Promise<void> {
  expect(await readdir(folder())).toEqual(['archive.zip']);
  expect((await readFile(file())).equals(body)).toBe(true);
}

test('a file comes whole, and progress is told up to its end', async () => {
  await using server = await serve(whole(body));
  const told: [number, number | undefined][] = [];
  await fetchFrom(`${server.url}/archive.zip?mirror=1`, { progress: (done, total) => told.push([done, total]) });
  await expectWhole();
  expect(server.requests.map(({ method, url }) => [method, url])).toEqual([['GET', '/archive.zip?mirror=1']]);
  expect(ranges(server)).toEqual([undefined]);
  expect(told.at(-1)).toEqual([body.length, body.length]);
  expect(told.map(([done]) => done)).toEqual(told.map(([done]) => done).sort((a, b) => a - b));
});

test('a file comes whole from a server that does not tell its length', async () => {
  await using server = await serve((_, response) => {
    response.write(body);
    response.end();
  });
  const totals = new Set<number | undefined>();
  await fetchFrom(server.url, { progress: (_, total) => totals.add(total) });
  await expectWhole();
  expect([...totals]).toEqual([undefined]);
});

describe('a connection that breaks in the middle', () => {
  it('is taken up where it broke', async () => {
    await using server = await serve(begin(body, half, folder(), { end: true }), ranged(body));
    const told: [number, number | undefined][] = [];
    await fetchFrom(server.url, { progress: (done, total) => told.push([done, total]) });
    await expectWhole();
    expect(ranges(server)).toEqual([undefined, `bytes=${half}-`]);
    // The whole file's length, not that of what was lacking.
    expect(new Set(told.map(([, total]) => total))).toEqual(new Set([body.length]));
    expect(told.map(([done]) => done)).toEqual(told.map(([done]) => done).sort((a, b) => a - b));
  });

  it('is begun anew by a server that ignores Range', async () => {
    await using server = await serve(begin(body, half, folder(), { end: true }), whole(body));
    await fetchFrom(server.url);
    await expectWhole();
    expect(ranges(server)).toEqual([undefined, `bytes=${half}-`]);
  });

  it('is kept when the tries are used up, and a later call goes on from there', async () => {
    await using server = await serve(begin(body, half, folder(), { end: true }), ranged(body));
    const error = await rejection(fetchFrom(server.url, { tries: 1 }));
    expect(error.code).toBe('ERR_DENSENET_DOWNLOAD');
    expect(error.message).toContain(server.url);
    expect(error.message).toMatch(/1 of 1 tries; run it again to go on from here/);
    expect(await readdir(folder())).toEqual(['archive.zip.part']);
    await fetchFrom(server.url);
    await expectWhole();
    expect(ranges(server)).toEqual([undefined, `bytes=${half}-`]);
  });
});

describe('a server that is silent', () => {
  it('before it answers is given up, as often as there are tries', async () => {
    await using server = await serve(silence);
    const error = await rejection(fetchFrom(server.url, { stallMs: 100, tries: 2 }));
    expect(error.message).toContain('the server was silent for 0.1 s');
    expect(error.message).toContain('2 of 2 tries');
    expect(server.requests).toHaveLength(2);
  });

  it('in the middle is given up with the same words', async () => {
    await using server = await serve(begin(body, half, folder(), { end: false }));
    const error = await rejection(fetchFrom(server.url, { stallMs: 200, tries: 1 }));
    expect(error.message).toContain('the server was silent for 0.2 s');
  });

  it('in the middle is asked again for the rest', async () => {
    await using server = await serve(begin(body, half, folder(), { end: false }), ranged(body));
    await fetchFrom(server.url, { stallMs: 200 });
    await expectWhole();
    expect(ranges(server).slice(0, 2)).toEqual([undefined, `bytes=${half}-`]);
  });
});

describe('an answer that is no file', () => {
  it.each([400, 401, 403, 404, 410])('%d fails at once', async (code) => {
    await using server = await serve(status(code));
    const error = await rejection(fetchFrom(`${server.url}/gone.zip`));
    expect(error.message).toContain(`${server.url}/gone.zip: the server answered ${code}`);
    expect(error.code).toBe('ERR_DENSENET_DOWNLOAD');
    expect(server.requests).toHaveLength(1);
    expect(await readdir(folder())).toEqual([]);
  });

  it.each([429, 500, 502, 503])('%d is asked again', async (code) => {
    await using server = await serve(status(code), status(code), whole(body));
    await fetchFrom(server.url);
    await expectWhole();
    expect(server.requests).toHaveLength(3);
  });

  it('500 for ever fails after the last try', async () => {
    await using server = await serve(status(500));
    const error = await rejection(fetchFrom(server.url, { tries: 4 }));
    expect(error.message).toContain('the server answered 500. 4 of 4 tries');
    expect(server.requests).toHaveLength(4);
  });
});

test('a server that is not there fails with what the system said', async () => {
  const server = await serve(silence);
  await server[Symbol.asyncDispose]();
  const error = await rejection(fetchFrom(server.url, { tries: 2 }));
  expect(error.message).toMatch(/ECONNREFUSED.*2 of 2 tries/);
  expect(error.code).toBe('ERR_DENSENET_DOWNLOAD');
});

describe('a file that is not the one expected', () => {
  const wrong = Buffer.from(body).fill(0, half, half + 1);

  it('is deleted, and the error says both hashes', async () => {
    await using server = await serve(whole(wrong));
    const error = await rejection(fetchFrom(server.url));
    expect(error.code).toBe('ERR_DENSENET_DOWNLOAD');
    expect(error.message).toContain(sha256(wrong));
    expect(error.message).toContain(sha256(body));
    expect(await readdir(folder())).toEqual([]);
  });

  it('leaves what stood in its place', async () => {
    await writeFile(file(), 'the old one');
    await using server = await serve(whole(wrong));
    await rejection(fetchFrom(server.url));
    expect(await readFile(file(), 'utf8')).toBe('the old one');
  });

  it('because what was kept does not belong to it is fetched anew', async () => {
    await writeFile(part(), wrong.subarray(0, half + 1));
    await using server = await serve(ranged(body));
    await fetchFrom(server.url);
    await expectWhole();
    expect(ranges(server)).toEqual([`bytes=${half + 1}-`, undefined]);
  });
});

describe('where all bytes were kept already (416)', () => {
  it('the file is taken', async () => {
    await writeFile(part(), body);
    await using server = await serve(ranged(body));
    await fetchFrom(server.url);
    await expectWhole();
    expect(ranges(server)).toEqual([`bytes=${body.length}-`]);
  });

  it('a file that is too long is fetched anew', async () => {
    await writeFile(part(), Buffer.concat([body, body]));
    await using server = await serve(ranged(body));
    await fetchFrom(server.url);
    await expectWhole();
    expect(ranges(server)).toEqual([`bytes=${2 * body.length}-`, undefined]);
  });

  it('what a process left that died in the middle is gone on from, and what a living one writes is left alone', async () => {
    await writeFile(`${part()}.999999999-0`, body.subarray(0, half));
    await writeFile(`${part()}.${process.ppid}-0`, 'busy');
    await using server = await serve(ranged(body));
    await fetchFrom(server.url);
    expect(ranges(server)).toEqual([`bytes=${half}-`]);
    expect((await readdir(folder())).sort()).toEqual(['archive.zip', `archive.zip.part.${process.ppid}-0`]);
  });
});

describe('a redirect', () => {
  it.each([301, 302, 303, 307, 308])('%d is followed, to another server too', async (code) => {
    await using mirror = await serve(whole(body));
    await using server = await serve(status(code, { location: `${mirror.url}/there.zip` }));
    await fetchFrom(`${server.url}/here.zip`);
    await expectWhole();
    expect(mirror.requests.map(({ url }) => url)).toEqual(['/there.zip']);
  });

  it('may be relative', async () => {
    await using server = await serve(status(302, { location: '../there.zip' }), whole(body));
    await fetchFrom(`${server.url}/a/b/here.zip`);
    expect(server.requests.map(({ url }) => url)).toEqual(['/a/b/here.zip', '/a/there.zip']);
  });

  it('carries on what is asked for of the file', async () => {
    await writeFile(part(), body.subarray(0, half));
    await using mirror = await serve(ranged(body));
    await using server = await serve(status(302, { location: mirror.url }));
    await fetchFrom(server.url);
    await expectWhole();
    expect(ranges(mirror)).toEqual([`bytes=${half}-`]);
  });

  it('without end fails at once', async () => {
    await using server = await serve((request, response) => {
      const round = Number(request.url?.slice(1));
      response.writeHead(302, { location: `/${round + 1}` }).end();
    });
    const error = await rejection(fetchFrom(`${server.url}/0`));
    expect(error.message).toContain('the server redirects without end');
    expect(server.requests.map(({ url }) => url)).toEqual(Array.from({ length: 11 }, (_, round) => `/${round}`));
  });

  it('to nowhere is an answer that is no file', async () => {
    await using server = await serve(status(302));
    expect((await rejection(fetchFrom(server.url, { tries: 1 }))).message).toContain('the server answered 302');
  });
});

describe('a file that is longer than it may be', () => {
  const limit = body.length - 1;
  const message = `the server sends more than the ${limit} bytes that the file may have`;

  it('is refused by the length that the server tells, and nothing is kept', async () => {
    await using server = await serve(whole(body));
    expect((await rejection(fetchFrom(server.url, { limit }))).message).toContain(message);
    expect(server.requests).toHaveLength(1);
    expect(await readdir(folder())).toEqual([]);
  });

  it('is refused when it passes the limit, where the server tells no length', async () => {
    await using server = await serve((_, response) => {
      response.write(body);
      response.end();
    });
    expect((await rejection(fetchFrom(server.url, { limit }))).message).toContain(message);
    expect(await readdir(folder())).toEqual([]);
  });

  it('of exactly that length is taken', async () => {
    await using server = await serve(whole(body));
    await fetchFrom(server.url, { limit: body.length });
    await expectWhole();
  });
});
