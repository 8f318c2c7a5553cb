import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, stat } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { certificate, key } from './certificate';

/** What a server does with one request. */
export type Answer = (request: http.IncomingMessage, response: http.ServerResponse) => void | Promise<void>;

export interface RunningServer extends AsyncDisposable {
  port: number;
  /** Without a slash at its end. */
  url: string;
  /** Every request so far. */
  requests: http.IncomingMessage[];
}

/** Serves on localhost: the first request gets the first answer and so on; the last answer serves all that follow. */
export function serve(...answers: Answer[]): Promise<RunningServer> {
  const requests: http.IncomingMessage[] = [];
  return listen(http.createServer(), 'http://127.0.0.1', requests, answers);
}

/** The same for https, under the name of the certificate, which only a tunnel can reach. */
export function serveSecurely(...answers: Answer[]): Promise<RunningServer> {
  return listen(https.createServer({ key, cert: certificate }), 'https://archive.invalid', [], answers);
}

async function listen(
  server: http.Server,
  origin: string,
  requests: http.IncomingMessage[],
  answers: Answer[],
): Promise<RunningServer> {
  server.on('request', (request: http.IncomingMessage, response: http.ServerResponse) => {
    requests.push(request);
    const answer = answers[Math.min(requests.length, answers.length) - 1];
    // An answer that fails ends the connection, and so the test.
    Promise.resolve(answer?.(request, response)).catch((error: unknown) => response.destroy(error as Error));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return { port, url: `${origin}:${port}`, requests, [Symbol.asyncDispose]: () => close(server) };
}

async function close(server: http.Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

export interface RunningProxy extends AsyncDisposable {
  url: string;
  /** Every CONNECT so far. */
  requests: http.IncomingMessage[];
  /** How many connections of clients are open. */
  open: () => number;
}

export interface TunnelOptions {
  /** Where every tunnel leads, whatever name is asked for; nowhere where it is left out. */
  port?: number;
  /** What the proxy answers; 0 for nothing at all. */
  status?: number;
}

/** A proxy that opens tunnels. */
export async function serveTunnels({ port, status = 200 }: TunnelOptions): Promise<RunningProxy> {
  const requests: http.IncomingMessage[] = [];
  const sockets = new Set<net.Socket>();
  const server = http.createServer();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // An HTTP server leaves it to the user of a tunnel to end his side.
    socket.on('end', () => socket.end());
    socket.on('error', () => socket.destroy());
  });
  server.on('connect', (request: http.IncomingMessage, client: net.Socket) => {
    requests.push(request);
    if (status > 0) client.write(`HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ''}\r\n\r\n`);
    if (status !== 200 || port === undefined) {
      // Reading goes on, or the client's end would not be noticed.
      client.resume();
      return;
    }
    const target = net.connect(port, '127.0.0.1');
    client.pipe(target).pipe(client);
    target.on('error', () => client.destroy());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    open: () => sockets.size,
    [Symbol.asyncDispose]: async () => {
      // A connection that became a tunnel is no longer the server's to close.
      for (const socket of sockets) socket.destroy();
      await close(server);
    },
  };
}

/** The whole body, whatever range is asked for. */
export function whole(body: Buffer): Answer {
  return (_, response) => void response.writeHead(200, { 'content-length': body.length }).end(body);
}

/** The body from the byte that is asked for; 416 where there is nothing after it. */
export function ranged(body: Buffer): Answer {
  return (request, response) => {
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? 'bytes=0-')?.[1]);
    if (start >= body.length) {
      response.writeHead(416, { 'content-range': `bytes */${body.length}` }).end();
      return;
    }
    const headers = {
      'content-length': body.length - start,
      ...(start > 0 && { 'content-range': `bytes ${start}-${body.length - 1}/${body.length}` }),
    };
    response.writeHead(start > 0 ? 206 : 200, headers).end(body.subarray(start));
  };
}

export function status(code: number, headers: http.OutgoingHttpHeaders = {}): Answer {
  return (_, response) => void response.writeHead(code, headers).end('a page of words, not the file');
}

/** Never answers. */
export const silence: Answer = () => undefined;

/**
 * Sends the first `bytes` of the body, waits until they are in a `.part` below the folder, and then says no more or, with
 * `end`, ends the connection.
 */
export function begin(body: Buffer, bytes: number, folder: string, { end }: { end: boolean }): Answer {
  return async (_, response) => {
    response.writeHead(200, { 'content-length': body.length }).write(body.subarray(0, bytes));
    await until(async () => response.destroyed || (await sizeOfPart(folder)) === bytes);
    if (end) response.destroy();
  };
}

async function sizeOfPart(folder: string): Promise<number> {
  const part = (await readdir(folder, { recursive: true })).find((name) => name.includes('.part'));
  return part === undefined ? -1 : (await stat(path.join(folder, part))).size;
}

/** Waits for what tells of itself by no event. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let round = 0; round < 1000; round += 1) {
    if (await condition()) return;
    await sleep(5);
  }
  throw new Error('what was waited for did not come');
}

export function sha256(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex');
}
