'use strict';

/** Downloads one large file: resumed when the connection breaks, given up when it stalls, checked by its SHA-256. */

const { createHash } = require('node:crypto');
const { createReadStream, createWriteStream } = require('node:fs');
const { rename, rm, stat } = require('node:fs/promises');
const http = require('node:http');
const https = require('node:https');
const { Transform } = require('node:stream');
const { pipeline } = require('node:stream/promises');
const { setTimeout: sleep } = require('node:timers/promises');
const tls = require('node:tls');

/**
 * @typedef {object} DownloadOptions
 * @property {string} url
 * @property {string} file Where the file goes, once it is whole and right.
 * @property {string} sha256 Of the whole file, in hexadecimal.
 * @property {NodeJS.ProcessEnv} [env] For HTTPS_PROXY, HTTP_PROXY and NO_PROXY; default `process.env`.
 * @property {(done: number, total: number | undefined) => void} [progress] Bytes.
 * @property {number} [stallMs] A connection that is silent for so long is given up; default 30 s.
 * @property {number} [tries] Connections before the download fails; default 5.
 * @property {number} [backoffMs] Wait before the second connection, doubled each time; default 1 s.
 */

/**
 * An error that `toDenseNetError` turns into ERR_DOWNLOAD.
 *
 * @param {string} message
 * @param {{ final?: boolean, cause?: unknown }} [options] `final`: another try would end the same way.
 */
function downloadError(message, { final = false, cause } = {}) {
  return Object.assign(new Error(message, { cause }), { code: 'ERR_DENSENET_DOWNLOAD', final });
}

/**
 * Fetches a file. What has arrived is kept in `FILE.part`, so that a later call goes on from there.
 *
 * @param {DownloadOptions} options
 * @returns {Promise<void>}
 */
async function download(options) {
  const { url, file, sha256, tries = 5, backoffMs = 1000 } = options;
  const part = `${file}.part`;
  for (let attempt = 1; ; attempt += 1) {
    try {
      await receive(options, part);
      break;
    } catch (error) {
      const fault = /** @type {Error & { final?: boolean }} */ (error);
      if (fault.final || attempt === tries)
        throw downloadError(
          `${url}: ${fault.message}. ${attempt} of ${tries} tries; run it again to go on from here.`,
          {
            cause: error,
          },
        );
      await sleep(backoffMs * 2 ** (attempt - 1));
    }
  }
  const found = await hashOf(part);
  if (found !== sha256) {
    await rm(part, { force: true });
    throw downloadError(
      `${url} is not the file that was expected: its SHA-256 is ${found}, and it must be ${sha256}. It was deleted. ` +
        'Try again; if it stays so, something between here and there changes downloads.',
    );
  }
  await rename(part, file);
}

/**
 * One connection: appends to `part` what it lacks.
 *
 * @param {DownloadOptions} options
 * @param {string} part
 */
async function receive({ url, env = process.env, progress, stallMs = 30_000 }, part) {
  const have = await stat(part).then(
    ({ size }) => size,
    () => 0,
  );
  const response = await request(new URL(url), have, env, stallMs);
  const status = response.statusCode ?? 0;
  if (status === 416) {
    // The server has nothing beyond what is here; the hash decides whether that is the whole file.
    response.resume();
    return;
  }
  if (status !== 200 && status !== 206) {
    response.resume();
    throw downloadError(`the server answered ${status}`, { final: status >= 400 && status < 500 && status !== 429 });
  }
  const start = status === 206 ? have : 0; // a server that ignores Range sends all of it again
  const length = Number(response.headers['content-length']);
  const total = Number.isFinite(length) ? start + length : undefined;
  let done = start;
  const meter = new Transform({
    transform(chunk, _, callback) {
      done += chunk.length;
      progress?.(done, total);
      callback(null, chunk);
    },
  });
  await pipeline(response, meter, createWriteStream(part, { flags: start > 0 ? 'a' : 'w' }));
  if (total !== undefined && done !== total) throw downloadError(`the connection ended at ${done} of ${total} bytes`);
}

