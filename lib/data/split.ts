import { DenseNetError } from '../errors';
import { areRows } from './dataset';

/**
 * The indices of two parts, both ascending, class by class, so that each class has the same share in both; where an
 * image may have several labels, of all images together.
 *
 * @param size Images.
 * @param fraction The first part's share.
 * @param seed Draws at random; without it the first of each class, in order, go to the first part.
 * @throws DenseNetError `ERR_INVALID_ARGUMENT` where a part would be empty.
 */
export function partition(
  labels: Int32Array | Float32Array,
  size: number,
  classes: number,
  fraction: number,
  seed: number | undefined,
): [number[], number[]] {
  const several = areRows(labels);
  const groups = Array.from({ length: several ? 1 : classes }, (): number[] => []);
  for (let index = 0; index < size; index += 1) groups[several ? 0 : (labels[index] as number)]?.push(index);
  const first: number[] = [];
  const second: number[] = [];
  for (const [label, members] of groups.entries()) {
    if (seed !== undefined) shuffle(members, seed + label);
    // 100 × 0.29 is 28.999999999999996.
    const count = Math.floor(members.length * fraction + 1e-9);
    first.push(...members.slice(0, count));
    second.push(...members.slice(count));
  }
  if (first.length === 0 || second.length === 0)
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `fraction ${fraction} of ${size} images leaves one of the two data sets empty. Choose one nearer to 0.5.`,
    );
  const ascending = (a: number, b: number): number => a - b;
  return [first.sort(ascending), second.sort(ascending)];
}

/** Fisher and Yates's shuffle, by the generator mulberry32. */
function shuffle(items: number[], seed: number): void {
  let state = seed >>> 0;
  for (let last = items.length - 1; last > 0; last -= 1) {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    const place = ((mixed ^ (mixed >>> 14)) >>> 0) % (last + 1);
    [items[last], items[place]] = [items[place] as number, items[last] as number];
  }
}
