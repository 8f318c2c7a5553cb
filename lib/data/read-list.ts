import type { Dataset } from './dataset';
import { refuseFaults } from './faults';
import { decodeList, refuseFaultyList, SKIP_ADVICE, type PictureList } from './picture-list';
import type { PictureSetPlan } from './picture-options';
import { streamList } from './picture-stream';

/** A data set of the pictures of a list: decoded now, or ahead of the steps of a run. */
export function readList(list: PictureList, plan: PictureSetPlan): Promise<Dataset> {
  return plan.decode === 'ahead' ? streamList(list, plan) : decodeList(list, plan);
}

/** Data sets of two lists of one place; what is wrong with either is told in one error. */
export async function readParts(
  place: string,
  lists: readonly [PictureList, PictureList],
  plan: PictureSetPlan,
): Promise<[Dataset, Dataset]> {
  const [first, second] = lists;
  const both = {
    ...first,
    place,
    files: [...first.files, ...second.files],
    faults: [...first.faults, ...second.faults],
    broken: [...first.broken, ...second.broken],
  };
  await refuseFaultyList(both, plan);
  const faults: string[] = [];
  const onBroken = (broken: readonly string[]): void => void faults.push(...broken);
  const read = (list: PictureList): Promise<Dataset> => readList(list, { ...plan, onBroken });
  const made: [Dataset, Dataset] = [await read(first), await read(second)];
  refuseFaults(place, faults, SKIP_ADVICE);
  return made;
}
