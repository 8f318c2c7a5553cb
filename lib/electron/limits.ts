import { checkInteger, checkOptions } from '../validate';

/** Characters of a short text that a client sends, such as a grant or the name of a class. */
export const mostText = 256;

/**
 * How much a host lets one client have, each a whole number of at least 1. The client is a page, and a page may have been
 * taken over. What is too large by itself is `ERR_INVALID_ARGUMENT`, what is too much at once `ERR_BUSY`.
 */
export interface Limits {
  /** Models at once, default 4. */
  models?: number;
  /**
   * Values in all parameters and buffers of a model that the client creates, default 100 million. One that it loads is
   * bounded by the file that it was granted.
   */
  modelValues?: number;
  /** Calls that are not answered yet, default 32. */
  calls?: number;
  /** Bytes of typed arrays in one call, and in all that are not answered yet, default 512 MiB. */
  bytes?: number;
}

const defaults: Required<Limits> = { models: 4, modelValues: 100_000_000, calls: 32, bytes: 512 * 2 ** 20 };

export function resolveLimits(limits?: Limits): Required<Limits> {
  const keys = Object.keys(defaults) as (keyof Limits)[];
  const given = { ...defaults, ...checkOptions('limits', limits, keys) };
  for (const key of keys) checkInteger(`limits.${key}`, given[key], 1);
  return given;
}
