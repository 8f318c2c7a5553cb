import { DenseNetError } from '../errors';

/** Faults that a message lists; the rest is counted. */
const MOST_LISTED = 20;

/**
 * Throws `ERR_DATASET` with every fault that was found in a data set; nothing where there is none.
 *
 * @param place The folder or file, which the message names.
 * @param advice What to do, the message's last line.
 */
export function refuseFaults(place: string, faults: readonly string[], advice: string): void {
  if (faults.length === 0) return;
  const more = faults.length > MOST_LISTED ? [`… and ${faults.length - MOST_LISTED} more`] : [];
  throw new DenseNetError(
    'ERR_DATASET',
    [
      `${place} has ${faults.length} fault${faults.length > 1 ? 's' : ''}:`,
      ...[...faults.slice(0, MOST_LISTED), ...more].map((fault) => `  ${fault}`),
      advice,
    ].join('\n'),
  );
}
