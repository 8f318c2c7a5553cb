import { DenseNetError } from '../densenet-error';
import type { TrainingEvent } from '../training/events';
import { isSignal } from './arguments';
import { checkPlain } from './plain';
import { checkPort, type BridgePort } from './port';
import type { ClientMessage, HostMessage, MethodName, Methods, WireError } from './protocol';

/** What a call may have beside its arguments. */
interface CallOptions {
  signal?: AbortSignal | undefined;
  onEvent?: (event: TrainingEvent) => void;
}

/** A call that waits for its answer. */
interface PendingCall {
  resolve: (value: unknown) => void;
  reject: (reason: unknown) => void;
  options: CallOptions;
}

/** The client's calls on their way: numbers them, and brings answers, events and failures to those who wait. */
export class Caller {
  readonly #port: BridgePort;
  readonly #pending = new Map<number, PendingCall>();
  #next = 1;
  #ended: DenseNetError | undefined;
  #tellGone = (_: DenseNetError): void => undefined;

  /** Resolves when the host is gone, with what pending calls are rejected with; never when the client closed by itself. */
  readonly gone = new Promise<DenseNetError>((resolve) => (this.#tellGone = resolve));

  constructor(port: BridgePort) {
    this.#port = checkPort(port);
    port.listen(
      (message) => this.#receive(message as HostMessage),
      () => this.lose('its channel was cut'),
    );
  }

  get connected(): boolean {
    return this.#ended === undefined;
  }

  /** Sends a call, and resolves with what the host answers. */
  async call<Name extends MethodName>(
    method: Name,
    args: Methods[Name]['args'],
    options: CallOptions = {},
  ): Promise<Methods[Name]['value']> {
    const { signal } = options;
    if (signal !== undefined && !isSignal(signal))
      throw new DenseNetError('ERR_INVALID_ARGUMENT', 'signal must be an AbortSignal.');
    signal?.throwIfAborted();
    if (this.#ended !== undefined) throw this.#ended;
    const id = this.#next++;
    const message = { type: 'call', id, method, args } as const;
    checkPlain(message);
    const cancel = (): void => this.#send({ type: 'cancel', id });
    try {
      return (await new Promise<unknown>((resolve, reject) => {
        this.#pending.set(id, { resolve, reject, options });
        this.#send(message);
        signal?.addEventListener('abort', cancel, { once: true });
      })) as Methods[Name]['value'];
    } catch (error) {
      throw signal?.aborted === true && isAbort(error) ? (signal.reason as unknown) : error;
    } finally {
      this.#pending.delete(id);
      signal?.removeEventListener('abort', cancel);
    }
  }

  /** The host is gone: every call that waits, and every later one, rejects with `ERR_HOST_GONE`. */
  lose(why: string): void {
    if (this.#ended !== undefined) return;
    const error = new DenseNetError(
      'ERR_HOST_GONE',
      `the process that holds the models is gone (${why}), and the models with it. Start it again, connect anew, and create or load them again.`,
    );
    this.#end(error);
    this.#tellGone(error);
  }

  close(): void {
    if (this.#ended !== undefined) return;
    this.#end(new DenseNetError('ERR_DISPOSED', 'the connection was closed. Connect anew.'));
  }

  #end(error: DenseNetError): void {
    this.#ended = error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    this.#port.close();
  }

  #send(message: ClientMessage): void {
    try {
      this.#port.post(message);
    } catch (error) {
      throw new DenseNetError(
        'ERR_INVALID_ARGUMENT',
        `an argument cannot be sent: ${error instanceof Error ? error.message : String(error)}. Only plain objects, arrays and typed arrays can.`,
        { cause: error },
      );
    }
  }

  #receive(message: HostMessage): void {
    const call = message.id === null ? undefined : this.#pending.get(message.id);
    if (call === undefined) return; // its caller no longer waits
    switch (message.type) {
      case 'result':
        call.resolve(message.value);
        return;
      case 'error':
        call.reject(toError(message.error));
        return;
      case 'event':
        call.options.onEvent?.(message.event);
        this.#send({ type: 'taken', id: message.id });
    }
  }
}

/** Stands for the answer to a call that was cancelled. */
const aborted = Symbol('aborted');

function isAbort(error: unknown): boolean {
  return (error as { cause?: unknown } | undefined)?.cause === aborted;
}

function toError({ code, message }: WireError): DenseNetError {
  return code === 'ABORTED'
    ? new DenseNetError('ERR_INTERNAL', message, { cause: aborted })
    : new DenseNetError(code, message);
}
