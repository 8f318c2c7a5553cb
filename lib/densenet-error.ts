import type { ErrorCode } from './errors';

// In a file of its own, which imports nothing of Node's: a renderer has this class too.

/** The only class of error that this package throws or rejects with, an `AbortSignal`'s own reason aside. */
export class DenseNetError extends Error {
  /** Always `DenseNetError`; tells the class where `instanceof` cannot, across copies of the package. */
  override readonly name = 'DenseNetError';

  /** What went wrong, as a stable name. */
  readonly code: ErrorCode;

  /** The one command that mends it, where there is one. */
  readonly mend: string | undefined;

  /**
   * @param code What went wrong, as a stable name.
   * @param message What was found, what is allowed, and what to do.
   * @param options `cause`: the error that led to this one; `mend`: the one command that mends it.
   */
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown; mend?: string }) {
    super(`${code}: ${message}`, options);
    this.code = code;
    this.mend = options?.mend;
  }
}
