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
const { claimPart, keepPart } = require('./part');

/** Bytes that a file may have where its caller knows no limit of its own: a server must not fill the disk. */
const MOST_BYTES = 8_000_000_000;

/**
 * @typedef {object} DownloadOptions
 * @property {string} url
 * @property {string} file Where the file goes, once it is whole and right.
 * @property {string} [kept] Where an unfinished download lies between two calls; default `FILE.part`.
 * @property {string} [sha256] Of the whole file, in hexadecimal; or how it begins, where no more is known. Where nothing is
 *   known at all, whoever reads the file must notice that it is another one.
 * @property {AbortSignal} [signal] Ends the download; what has arrived is kept.
 * @property {NodeJS.ProcessEnv} [env] For HTTPS_PROXY, HTTP_PROXY and NO_PROXY; default `process.env`.
 * @property {(done: number, total: number | undefined) => void} [progress] Bytes.
 * @property {number} [stallMs] A connection that is silent for so long is given up; default 30 s.
 * @property {number} [tries] Connections before the download fails; default 5.
 * @property {number} [limit] Bytes that the file may have; default {@link MOST_BYTES}.
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
 * Fetches a file. What has arrived is kept, so that a later call goes on from there.
 *
 * @param {DownloadOptions} options
 * @returns {Promise<void>}
 */
async function download(options) {
  const { url, file, sha256, kept = `${file}.part` } = options;
  if (sha256 !== undefined && !/^[0-9a-f]{8,64}$/.test(sha256))
    throw new Error(`${sha256} is no SHA-256, nor the beginning of one`);
  const part = await claimPart(kept);
  try {
    const resumed = await receiveAll(options, part);
    let found = sha256 === undefined ? '' : await hashOf(part);
    if (sha256 !== undefined && !found.startsWith(sha256) && resumed) {
      // What lay here may have been of another file: once more, from the start.
      await rm(part);
      await receiveAll(options, part);
      found = await hashOf(part);
    }
    if (sha256 !== undefined && !found.startsWith(sha256)) {
      await rm(part);
      throw downloadError(
        `${url} is not the file that was expected: its SHA-256 is ${found}, and it must ` +
          `${sha256.length < 64 ? 'begin with' : 'be'} ${sha256}. It was deleted. ` +
          'Try again; if it stays so, something between here and there changes downloads.',
      );
    }
    await rename(part, file);
  } catch (error) {
    await keepPart(part, kept);
    throw error;
  }
}

/**
 * Connects until the file is whole.
 *
 * @param {DownloadOptions} options
 * @param {string} part
 * @returns {Promise<boolean>} Whether it went on from what was there before.
 */
async function receiveAll(options, part) {
  const { url, signal, tries = 5, backoffMs = 1000 } = options;
  const resumed = (await sizeOf(part)) > 0;
  for (let attempt = 1; ; attempt += 1) {
    try {
      await receive(options, part);
      return resumed;
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      const fault = /** @type {Error & { final?: boolean, code?: string }} */ (error);
      if (fault.code === 'ENOSPC')
        throw downloadError(`the disk is full (${fault.message}). Make room and run it again to go on from here.`, {
          cause: error,
        });
      if (fault.final) throw downloadError(`${url}: ${fault.message}`, { cause: error });
      if (attempt === tries)
        throw downloadError(`${url}: ${fault.message}. ${tries} of ${tries} tries; run it again to go on from here.`, {
          cause: error,
        });
      await sleep(backoffMs * 2 ** (attempt - 1), undefined, { signal });
    }
  }
}

/**
 * @param {string} file
 * @returns {Promise<number>} Its bytes; 0 when it is not there.
 */
