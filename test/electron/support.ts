import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { connect, overWorkerPort, type DenseNetClient } from '../../lib/electron/client';
import { serveClient, type HostOptions, type Session } from '../../lib/electron/host';
import type { HostMessage } from '../../lib/electron/protocol';

/** Both ends of a bridge, in this process; closed after each test. */
export function bridgeMaker(): (options?: HostOptions) => { client: DenseNetClient; session: Session } {
  const made: { client: DenseNetClient; session: Session }[] = [];
  afterEach(() => {
    for (const { client, session } of made.splice(0)) {
      client.close();
      session.close();
    }
  });
  return (options) => {
    const { port1, port2 } = new MessageChannel();
    const session = serveClient(overWorkerPort(port2), options);
    const one = { client: connect(overWorkerPort(port1)), session };
    made.push(one);
    return one;
  };
}

/** A client that says whatever it likes. */
export interface RawClient {
  session: Session;
  port: MessagePort;
  /** Sends a message, and resolves with the host's next one. */
  say(message: unknown): Promise<HostMessage>;
  /** The host's next message. */
  next(): Promise<HostMessage>;
}

/** Raw clients; closed after the last test. */
export function rawClientMaker(): (options?: HostOptions) => RawClient {
  const made: RawClient[] = [];
  afterAll(() => {
    for (const { port, session } of made.splice(0)) {
      session.close();
      port.close();
    }
  });
  return (options) => {
    const { port1, port2 } = new MessageChannel();
    const session = serveClient(overWorkerPort(port2), options);
    const waiting: ((message: HostMessage) => void)[] = [];
    const arrived: HostMessage[] = [];
    port1.on('message', (message: HostMessage) => {
      const waiter = waiting.shift();
      if (waiter === undefined) arrived.push(message);
      else waiter(message);
    });
    const next = (): Promise<HostMessage> => {
      const message = arrived.shift();
      return message === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(message);
    };
    const one: RawClient = {
      session,
      port: port1,
      next,
      say(message) {
        port1.postMessage(message);
        return next();
      },
    };
    made.push(one);
    return one;
  };
}
