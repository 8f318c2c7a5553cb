import dns, { type LookupAddress, type LookupAllOptions } from 'node:dns';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { download, type DownloadOptions } from '../../lib/runtime/download';
import { root, runNode } from '../child';
import { certificate } from './certificate';
import { put, rejection, temporaryFolder } from './fakes';
import { serve, serveSecurely, serveTunnels, sha256, status, until, whole } from './server';

const folder = temporaryFolder();
const file = () => path.join(folder(), 'archive.zip');
const body = Buffer.from('the whole archive'.repeat(1000));

const fetchFrom = (url: string, env: NodeJS.ProcessEnv, options: Partial<DownloadOptions> = {}) =>
  download({ url, file: file(), sha256: sha256(body), env, backoffMs: 1, tries: 2, ...options });
const expectWhole = async () => expect((await readFile(file())).equals(body)).toBe(true);

describe('an HTTP proxy', () => {
  it.each(['HTTP_PROXY', 'http_proxy'])('of %s is asked for the whole address', async (name) => {
    await using proxy = await serve(whole(body));
    await fetchFrom('http://archive.invalid:8080/lib.zip?v=2', { [name]: `${proxy.url}/` });
    await expectWhole();
    expect(proxy.requests).toHaveLength(1);
    expect(proxy.requests[0]).toMatchObject({
      method: 'GET',
      url: 'http://archive.invalid:8080/lib.zip?v=2',
      headers: { host: 'archive.invalid:8080' },
    });
    expect(proxy.requests[0]?.headers).not.toHaveProperty('proxy-authorization');
  });

  it('gets the credentials of its address, decoded', async () => {
    await using proxy = await serve(whole(body));
    await fetchFrom('http://archive.invalid/lib.zip', { HTTP_PROXY: `http://me:p%40ss%3A1@127.0.0.1:${proxy.port}` });
    expect(proxy.requests[0]?.headers['proxy-authorization']).toBe(
      `Basic ${Buffer.from('me:p@ss:1').toString('base64')}`,
    );
  });

  it('may be written without http://, as curl takes it', async () => {
    await using proxy = await serve(whole(body));
    await fetchFrom('http://archive.invalid/lib.zip', { HTTP_PROXY: `127.0.0.1:${proxy.port}` });
    await expectWhole();
    expect(proxy.requests).toHaveLength(1);
  });

  it('serves redirects too', async () => {
    await using proxy = await serve(status(302, { location: 'http://mirror.invalid/lib.zip' }), whole(body));
    await fetchFrom('http://archive.invalid/lib.zip', { HTTP_PROXY: proxy.url });
    expect(proxy.requests.map(({ url }) => url)).toEqual([
      'http://archive.invalid/lib.zip',
      'http://mirror.invalid/lib.zip',
    ]);
  });

  it('for https only is not asked for http', async () => {
    await using server = await serve(whole(body));
    await using proxy = await serveTunnels({});
    await fetchFrom(server.url, { HTTPS_PROXY: proxy.url });
    await expectWhole();
    expect(proxy.requests).toEqual([]);
  });
});

describe('NO_PROXY', () => {
  /** A download from a name that is this machine's, so that what goes past the proxy arrives too. */
  function fetchByName(port: number, env: NodeJS.ProcessEnv): Promise<void> {
    const lookup = (_: string, _options: LookupAllOptions, callback: (error: null, found: LookupAddress[]) => void) =>
      callback(null, [{ address: '127.0.0.1', family: 4 }]);
    jest.spyOn(dns, 'lookup').mockImplementation(lookup as unknown as typeof dns.lookup);
    return fetchFrom(`http://archive.invalid:${port}/`, env);
  }
  afterEach(() => jest.restoreAllMocks());

  it.each([
    ['the host', 'archive.invalid'],
    ['the host among others', 'other.invalid, archive.invalid'],
    ['a domain above it', 'invalid'],
    ['a domain above it, with a dot', '.invalid'],
    ['everything', '*'],
  ])('goes past the proxy where it names %s', async (_, names) => {
    await using server = await serve(whole(body));
    await using proxy = await serve(status(403));
    await fetchByName(server.port, { HTTP_PROXY: proxy.url, NO_PROXY: names });
    await expectWhole();
    expect(proxy.requests).toEqual([]);
  });

  it.each([
    ['nothing', ''],
    ['another host', 'other.invalid'],
    ['a name that the host only ends with', 'chive.invalid'],
    ['a host below it', 'my.archive.invalid'],
  ])('changes nothing where it names %s', async (_, names) => {
    await using server = await serve(status(403));
    await using proxy = await serve(whole(body));
    await fetchByName(server.port, { HTTP_PROXY: proxy.url, NO_PROXY: names });
    await expectWhole();
    expect(server.requests).toEqual([]);
  });
});