function sizeOf(file) {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

/**
 * One connection: appends to `part` what it lacks.
 *
 * @param {DownloadOptions} options
 * @param {string} part
 */
async function receive(options, part) {
  const { url, env = process.env, progress, signal, stallMs = 30_000, limit = MOST_BYTES } = options;
  signal?.throwIfAborted();
  const have = await sizeOf(part);
  const response = await request(new URL(url), { start: have, env, stallMs });
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
  const excess = async () => {
    await rm(part, { force: true }); // or the next call would go on from it
    return downloadError(`the server sends more than the ${limit} bytes that the file may have`, { final: true });
  };
  if (total !== undefined && total > limit) {
    response.destroy();
    throw await excess();
  }
  const meter = new Transform({
    transform(chunk, _, callback) {
      done += chunk.length;
      if (done > limit) return callback(new Error('too long'));
      progress?.(done, total);
      return callback(null, chunk);
    },
  });
  await pipeline(response, meter, createWriteStream(part, { flags: start > 0 ? 'a' : 'w', flush: true }), {
    ...(signal && { signal }),
  }).catch(async (error) => {
    throw done > limit ? await excess() : error;
  });
  if (total !== undefined && done !== total) throw downloadError(`the connection ended at ${done} of ${total} bytes`);
}

/**
 * The response to a request, behind redirects and a proxy.
 *
 * @param {URL} url
 * @param {{ start: number, env: NodeJS.ProcessEnv, stallMs: number, method?: string }} options `start`: the first byte
 *   that is wanted.
 * @param {number} [redirects]
 * @returns {Promise<http.IncomingMessage>}
 */
async function request(url, options, redirects = 0) {
  const { start, env, stallMs, method = 'GET' } = options;
  const headers = { 'user-agent': 'libtorch-densenet', ...(start > 0 ? { range: `bytes=${start}-` } : {}) };
  const route = await connect(url, env, stallMs);
  const response = await new Promise(
    /** @param {(response: http.IncomingMessage) => void} resolve */ (resolve, reject) => {
      const client = route.secure ? https : http;
      /** @type {http.IncomingMessage | undefined} */
      let answer;
      const call = client.request({ ...route.options, method, headers: { ...headers, ...route.headers } }, (found) => {
        answer = found;
        resolve(found);
      });
      // Once there is an answer, its reader hears of a fault by the answer and not by the call.
      call.setTimeout(stallMs, () =>
        (answer ?? call).destroy(downloadError(`the server was silent for ${stallMs / 1000} s`)),
      );
      call.on('error', reject);
      call.end();
    },
  );
  const location = response.headers.location;
  if (![301, 302, 303, 307, 308].includes(response.statusCode ?? 0) || !location) return response;
  response.resume();
  if (redirects === 10) throw downloadError('the server redirects without end', { final: true });
  const next = new URL(location, url);
  if (url.protocol === 'https:' && next.protocol !== 'https:')
    throw downloadError(`the server redirects from https to ${next.protocol}`, { final: true });
  return request(next, options, redirects + 1);
}

/**
 * Asks a server how long a file is.
 *
 * @param {string} url
 * @param {{ env?: NodeJS.ProcessEnv, stallMs?: number }} [options] See DownloadOptions.
 * @returns {Promise<number | undefined>} Bytes; nothing where the server cannot be reached or does not say.
 */
async function lengthOf(url, { env = process.env, stallMs = 10_000 } = {}) {
  try {
    const response = await request(new URL(url), { start: 0, env, stallMs, method: 'HEAD' });
    response.resume();
    const length = Number(response.headers['content-length']);
    return response.statusCode === 200 && length > 0 ? length : undefined;
  } catch {
    return undefined;
  }
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
  const target = {
    hostname: bare(url.hostname),
    port: url.port || (secure ? 443 : 80),
    path: url.pathname + url.search,
  };
  const proxy = proxyFor(url, env);
  if (!proxy) return { secure, options: target, headers: {} };
  /** @type {Record<string, string>} */
  const credentials = proxy.username
    ? {
        'proxy-authorization': `Basic ${Buffer.from(`${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`).toString('base64')}`,
      }
    : {};
  const door = { hostname: bare(proxy.hostname), port: proxy.port || 80 };
  if (!secure) return { secure, options: { ...door, path: url.href }, headers: { ...credentials, host: url.host } };
  const socket = await tunnel(door, `${target.hostname}:${target.port}`, credentials, stallMs);
  return {
    secure,
    // No `agent`: one, even a new one, would open a connection of its own, past the tunnel.
    options: { ...target, createConnection: () => tls.connect({ socket, servername: url.hostname }) },
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
      else {
        socket.destroy(); // the proxy may keep it open, and with it this process
        reject(downloadError(`the proxy answered ${statusCode}`, { final: statusCode === 407 }));
      }
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
  if (!value) return undefined;
  return new URL(/^\w+:\/\//.test(value) ? value : `http://${value}`); // as curl takes it
}

/**
 * @param {string} hostname Of a URL, where an IPv6 address stands in brackets.
 * @returns {string} As the system takes it.
 */
function bare(hostname) {
  return hostname.replace(/^\[(.*)\]$/, '$1');
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

module.exports = { download, downloadError, hashOf, lengthOf };
