import type { Dataset } from './dataset';
import { decodeList, type PictureList } from './picture-list';
import type { PictureSetPlan } from './picture-options';
import { streamList } from './picture-stream';

/** A data set of the pictures of a list: decoded now, or ahead of the steps of a run. */
export function readList(list: PictureList, plan: PictureSetPlan): Promise<Dataset> {
  return plan.decode === 'ahead' ? streamList(list, plan) : decodeList(list, plan);
}
