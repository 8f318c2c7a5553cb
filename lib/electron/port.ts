import { DenseNetError } from '../densenet-error';

/**
 * One end of a channel, of whichever kind, behind the same three calls. Every kind clones what is sent (HTML's structured
 * clone), so typed arrays cross by copy, and neither side can change what the other has checked. The channel is the
 * bridge's alone: nothing else may be sent over it.
 */
export interface BridgePort {
  /** Sends a message. Nothing happens when the other end is gone. */
  post(message: unknown): void;
  /**
   * Begins to receive; messages that came before are kept until then. Called once.
   *
   * @param onMessage Gets each message, in order.
   * @param onClose Called when the channel was cut, as when the other side's process has ended; at once where it is known
   *   to be cut already.
   */
  listen(onMessage: (message: unknown) => void, onClose: () => void): void;
  /** Cuts the channel. */
  close(): void;
}

/** As much of the `MessagePort` of a page as is needed. */
export interface PagePort {
  /** Sends a clone of the message. */
  postMessage(message: unknown): void;
  /** Begins to deliver; messages that came before are kept until then. */
  start(): void;
  /** Cuts the channel. */
  close(): void;
  /** Listens for `message`, an event whose `data` is what was sent, or for `close`: the channel was cut. */
  addEventListener(type: string, listener: (event: object) => void): void;
}

/**
 * A page's or a preload script's `MessagePort`, with Electron around it or not. It must be open: a page cannot tell that a
 * port was closed before, or given away, and calls over such a one wait until `DenseNetClient.lost` or `close` is called.
 */
export function overMessagePort(port: PagePort): BridgePort {
  return {
    post: (message) => port.postMessage(message),
    listen(onMessage, onClose) {
      port.addEventListener('message', (event) => onMessage((event as { data: unknown }).data));
      // Electron has the event, as has Chromium since 122.
      port.addEventListener('close', onClose);
      port.start();
    },
    close: () => port.close(),
  };
}

/** As much of Electron's `MessagePortMain` as is needed. */
export interface MainPort {
  /** Sends a clone of the message. */
  postMessage(message: unknown): void;
  /** Begins to deliver; messages that came before are kept until then. */
  start(): void;
  /** Cuts the channel. */
  close(): void;
  /** Listens for messages; `data` is what was sent. */
  on(event: 'message', listener: (event: { data: unknown }) => void): unknown;
  /** Listens for the end: the channel was cut. */
  on(event: 'close', listener: () => void): unknown;
}

/**
 * Electron's `MessagePortMain`: the main process's and a utility process's end of a channel. It must be open, as for
 * {@link overMessagePort}.
 */
export function overMessagePortMain(port: MainPort): BridgePort {
  return {
    post: (message) => port.postMessage(message),
    listen(onMessage, onClose) {
      port.on('message', ({ data }) => onMessage(data));
      port.on('close', onClose);
      port.start();
    },
    close: () => port.close(),
  };
}

/** As much of a `MessagePort` of `node:worker_threads` as is needed. */
export interface WorkerPort {
  /** Sends a clone of the message. */
  postMessage(message: unknown): void;
  /** Cuts the channel. */
  close(): void;
  /** Whether it keeps the event loop going: with a listener for messages it does, until it is closed. */
  hasRef?(): boolean;
  /** Listens for messages, and begins to deliver: those that came before are kept until then. */
  on(event: 'message', listener: (message: unknown) => void): unknown;
  /** Listens for the end: the channel was cut. */
  on(event: 'close', listener: () => void): unknown;
}

/** A `MessagePort` of `node:worker_threads`, such as a worker's `parentPort`. */
export function overWorkerPort(port: WorkerPort): BridgePort {
  return {
    post: (message) => port.postMessage(message),
    listen(onMessage, onClose) {
      port.on('message', onMessage);
      port.on('close', onClose);
      // Closed before: that event has gone by.
      if (port.hasRef?.() === false) onClose();
    },
    close: () => port.close(),
  };
}

/** As much of `process`, or of a `ChildProcess`, as is needed. */
export interface ProcessPort {
  /** Whether there is a channel, and it is open. */
  readonly connected: boolean;
  /** Sends a clone of the message, then says whether that failed. Not there in a process that was not forked. */
  send?(message: unknown, callback: (error: Error | null) => void): boolean;
  /** Cuts the channel. Not there in a process that was not forked. */
  disconnect?(): void;
  /** Listens for messages. */
  on(event: 'message', listener: (message: unknown) => void): unknown;
  /** Listens for the end: the channel was cut, or the other process has ended. */
  on(event: 'disconnect', listener: () => void): unknown;
}

/**
 * The channel of `child_process.fork`: the child on one side, its `process` on the other. It must be forked with
 * `serialization: 'advanced'`; JSON, the default, knows no typed arrays.
 *
 * @throws DenseNetError `ERR_INVALID_ARGUMENT` for a process without a channel: one that was not forked.
 */
export function overProcess(process: ProcessPort): BridgePort {
  if (typeof process.send !== 'function')
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      'process has no channel to another: start it by child_process.fork, and pass what that gives on the one side, and its own process on the other.',
    );
  return {
    // With a callback: without one a process that has just died would raise an error here.
    post(message) {
      if (process.connected) process.send?.(message, () => undefined);
    },
    listen(onMessage, onClose) {
      process.on('message', onMessage);
      process.on('disconnect', onClose);
      // Cut before: that event has gone by.
      if (!process.connected) onClose();
    },
    close() {
      if (process.connected) process.disconnect?.();
    },
  };
}

/** Refuses what is no {@link BridgePort}, such as a port that was not wrapped. */
export function checkPort(port: BridgePort): BridgePort {
  const given = (typeof port === 'object' ? (port ?? {}) : {}) as Partial<BridgePort>;
  if ([given.post, given.listen, given.close].every((call) => typeof call === 'function')) return port;
  throw new DenseNetError(
    'ERR_INVALID_ARGUMENT',
    'port must be what overMessagePort, overMessagePortMain, overWorkerPort or overProcess makes of an end of a channel.',
  );
}
