import { types } from 'node:util';
import { distance } from 'fastest-levenshtein';
import { DenseNetError, type ErrorCode } from './errors';
import { show } from './show';

export { show };

/** The one sentence in which every bad argument is reported: what was given, what is allowed. */
export function invalidArgument(
  name: string,
  expected: string,
  actual: unknown,
  code: ErrorCode = 'ERR_INVALID_ARGUMENT',
) {
  return new DenseNetError(code, `${name} must be ${expected}; got ${show(actual)}.`);
}

/** The name nearest to `given`, as a sentence to end a message with, or nothing when none is near. */
export function didYouMean(given: string, names: readonly string[]): string {
  if (names.length === 0) return '';
  const plain = given.toLowerCase();
  const best = names.reduce((a, b) => (distance(plain, b.toLowerCase()) < distance(plain, a.toLowerCase()) ? b : a));
  return distance(plain, best.toLowerCase()) <= Math.max(2, given.length / 2)
    ? ` Did you mean ${JSON.stringify(best)}?`
    : '';
}

export function checkInteger(name: string, value: unknown, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max)
    throw invalidArgument(
      name,
      max === Number.MAX_SAFE_INTEGER ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`,
      value,
    );
  return value as number;
}

/** Checks a finite number in [min, max]; `exclusive` leaves `max` itself out. */
export function checkNumber(name: string, value: unknown, min = -Infinity, max = Infinity, exclusive = false): number {
  const bad =
    typeof value !== 'number' || !Number.isFinite(value) || value < min || value > max || (exclusive && value === max);
  if (bad) {
    const range =
      max === Infinity
        ? min === -Infinity
          ? ''
          : ` of at least ${min}`
        : ` from ${min} to ${exclusive ? 'below ' : ''}${max}`;
    throw invalidArgument(name, `a finite number${range}`, value);
  }
  return value;
}

/** Checks a finite number above 0, and at most `max`. */
export function checkPositive(name: string, value: unknown, max = Infinity): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0 || value > max)
    throw invalidArgument(name, `a finite number above 0${max === Infinity ? '' : ` and at most ${max}`}`, value);
  return value;
}

export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalidArgument(name, 'true or false', value);
  return value;
}

export function checkString(name: string, value: unknown): string {
  if (typeof value !== 'string' || value.length === 0) throw invalidArgument(name, 'a string that is not empty', value);
  return value;
}

/** Checks a list of names, at least one, and returns a copy. */
export function checkNames(name: string, value: unknown): string[] {
  if (!isArrayOf<string>(value, (item) => typeof item === 'string') || value.length === 0)
    throw invalidArgument(name, 'an array of names, at least one', value);
  return [...value];
}

/** Checks the path of a file. The system would end it at a zero byte, and take it for another file's. */
export function checkPath(name: string, value: unknown): string {
  const path = checkString(name, value);
  if (path.includes('\0')) throw invalidArgument(name, 'a path without zero bytes', value);
  return path;
}

/** Whether a value is an array whose items all pass; a hole counts as undefined, unlike with `every`. */
export function isArrayOf<T>(value: unknown, check: (item: unknown) => boolean): value is T[] {
  return Array.isArray(value) && Array.from(value).every(check);
}

/** Checks that a value is one of a few names; the message gives them all, and the nearest. */
export function checkOneOf<T extends string>(
  name: string,
  value: unknown,
  allowed: readonly T[],
  code: ErrorCode = 'ERR_INVALID_ARGUMENT',
): T {
  if (allowed.includes(value as T)) return value as T;
  const hint = typeof value === 'string' ? didYouMean(value, allowed) : '';
  const list = allowed.map((item) => JSON.stringify(item)).join(', ');
  throw new DenseNetError(code, `${name} must be one of ${list}; got ${show(value)}.${hint}`);
}

/** Checks a plain options object, and that it has no key but the allowed ones. */
export function checkOptions<T extends object>(
  name: string,
  value: T | undefined,
  allowed: readonly (keyof T & string)[],
): T {
  if (value === undefined) return {} as T;
  // A typed array has a key for each element: listing them could take minutes.
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value))
    throw invalidArgument(name, 'an object', value);
  for (const key of Object.keys(value)) {
    if (!(allowed as readonly string[]).includes(key))
      throw new DenseNetError(
        'ERR_INVALID_ARGUMENT',
        `${name} has no option ${JSON.stringify(key)}; the options are ${allowed.join(', ')}.${didYouMean(key, allowed)}`,
      );
  }
  return value;
}

/** Whether a value has the shape of an AbortSignal; one from another realm is no instance of this one's class. */
export function isSignal(value: unknown): value is AbortSignal {
  const signal = value as AbortSignal | null | undefined;
  return (
    typeof signal === 'object' &&
    signal !== null &&
    typeof signal.aborted === 'boolean' &&
    typeof signal.addEventListener === 'function'
  );
}

export function checkSignal(name: string, value: unknown): AbortSignal | undefined {
  if (value !== undefined && !isSignal(value)) throw invalidArgument(name, 'an AbortSignal', value);
  return value;
}

/** Whether a value is a typed array of one of the named kinds, wherever it was made (another realm's too). */
export function typedArrayKind(value: unknown): string | undefined {
  return types.isTypedArray(value) ? Object.prototype.toString.call(value).slice(8, -1) : undefined;
}
