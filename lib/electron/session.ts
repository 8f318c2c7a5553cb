import { DenseNetError, toDenseNetError } from '../errors';
import type { TrainingEvent } from '../training/events';
import { checkOneOf } from '../validate';
import { Grants } from './grants';
import { handlers, type CallControl, type Holdings } from './handlers';
import { resolveLimits, type Limits } from './limits';
import { Models } from './models';
import { checkPlain } from './plain';
import { checkPort, type BridgePort } from './port';
import type { ClientMessage, HostMessage, MethodName, WireError } from './protocol';
import type { Access, Grant } from './types';
import { checkArguments, messageFault, methodNames } from './schemas';

/** Calls that cannot be ended in the middle: a cancelled one is answered at once, and what it comes to is dropped. */
const endsByItself = (method: MethodName): boolean => method !== 'train' && method !== 'evaluate';

/** A call that is not answered yet. */
class Call implements CallControl {
  readonly control = new AbortController();
  #waits = true;
  #taken: (() => void) | undefined;

  constructor(
    readonly bytes: number,
    private readonly send: (event: TrainingEvent) => void,
  ) {}

  get signal(): AbortSignal {
    return this.control.signal;
  }

  tell(event: TrainingEvent): Promise<void> {
    this.send(event);
    return this.#waits ? new Promise((resolve) => (this.#taken = resolve)) : Promise.resolve();
  }

  /** The client has taken the event. */
  taken(): void {
    this.#taken?.();
    this.#taken = undefined;
  }

  stopWaiting(): void {
    this.#waits = false;
    this.taken();
  }
}

/** One client of the host: its models, its grants, and its calls. */
export class Session {
  readonly #port: BridgePort;
  readonly #holdings: Holdings;
  readonly #calls = new Map<number, Call>();
  readonly #onClose: () => void;
  #open = true;

  /** @param onClose Called when the client is gone, or was shut out. */
  constructor(port: BridgePort, limits: Limits | undefined, onClose: () => void) {
    const resolved = resolveLimits(limits);
    this.#port = checkPort(port);
    this.#holdings = { models: new Models(resolved.models), grants: new Grants(), limits: resolved };
    this.#onClose = onClose;
    port.listen(
      (message) => this.#receive(message),
      () => this.close(),
    );
  }

  /**
   * Lets the client use a file or folder.
   *
   * @param grant What it is to call it by: a text of 1 to 256 characters that nobody can guess, such as one of
   *   `crypto.randomUUID`. One that was given before now stands for this path.
   * @param path Where it is; a relative one is taken from the process's own folder. Nothing need be there yet.
   * @param access What for.
   * @throws DenseNetError `ERR_INVALID_ARGUMENT`.
   */
  grant(grant: Grant, path: string, access: Access): void {
    this.#holdings.grants.add(grant, path, access);
  }

  /** Takes a grant back: calls with it reject with `ERR_NOT_GRANTED`. Those that have begun go on. */
  revoke(grant: Grant): void {
    this.#holdings.grants.remove(grant);
  }

  /**
   * Shuts the client out: cuts its channel, ends its calls and disposes of its models. On its side every call rejects with
   * `ERR_HOST_GONE`. Calling it twice does nothing.
   */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const call of this.#calls.values()) {
      call.control.abort();
      call.stopWaiting();
    }
    // A model whose memory could not be given back is no longer anybody's.
    this.#holdings.models.end().catch(() => undefined);
    this.#port.close();
    this.#onClose();
  }

  #receive(message: unknown): void {
    if (!this.#open) return;
    const given = (message ?? {}) as { id?: unknown; type?: unknown };
    // First of all: whoever waits for an answer is told of everything that is wrong.
    const id = Number.isSafeInteger(given.id) && !this.#calls.has(given.id as number) ? (given.id as number) : null;
    try {
      const bytes = checkPlain(message);
      const fault = messageFault(given);
      if (fault !== undefined) throw new DenseNetError('ERR_INVALID_MESSAGE', `the message was refused: ${fault}.`);
      const known = message as ClientMessage;
      if (known.type === 'call') this.#begin(known.id, known.method, known.args, bytes);
      // One that is answered already is none of these; its cancellation was on its way.
      else if (known.type === 'cancel') this.#calls.get(known.id)?.control.abort();
      else this.#calls.get(known.id)?.taken();
    } catch (error) {
      this.#send({ type: 'error', id, error: this.#toWire(error) });
    }
  }

  #begin(id: number, name: string, args: object, bytes: number): void {
    const method = checkOneOf('method', name, methodNames, 'ERR_INVALID_MESSAGE');
    const { limits } = this.#holdings;
    if (this.#calls.has(id))
      throw new DenseNetError('ERR_INVALID_MESSAGE', `the message was refused: call ${id} is not answered yet.`);
    if (this.#calls.size >= limits.calls)
      throw new DenseNetError(
        'ERR_BUSY',
        `${limits.calls} calls are not answered yet, and no more are allowed at once.`,
      );
    const held = [...this.#calls.values()].reduce((sum, call) => sum + call.bytes, bytes);
    if (held > limits.bytes)
      throw new DenseNetError(
        bytes > limits.bytes ? 'ERR_INVALID_ARGUMENT' : 'ERR_BUSY',
        `calls that are not answered yet would hold ${held} bytes of arrays, and the host allows ${limits.bytes}. Send smaller batches.`,
      );
    checkArguments(method, args);
    const call = new Call(bytes, (event) => this.#send({ type: 'event', id, event }));
    this.#calls.set(id, call);
    void this.#carryOut(id, method, args, call);
  }

  async #carryOut(id: number, method: MethodName, args: object, call: Call): Promise<void> {
    const handle = handlers[method] as (holdings: Holdings, args: object, call: CallControl) => unknown;
    if (endsByItself(method))
      call.signal.addEventListener('abort', () => this.#send({ type: 'error', id, error: abortedError }));
    let answer: HostMessage;
    try {
      answer = { type: 'result', id, value: await handle(this.#holdings, args, call) };
    } catch (error) {
      answer = { type: 'error', id, error: call.signal.aborted ? abortedError : this.#toWire(error) };
    }
    // It counts against the client's share until it has really ended.
    this.#calls.delete(id);
    if (!(call.signal.aborted && endsByItself(method))) this.#send(answer);
  }

  #send(message: HostMessage): void {
    if (this.#open) this.#port.post(message);
  }

  /** Code and message alone: no stack, no cause, no path that the client is not to know. */
  #toWire(error: unknown): WireError {
    const { code, message } = toDenseNetError(error);
    const text = message.startsWith(`${code}: `) ? message.slice(code.length + 2) : message;
    return { code, message: this.#holdings.grants.hidePaths(text) };
  }
}

const abortedError: WireError = { code: 'ABORTED', message: 'the call was cancelled.' };
