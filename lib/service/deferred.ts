/** A promise that is settled from outside, or by a signal. */
export interface Deferred<Value> {
  readonly promise: Promise<Value>;
  readonly resolve: (value: Value) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * A promise that a signal rejects with its reason while it is open. Once it is settled nothing listens to the signal any
 * more, so one signal may serve any number of calls.
 *
 * @param signal Not aborted yet.
 * @param onAbort Called before the promise is rejected, within the call that aborts.
 */
export function deferred<Value>(signal: AbortSignal | undefined, onAbort: () => void): Deferred<Value> {
  let [resolve, reject] = [(_: Value): void => undefined, (_: unknown): void => undefined];
  const promise = new Promise<Value>((...settle) => ([resolve, reject] = settle));
  const abort = (): void => {
    onAbort();
    reject(signal?.reason);
  };
  signal?.addEventListener('abort', abort, { once: true });
  const ignore = (): void => signal?.removeEventListener('abort', abort);
  return {
    promise,
    resolve: (value) => {
      ignore();
      resolve(value);
    },
    reject: (reason) => {
      ignore();
      reject(reason);
    },
  };
}
