import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { DenseNetError } from '../errors';
import { checkOneOf, checkOptions, checkPath, invalidArgument } from '../validate';
import type { FromHost, ToHost } from './control';
import type { Access, Grant } from './types';

/** As much of Electron's `UtilityProcess` as is needed. */
export interface UtilityProcess {
  /** Sends the process a clone of the message. The ports of `transfer` go along: so it gets a page's. */
  postMessage(message: unknown, transfer?: never[]): void;
  /** Listens for messages of the process. */
  on(event: 'message', listener: (message: unknown) => void): unknown;
  /** Listens for the end of the process. */
  on(event: 'exit', listener: (code: number) => void): unknown;
  /** Ends the process; whether that was possible. */
  kill(): boolean;
}

/** How the host's process ended. */
export interface HostExit {
  /** As Electron's event `exit` has it. */
  code: number;
  /** Whether {@link HostProcess.stop} ended it. */
  stopped: boolean;
}

/** Options of {@link HostProcess}. */
export interface HostProcessOptions {
  /** Called when the process has ended, however it came to that: tell the pages, for `DenseNetClient.lost`. */
  onGone?: (exit: HostExit) => void;
}

/** A process, as long as it lives. */
interface Running {
  process: UtilityProcess;
  /** Those who wait for the host to know a grant. */
  granting: Map<Grant, { resolve: () => void; reject: (error: DenseNetError) => void }>;
  ended: Promise<void>;
}

/**
 * The main process's hold on the process that holds the models. It starts the process when it is first needed, and anew
 * when it has ended. The main process itself loads nothing native.
 */
export class HostProcess {
  readonly #start: () => UtilityProcess;
  readonly #onGone: (exit: HostExit) => void;
  #running: Running | undefined;
  #stopping = false;
  #nextSession = 1;

  /**
   * @param start Starts it: `() => utilityProcess.fork(file)`. The file calls `serveHost()` of
   *   `libtorch-densenet/electron/host`.
   * @param options See {@link HostProcessOptions}.
   * @throws DenseNetError `ERR_INVALID_ARGUMENT`.
   */
  constructor(start: () => UtilityProcess, options?: HostProcessOptions) {
    if (typeof (start as unknown) !== 'function') throw invalidArgument('start', 'a function', start);
    const { onGone = () => undefined } = checkOptions('options', options, ['onGone']);
    if (typeof (onGone as unknown) !== 'function') throw invalidArgument('onGone', 'a function', onGone);
    this.#start = start;
    this.#onGone = onGone;
  }

  /** Whether the process runs: from {@link HostProcess.connect} until it has ended. */
  get running(): boolean {
    return this.#running !== undefined;
  }

  /**
   * Connects a page, and starts the process where none runs. Check who asks first: see {@link checkSender}.
   *
   * @param port One end of a new `MessageChannelMain`; the page gets the other.
   * @throws DenseNetError `ERR_INVALID_ARGUMENT`; `ERR_HOST_GONE` while {@link HostProcess.stop} ends the process.
   */
  connect(port: object): HostConnection {
    if (typeof (port as unknown) !== 'object' || (port as unknown) === null)
      throw invalidArgument('port', 'a MessagePortMain', port);
    if (this.#running !== undefined && this.#stopping) throw gone('it is being stopped');
    const running = (this.#running ??= this.#begin());
    const session = this.#nextSession++;
    const send = (message: ToHost, transfer?: object): void => {
      if (this.#running !== running) return;
      if (transfer === undefined) running.process.postMessage(message);
      else running.process.postMessage(message, [transfer as never]);
    };
    send({ type: 'connect', session }, port);
    return {
      grant: async (place, access) => {
        const file = path.resolve(checkPath('path', place));
        checkOneOf('access', access, ['read', 'write', 'folder']);
        if (this.#running !== running) throw gone('it has ended');
        const grant = randomUUID();
        return new Promise<Grant>((resolve, reject) => {
          // Not before the host knows it: the page's own channel may be the faster one.
          running.granting.set(grant, { resolve: () => resolve(grant), reject });
          send({ type: 'grant', session, grant, path: file, access });
        });
      },
      revoke: (grant) => send({ type: 'revoke', session, grant }),
      disconnect: () => send({ type: 'disconnect', session }),
    };
  }

  /**
   * Ends the process, and the models with it; resolves when it has ended, and {@link HostProcess.connect} starts another.
   * Nothing happens when none runs.
   */
  async stop(): Promise<void> {
    if (this.#running === undefined) return;
    this.#stopping = true;
    this.#running.process.kill();
    await this.#running.ended;
  }

  #begin(): Running {
    const process = this.#start();
    const granting: Running['granting'] = new Map();
    this.#stopping = false;
    process.on('message', (message) => {
      // Whatever else the app's own file says to the main process is none of ours.
      const { type, grant } = (message ?? {}) as Partial<FromHost>;
      if (type !== 'granted' || grant === undefined) return;
      granting.get(grant)?.resolve();
      granting.delete(grant);
    });
    const ended = new Promise<void>((resolve) => {
      process.on('exit', (code) => {
        this.#running = undefined;
        for (const { reject } of granting.values()) reject(gone(`it ended with code ${code}`));
        resolve();
        this.#onGone({ code, stopped: this.#stopping });
      });
    });
    return { process, granting, ended };
  }
}

/** A page's connection, as the main process sees it. When the process has ended, its calls but `grant` do nothing. */
export interface HostConnection {
  /**
   * Lets the page use a file or folder that the person at the screen has chosen. Resolves when the host knows of it.
   *
   * @param path Where it is, from a dialog of the main process; never from the page. Nothing need be there yet.
   * @param access `read` or `write` for a file, `folder` for reading pictures below a folder.
   * @returns What the page gets in the path's place. It is good on this connection alone.
   * @throws DenseNetError `ERR_INVALID_ARGUMENT`; `ERR_HOST_GONE` when the process has ended.
   */
  grant(path: string, access: Access): Promise<Grant>;
  /** Takes a grant back: calls with it reject with `ERR_NOT_GRANTED`. Those that have begun go on. */
  revoke(grant: Grant): void;
  /** Shuts the page out, and disposes of its models. On its side every call rejects with `ERR_HOST_GONE`. */
  disconnect(): void;
}

function gone(why: string): DenseNetError {
  return new DenseNetError('ERR_HOST_GONE', `the process that holds the models is gone (${why}). Connect anew.`);
}
