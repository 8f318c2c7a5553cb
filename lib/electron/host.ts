/**
 * The side of a bridge that holds the models: `libtorch-densenet/electron/host`, for a utility process.
 *
 * @module libtorch-densenet/electron/host
 */
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
 * Serves all clients that the main process's `HostProcess` connects: what a utility process calls, once. Other messages of
 * the main process are passed over.
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
    if (!isToHost(data)) return;
    const session = sessions.get(data.session);
    switch (data.type) {
      case 'connect': {
        if (end === undefined) return;
        const { session: id } = data;
        const forget = (): void => void sessions.delete(id);
        sessions.set(id, new Session(overMessagePortMain(end), limits, forget));
        return;
      }
      case 'grant':
        session?.grant(data.grant, data.path, data.access);
        tell({ type: 'granted', grant: data.grant });
        return;
      case 'revoke':
        session?.revoke(data.grant);
        return;
      case 'disconnect':
        session?.close();
    }
  });
}

/** Whether a message is of `HostProcess`, which is trusted, and no other of the app's own. */
function isToHost(data: unknown): data is ToHost {
  return Number.isSafeInteger((data as Partial<ToHost> | null | undefined)?.session);
}
