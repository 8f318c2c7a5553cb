import { isPictureSource, readPicture, type PictureForm, type PictureSource } from '../data/picture';
import type { NativeTopClasses } from '../native';
import { checkImages, type TensorData } from '../tensor';
import { checkInteger, checkOptions, invalidArgument } from '../validate';
import { checkImageLength, type ModelConfig } from './config';
import type { ModelHandle } from './handle';

/** A class and how probable it is. */
export interface ClassProbability {
  /** The class's name, or its index as text where the model knows no names. */
  label: string;
  /** From 0 to below `numClasses`. */
  index: number;
  /** From 0 to 1. */
  probability: number;
}

/** What the model says of one image: its most probable class, and the runners-up. */
export interface Prediction extends ClassProbability {
  /** The `topK` most probable classes, best first; the first is the prediction itself. */
  top: ClassProbability[];
}

/** Options of `DenseNet.predict`. */
export interface PredictOptions {
  /** How many classes each prediction lists, from 1 to `numClasses`, default 5 or all when there are fewer. */
  topK?: number;
  /**
   * Pictures that are decoded and classified at once, from 1 to 65,536, default 16; arrays are classified as they come.
   */
  batchSize?: number;
}

/** Classes that a prediction lists at most where nobody says how many. */
export const USUAL_TOP = 5;

/** What can be classified: images N×C×H×W as arrays, or encoded pictures. */
export type PredictInput = TensorData | PictureSource | readonly PictureSource[];

/** Classifies images, one prediction each, in order. */
export async function predict(
  handle: ModelHandle,
  input: PredictInput,
  options?: PredictOptions,
): Promise<Prediction[]> {
  const { topK, batchSize = 16 } = checkOptions('options', options, ['topK', 'batchSize']);
  if (topK !== undefined) checkInteger('topK', topK, 1, handle.config.numClasses);
  checkInteger('batchSize', batchSize, 1, 65_536);
  const sources = toSources(input);
  if (sources === undefined) return classify(handle, input as TensorData, topK);
  const predictions: Prediction[] = [];
  for (let start = 0; start < sources.length; start += batchSize) {
    const pictures = await readPictures(handle, sources.slice(start, start + batchSize));
    for (const batch of joinEqual(pictures)) predictions.push(...(await classify(handle, batch, topK)));
  }
  return predictions;
}

/** The encoded pictures of an input; undefined for arrays. */
export function toSources(input: unknown): readonly PictureSource[] | undefined {
  if (isPictureSource(input)) return [input];
  if (!Array.isArray(input)) return undefined;
  if (input.length === 0 || !input.every(isPictureSource))
    throw invalidArgument(
      'images',
      'images N×C×H×W as { data, shape }, or paths and encoded pictures, at least one',
      input,
    );
  return input;
}

/** The form in which a model takes pictures. */
export function pictureForm({
  inChannels: channels,
  imageSize: size,
  resizeSize,
  interpolation,
}: ModelConfig): PictureForm {
  return { channels, size, resizeSize, interpolation };
}

export function readPictures({ config }: ModelHandle, sources: readonly PictureSource[]): Promise<TensorData[]> {
  return Promise.all(sources.map((source) => readPicture(source, pictureForm(config))));
}

/** Joins neighbours of one size to batches; where the model has no size of its own, pictures may differ. */
export function joinEqual(pictures: readonly TensorData[]): TensorData[] {
  const groups: TensorData[][] = [];
  for (const picture of pictures) {
    const group = groups.at(-1);
    if (group?.[0]?.shape.join() === picture.shape.join()) group.push(picture);
    else groups.push([picture]);
  }
  return groups.map((group) => {
    const { shape, data } = group[0] as TensorData;
    const joined = new Uint8Array(group.length * data.length);
    group.forEach((picture, index) => joined.set(picture.data as Uint8Array, index * data.length));
    return { data: joined, shape: [group.length, ...shape.slice(1)] };
  });
}

async function classify(handle: ModelHandle, input: TensorData, topK: number | undefined): Promise<Prediction[]> {
  const images = checkImages('images', input, handle.config.inChannels);
  checkImageLength(handle.config, images.shape);
  const kept = handle.keep(images);
  return handle.call(async (native) => {
    // Those of this call's turn: one in front of it may have changed them, and one behind it may yet.
    const { numClasses, classes } = handle.config;
    const k = topK ?? Math.min(USUAL_TOP, numClasses);
    checkInteger('topK', k, 1, numClasses);
    return toPredictions(await native.predict(kept, k), classes);
  });
}

function toPredictions(
  { images, k, index, probability }: NativeTopClasses,
  classes: readonly string[] | null,
): Prediction[] {
  return Array.from({ length: images }, (_, image) => {
    const ranked = Array.from({ length: k }, (__, rank): ClassProbability => {
      const place = image * k + rank;
      const found = index[place] as number;
      return { label: classes?.[found] ?? String(found), index: found, probability: probability[place] as number };
    });
    return { ...(ranked[0] as ClassProbability), top: ranked };
  });
}
