// It imports nothing: a page has runs too (lib/electron/client.ts).

/** Lets a signal abort a controller. Returns what ends that. */
export function linkSignal(control: AbortController, signal: AbortSignal | undefined): () => void {
  const abort = (): void => control.abort(signal?.reason);
  if (signal?.aborted) abort();
  else signal?.addEventListener('abort', abort, { once: true });
  return () => signal?.removeEventListener('abort', abort);
}