describe('https', () => {
  /** A download in a process of its own, since that trusts the certificate of the tests by a variable of its own. */
  async function fetchSecurely(url: string, env: NodeJS.ProcessEnv): Promise<string> {
    const options: DownloadOptions = { url, file: file(), sha256: sha256(body), backoffMs: 1, tries: 2, stallMs: 5000 };
    const { stdout } = await runNode(
      [
        '-e',
        `require(${JSON.stringify(path.join(root, 'lib/runtime/download.js'))}).download(${JSON.stringify(options)})
          .then(() => console.log('fetched'), (error) => console.log(error.message)).finally(() => process.exit());`,
      ],
      {
        env: {
          ...{ HTTP_PROXY: undefined, http_proxy: undefined, https_proxy: undefined, NO_PROXY: '', no_proxy: '' },
          NODE_EXTRA_CA_CERTS: await put(path.join(folder(), 'certificate.pem'), certificate),
          ...env,
        },
      },
    );
    return stdout.trim();
  }

  it('goes through a tunnel of the proxy', async () => {
    await using server = await serveSecurely(whole(body));
    await using proxy = await serveTunnels({ port: server.port });
    expect(await fetchSecurely(`${server.url}/lib.zip`, { HTTPS_PROXY: proxy.url })).toBe('fetched');
    await expectWhole();
    expect(proxy.requests.map(({ url }) => url)).toEqual([`archive.invalid:${server.port}`]);
    expect(server.requests[0]).toMatchObject({ url: '/lib.zip', headers: { host: `archive.invalid:${server.port}` } });
  });

  it('tells the proxy who it is, and the server not', async () => {
    await using server = await serveSecurely(whole(body));
    await using proxy = await serveTunnels({ port: server.port });
    const address = proxy.url.replace('http://', 'http://me:secret@');
    expect(await fetchSecurely(server.url, { HTTPS_PROXY: address })).toBe('fetched');
    expect(proxy.requests[0]?.headers['proxy-authorization']).toBe(
      `Basic ${Buffer.from('me:secret').toString('base64')}`,
    );
    expect(server.requests[0]?.headers).not.toHaveProperty('proxy-authorization');
  });

  it('is never left for http by a redirect', async () => {
    await using plain = await serve(whole(body));
    await using server = await serveSecurely(status(302, { location: plain.url }));
    await using proxy = await serveTunnels({ port: server.port });
    expect(await fetchSecurely(server.url, { HTTPS_PROXY: proxy.url })).toContain(
      'the server redirects from https to http:',
    );
    expect(server.requests).toHaveLength(1);
    expect(plain.requests).toEqual([]);
  });

  it('is refused where the certificate is not trusted', async () => {
    await using server = await serveSecurely(whole(body));
    await using proxy = await serveTunnels({ port: server.port });
    const said = await fetchSecurely(server.url, { HTTPS_PROXY: proxy.url, NODE_EXTRA_CA_CERTS: undefined });
    expect(said).toMatch(/self.signed certificate/);
    expect(server.requests).toEqual([]);
  });

  it('fails at once where the proxy wants credentials', async () => {
    await using proxy = await serveTunnels({ status: 407 });
    const error = await rejection(fetchFrom('https://archive.invalid/', { HTTPS_PROXY: proxy.url }));
    expect(error.message).toContain('the proxy answered 407');
    expect(proxy.requests).toHaveLength(1);
  });

  it('is tried again where the proxy is in trouble', async () => {
    await using proxy = await serveTunnels({ status: 502 });
    const error = await rejection(fetchFrom('https://archive.invalid/', { HTTPS_PROXY: proxy.url }));
    expect(error.message).toContain('the proxy answered 502');
    expect(proxy.requests).toHaveLength(2);
  });

  it.each([
    ['the proxy', 0, 'the proxy is silent'],
    ['the server behind it', 200, 'the server was silent for 0.2 s'],
  ])('is given up where %s is silent', async (_, status, expected) => {
    await using proxy = await serveTunnels({ status });
    const error = await rejection(fetchFrom('https://archive.invalid/', { HTTPS_PROXY: proxy.url }, { stallMs: 200 }));
    expect(error.message).toContain(`${expected}. 2 of 2 tries`);
    expect(proxy.requests).toHaveLength(2);
  });

  it('lets go of a proxy that opens no tunnel, which would keep the process from ending', async () => {
    await using proxy = await serveTunnels({ status: 407 });
    await rejection(fetchFrom('https://archive.invalid/', { HTTPS_PROXY: proxy.url }));
    await until(() => proxy.open() === 0);
    expect(proxy.open()).toBe(0);
  });
});
