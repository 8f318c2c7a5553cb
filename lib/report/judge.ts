import { areRows, type Dataset } from '../data/dataset';
import type { DenseNet } from '../model/densenet';
import type { TensorData } from '../tensor';
import { takeImages } from './collect';

/** Images that are classified at once. */
const AT_ONCE = 64;

/** What the model said of one image that it was tested on. */
export interface Judged {
  /** Its place in the data set. */
  image: number;
  /** The class that this is about: the one that it was taken for; or, with several labels, one of them. */
  seen: number;
  /** Whether the image is of that class, or has that label. */
  truth: boolean;
  /** Of that class or label. */
  probability: number;
  /** How far it is from what is true, from 0 to 1: a probability. */
  error: number;
  /** Whether what it was taken for is right. */
  right: boolean;
}

/**
 * Classifies every image of a data set.
 *
 * @returns One judgement an image; where an image may have several labels, one for each label that it has or seems to have.
 */
export async function judge(model: DenseNet, dataset: Dataset): Promise<Judged[]> {
  const judged: Judged[] = [];
  const several = areRows(dataset.labels);
  for (let start = 0; start < dataset.size; start += AT_ONCE) {
    const indices = Array.from({ length: Math.min(AT_ONCE, dataset.size - start) }, (_, index) => start + index);
    const { images, places } = await takeImages(dataset, indices);
    if (places.length > 0)
      judged.push(...(await (several ? judgeLabels : judgeClasses)(model, dataset, images, places)));
  }
  return judged;
}

async function judgeClasses(
  model: DenseNet,
  { labels }: Dataset,
  images: TensorData,
  places: readonly number[],
): Promise<Judged[]> {
  const predictions = await model.predict(images, { topK: 1 });
  return predictions.map(({ index: seen, probability }, row) => {
    const image = places[row] as number;
    const right = labels[image] === seen;
    return { image, seen, truth: right, probability, error: right ? 1 - probability : probability, right };
  });
}

async function judgeLabels(
  model: DenseNet,
  { labels, classes }: Dataset,
  images: TensorData,
  places: readonly number[],
): Promise<Judged[]> {
  const { data: logits } = await model.forward(images);
  return places.flatMap((image, row) =>
    classes.flatMap((_, seen): Judged[] => {
      const probability = 1 / (1 + Math.exp(-Number(logits[row * classes.length + seen])));
      const truth = (labels[image * classes.length + seen] as number) > 0.5;
      const right = truth === probability > 0.5;
      if (right && !truth) return [];
      return [{ image, seen, truth, probability, error: truth ? 1 - probability : probability, right }];
    }),
  );
}
