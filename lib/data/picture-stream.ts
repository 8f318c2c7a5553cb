import { DenseNetError, isDenseNetError } from '../errors';
import type { StreamedDataset } from './dataset';
import { readPicture } from './picture';
import { makeCache } from './picture-cache';
import {
  chooseFrom,
  inspectAll,
  pictureFault,
  refuseBroken,
  refuseFaultyList,
  SKIP_ADVICE,
  type PictureList,
} from './picture-list';
import type { PictureSetPlan } from './picture-options';

/**
 * A data set of pictures that are decoded when a run comes to them. Every header is read beforehand, so that nearly all
 * that is wrong is told before the first step; a picture that is found to be damaged or gone later ends the run, or, with
 * `broken: 'skip'`, is left out and counted.
 */
export async function streamList(list: PictureList, plan: PictureSetPlan): Promise<StreamedDataset> {
  await refuseFaultyList(list, plan);
  const { form, broken, signal } = plan;
  const found = await inspectAll(list.files, form.limitInputPixels, signal, plan.onProgress);
  const faults = [...list.broken, ...found.values()];
  const kept = [...list.files.keys()].filter((index) => !found.has(index));
  refuseBroken(list, plan, faults, kept.length);
  if (kept.length === 0) throw new DenseNetError('ERR_DATASET', `${list.place} holds no picture that can be read.`);
  const { files, labels } = chooseFrom(list, kept);
  const cache = await makeCache(plan.cache, form);
  const leftOut = new Set<number>();
  const read = async (index: number): Promise<Uint8Array | undefined> => {
    const file = files[index] as string;
    try {
      return await cache.get(file, async () => (await readPicture(file, form)).data as Uint8Array);
    } catch (error) {
      const fault = pictureFault(error);
      if (broken === 'refuse') throw changed(fault);
      // Once a picture: a decoder does not say the same of it each time.
      if (!leftOut.has(index)) faults.push(fault.message);
      leftOut.add(index);
      return undefined;
    }
  };
  return {
    kind: 'streamed',
    size: kept.length,
    imageShape: [form.channels, form.size[0], form.size[1]],
    dtype: 'uint8',
    labels,
    classes: list.classes,
    files,
    read,
    ...(broken === 'skip' ? { skipped: faults } : {}),
  };
}

function changed(fault: DenseNetError): DenseNetError {
  const reason = isDenseNetError(fault.cause) ? fault.cause.message : fault.message;
  return new DenseNetError(
    'ERR_DATASET',
    `${reason} Its header could be read before: the file is damaged, or was changed since. ${SKIP_ADVICE}`,
    { cause: fault },
  );
}