/**
 * The response to a GET, behind redirects and a proxy.
 *
 * @param {URL} url
 * @param {number} start First byte that is wanted.
 * @param {NodeJS.ProcessEnv} env
 * @param {number} stallMs
 * @param {number} [redirects]
 * @returns {Promise<http.IncomingMessage>}
 */
async function request(url, start, env, stallMs, redirects = 0) {
  const headers = { 'user-agent': 'libtorch-densenet', ...(start > 0 ? { range: `bytes=${start}-` } : {}) };
  const route = await connect(url, env, stallMs);
  const response = await new Promise(
    /** @param {(response: http.IncomingMessage) => void} resolve */ (resolve, reject) => {
      const client = route.secure ? https : http;
      const call = client.get({ ...route.options, headers: { ...headers, ...route.headers } }, resolve);
      call.setTimeout(stallMs, () => call.destroy(downloadError(`the server was silent for ${stallMs / 1000} s`)));
      call.on('error', reject);
    },
  );
  const location = response.headers.location;
  if (![301, 302, 303, 307, 308].includes(response.statusCode ?? 0) || !location) return response;
  response.resume();
  if (redirects === 10) throw downloadError('the server redirects without end', { final: true });
  const next = new URL(location, url);
  if (url.protocol === 'https:' && next.protocol !== 'https:')
    throw downloadError(`the server redirects from https to ${next.protocol}`, { final: true });
  return request(next, start, env, stallMs, redirects + 1);
}

/**
 * How to reach a server: directly, through an HTTP proxy, or through a tunnel of one for https.
 *
 * @param {URL} url
 * @param {NodeJS.ProcessEnv} env
 * @param {number} stallMs
 * @returns {Promise<{ secure: boolean, options: https.RequestOptions, headers: Record<string, string> }>}
 */
async function connect(url, env, stallMs) {
  const secure = url.protocol === 'https:';
  const target = { hostname: url.hostname, port: url.port || (secure ? 443 : 80), path: url.pathname + url.search };
  const proxy = proxyFor(url, env);
  if (!proxy) return { secure, options: target, headers: {} };
  /** @type {Record<string, string>} */
  const credentials = proxy.username
    ? {
        'proxy-authorization': `Basic ${Buffer.from(`${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`).toString('base64')}`,
      }
    : {};
  const door = { hostname: proxy.hostname, port: proxy.port || 80 };
  if (!secure) return { secure, options: { ...door, path: url.href }, headers: { ...credentials, host: url.host } };
  const socket = await tunnel(door, `${target.hostname}:${target.port}`, credentials, stallMs);
  return {
    secure,
    options: { ...target, agent: false, createConnection: () => tls.connect({ socket, servername: url.hostname }) },
    headers: {},
  };
}

/**
 * @param {{ hostname: string, port: string | number }} door
 * @param {string} authority
 * @param {Record<string, string>} headers
 * @param {number} stallMs
 * @returns {Promise<import('node:net').Socket>}
 */
function tunnel(door, authority, headers, stallMs) {
  return new Promise((resolve, reject) => {
    const call = http.request({ ...door, method: 'CONNECT', path: authority, headers });
    call.setTimeout(stallMs, () => call.destroy(downloadError('the proxy is silent')));
    call.on('connect', ({ statusCode }, socket) => {
      if (statusCode === 200) resolve(socket);
      else reject(downloadError(`the proxy answered ${statusCode}`, { final: statusCode === 407 }));
    });
    call.on('error', reject);
    call.end();
  });
}

/**
 * @param {URL} url
 * @param {NodeJS.ProcessEnv} env
 * @returns {URL | undefined}
 */
function proxyFor(url, env) {
  const skip = (env['NO_PROXY'] ?? env['no_proxy'] ?? '').split(',').map((name) => name.trim().replace(/^\./, ''));
  if (skip.some((name) => name === '*' || (name && (url.hostname === name || url.hostname.endsWith(`.${name}`)))))
    return undefined;
  const name = url.protocol === 'https:' ? 'https_proxy' : 'http_proxy';
  const value = env[name.toUpperCase()] ?? env[name];
  return value ? new URL(value) : undefined;
}

/**
 * @param {string} file
 * @returns {Promise<string>} SHA-256 in hexadecimal.
 */
async function hashOf(file) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

module.exports = { download, downloadError, hashOf };
