/**
 * The side of a bridge that holds the models: `libtorch-densenet/electron/host`, for a utility process.
 *
 * @module libtorch-densenet/electron/host
 */
import { DenseNetError } from '../errors';
import { checkOptions, invalidArgument } from '../validate';
import type { FromHost, ToHost } from './control';
import { resolveLimits, type Limits } from './limits';
import { overMessagePortMain, type BridgePort, type MainPort } from './port';
import { Session } from './session';

export { DenseNetError, isDenseNetError } from '../errors';
export * from './both';
export type { Limits } from './limits';
export type { Session } from './session';

/** Options of {@link serveHost} and {@link serveClient}. */
export interface HostOptions {
  /** How much each client may have; default: see {@link Limits}. */
  limits?: Limits;
}

/** As much of a utility process's `process.parentPort` as is needed. */
export interface ParentPort {
  /** Sends the main process a clone of the message. */
  postMessage(message: unknown): void;
  /** Listens for messages of the main process; `data` is what was sent, `ports` are the ports that came with it. */
  on(event: 'message', listener: (event: { data: unknown; ports: MainPort[] }) => void): unknown;
}

/**
 * Serves one client: whoever has the other end of the channel. Every message is checked; the client is taken for hostile.
 *
 * @param port Such as `overProcess(process)`.
 * @param options See {@link HostOptions}.
 * @returns The client's session, by which it is granted files and shut out.
 * @throws DenseNetError `ERR_INVALID_ARGUMENT`.
 */
export function serveClient(port: BridgePort, options?: HostOptions): Session {
  const { limits } = checkOptions('options', options, ['limits']);
  return new Session(port, limits, () => undefined);
}

/**
 * Serves all clients that the main process's `HostProcess` connects: what a utility process calls, once. The messages
 * between the two processes are the bridge's alone.
 *
 * @param parentPort Default `process.parentPort`, which Electron gives a utility process.
 * @param options See {@link HostOptions}.
 * @throws DenseNetError `ERR_INVALID_ARGUMENT`, also in a process that is no utility process.
 */
export function serveHost(parentPort?: ParentPort, options?: HostOptions): void {
  const port = parentPort ?? (process as { parentPort?: ParentPort }).parentPort;
  if (typeof (port as unknown) !== 'object' || port === undefined)
    throw invalidArgument('parentPort', "a utility process's process.parentPort", port);
  const { limits } = checkOptions('options', options, ['limits']);
  resolveLimits(limits); // before the first client, not with it
  const sessions = new Map<number, Session>();
  const tell = (message: FromHost): void => port.postMessage(message);
  port.on('message', ({ data, ports: [end] }) => {
    // From the main process, which is trusted.
    const message = data as ToHost;
    const session = sessions.get(message.session);
    switch (message.type) {
      case 'connect': {
        if (end === undefined) throw new DenseNetError('ERR_INTERNAL', 'a client was connected without a port.');
        const { session: id } = message;
        const forget = (): void => void sessions.delete(id);
        sessions.set(id, new Session(overMessagePortMain(end), limits, forget));
        return;
      }
      case 'grant':
        session?.grant(message.grant, message.path, message.access);
        tell({ type: 'granted', grant: message.grant });
        return;
      case 'revoke':
        session?.revoke(message.grant);
        return;
      case 'disconnect':
        session?.close();
    }
  });
}
