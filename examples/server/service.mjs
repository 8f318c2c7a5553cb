// The HTTP side: what may come in, what is answered, and what is counted. The model is behind a batcher.

import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { URLSearchParams } from 'node:url';
import { isDenseNetError } from 'libtorch-densenet';

/** What a client may say that it sends. What it really sent is found out when it is decoded. */
const pictureTypes = ['png', 'jpeg', 'webp', 'tiff', 'gif', 'avif'].map((name) => `image/${name}`);
const acceptedTypes = [...pictureTypes, 'application/octet-stream'];

/** The status for each error that is not this server's own fault. */
const statusOfCode = {
  ERR_FILE_FORMAT: 400,
  ERR_INPUT_TOO_SMALL: 400,
  ERR_INVALID_ARGUMENT: 400,
  ERR_IMAGE_TOO_LARGE: 413,
  ERR_OVERLOADED: 503,
  ERR_DISPOSED: 503,
};

/** What is counted for a client that left before its answer; never sent. */
const CLIENT_LEFT = 499;

/** Milliseconds for which a body that is not wanted is still read, so that its sender gets to see why. */
const LINGER = 1000;

/** A request that is refused by this file. */
class Refusal extends Error {
  constructor(status, code, message, headers = {}) {
    super(message);
    Object.assign(this, { status, code, headers });
  }
}

/**
 * A server that is not listening yet.
 *
 * @param batcher What predicts.
 * @param limits `maxBody`: bytes of a picture; `maxQueue`: the batcher's own; `deadline`: milliseconds from a request's
 *   headers to its answer.
 */
export function createService(batcher, { maxBody, maxQueue, deadline }) {
  const counts = new Map();
  let [seconds, draining] = [0, false];

  const server = http.createServer(
    // What a slow or silent client may keep: a connection, for so long.
    { headersTimeout: 5000, requestTimeout: 15_000, keepAliveTimeout: 5000, connectionsCheckingInterval: 1000 },
    handle,
  );
  // A client that asks first whether it may send its body: the headers are looked at before it is told to go on.
  server.on('checkContinue', handle);
  server.maxConnections = 1000;

  async function handle(request, response) {
    const started = performance.now();
    const control = new AbortController();
    const timer = setTimeout(() => {
      control.abort(new Refusal(503, 'ERR_DEADLINE', `no answer within ${deadline} ms.`, { 'retry-after': '1' }));
    }, deadline);
    // Also after the answer was sent, when there is nothing left to end.
    response.once('close', () => control.abort(clientLeft()));
    let answer;
    try {
      answer = await route(request, response, control.signal);
    } catch (error) {
      answer = refusalOf(request.destroyed && !request.complete ? clientLeft() : error);
    } finally {
      clearTimeout(timer);
    }
    counts.set(answer.status, (counts.get(answer.status) ?? 0) + 1);
    seconds += (performance.now() - started) / 1000;
    await send(request, response, answer).catch((error) => console.error(error));
  }

  async function route(request, response, signal) {
    const [path, query] = request.url.split('?', 2);
    switch (path) {
      case '/predict':
        checkMethod(request, 'POST');
        return predict(request, response, new URLSearchParams(query), signal);
      case '/health':
        checkMethod(request, 'GET');
        return { status: draining ? 503 : 200, json: { status: draining ? 'draining' : 'ok' } };
      case '/metrics':
        checkMethod(request, 'GET');
        return { status: 200, text: metrics() };
      default:
        throw new Refusal(404, 'ERR_NOT_FOUND', 'there are /predict, /health and /metrics.');
    }
  }

  async function predict(request, response, query, signal) {
    const type = (request.headers['content-type'] ?? '').split(';', 1)[0].trim().toLowerCase();
    if (!acceptedTypes.includes(type))
      throw new Refusal(415, 'ERR_CONTENT_TYPE', `the body must be one of ${acceptedTypes.join(', ')}.`);
    if (Number(request.headers['content-length']) > maxBody) throw tooLarge();
    // The batcher would say so too, but only once the body is here.
    if (batcher.statistics.waiting >= maxQueue)
      throw new Refusal(503, 'ERR_OVERLOADED', 'too many pictures are waiting. Try again a little later.');
    if (request.headers.expect !== undefined) response.writeContinue();
    const body = await readBody(request, signal);
    if (body.length === 0) throw new Refusal(400, 'ERR_EMPTY', 'the body must be a picture; it is empty.');
    const topK = query.has('topK') ? { topK: Number(query.get('topK')) } : {};
    const [prediction] = await batcher.predict(body, { ...topK, signal });
    return { status: 200, json: { predictions: prediction.top } };
  }

  async function readBody(request, signal) {
    const chunks = [];
    let length = 0;
    // Otherwise leaving the loop would close the connection, and with it the way for the answer.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      signal.throwIfAborted();
      length += chunk.length;
      if (length > maxBody) throw tooLarge();
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, length);
  }

  function tooLarge() {
    return new Refusal(413, 'ERR_BODY_TOO_LARGE', `the body may have ${maxBody} bytes at most.`);
  }

  async function send(request, response, { status, json, text, headers = {} }) {
    if (status === CLIENT_LEFT || response.destroyed) return;
    const body = text ?? `${JSON.stringify(json)}\n`;
    const read = request.complete;
    response.writeHead(status, {
      'content-type': text === undefined ? 'application/json' : 'text/plain; version=0.0.4',
      'content-length': Buffer.byteLength(body),
      ...(status === 503 ? { 'retry-after': '1' } : {}),
      ...(draining || !read ? { connection: 'close' } : {}),
      ...headers,
    });
    response.write(body);
    if (!read) {
      const end = new Promise((resolve) => request.once('end', resolve).once('close', resolve));
      request.resume();
      await Promise.race([end, sleep(LINGER)]);
    }
    response.end();
  }

  /** In the text format of Prometheus. */
  function metrics() {
    const { waiting, running, batches, images } = batcher.statistics;
    let total = 0;
    const lines = [...counts].map(([status, count]) => {
      total += count;
      return `densenet_requests_total{status="${status}"} ${count}`;
    });
    lines.push(
      `densenet_request_seconds_sum ${seconds}`,
      `densenet_request_seconds_count ${total}`,
      `densenet_images_waiting ${waiting}`,
      `densenet_images_running ${running}`,
      `densenet_batches_total ${batches}`,
      `densenet_batch_images_total ${images}`,
    );
    return `${lines.join('\n')}\n`;
  }

  return {
    server,
    /** Takes no new connections, and resolves when every request that had come is answered, or after so many milliseconds. */
    async drain(milliseconds) {
      draining = true;
      const closed = once(server, 'close');
      server.close();
      const timer = setTimeout(() => server.closeAllConnections(), milliseconds);
      await closed;
      clearTimeout(timer);
    },
  };
}

function clientLeft() {
  return new Refusal(CLIENT_LEFT, 'ERR_CLIENT_LEFT', 'the client left before its answer.');
}

function checkMethod(request, allowed) {
  if (request.method !== allowed)
    throw new Refusal(405, 'ERR_METHOD', `only ${allowed} is answered here.`, { allow: allowed });
}

function refusalOf(error) {
  const known = error instanceof Refusal || (isDenseNetError(error) && error.code in statusOfCode);
  // What went wrong inside is for the log, not for the client.
  if (!known) console.error(error);
  const {
    status = statusOfCode[error.code],
    code,
    message,
    headers,
  } = known ? error : { status: 500, code: 'ERR_INTERNAL', message: 'something went wrong in the server.' };
  return { status, json: { error: { code, message } }, headers };
}
