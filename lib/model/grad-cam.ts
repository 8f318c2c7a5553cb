import { DenseNetError } from '../errors';
import { checkImages, type TensorData } from '../tensor';
import { checkBoolean, checkInteger, checkOneOf, checkOptions, invalidArgument } from '../validate';
import { checkImageLength } from './config';
import { featureInfo } from './feature-info';
import type { ModelHandle } from './handle';
import { joinEqual, readPictures, toSources, type PredictInput } from './prediction';

/** Options of `DenseNet.gradCam`. */
export interface GradCamOptions {
  /** The class that is looked for: an index for all images, or one for each; default the most probable of each. */
  class?: number | readonly number[];
  /** The part whose output is looked at, see `DenseNet.featureInfo`, all but `norm0`; default `relu5`, the last. */
  layer?: string;
  /** Whether the map is brought to the image's size, bilinearly; default true. Otherwise it is the part's own. */
  fullSize?: boolean;
  /** `float32`, the default; or `uint8`, from 0 to 255 for the hottest place of each map, for showing it. */
  dtype?: 'float32' | 'uint8';
}

/** Where in an image the network sees a class. */
export interface HeatMap {
  /** The index of the class that was looked for. */
  index: number;
  /** Its name, or its index as text where the model knows no names. */
  label: string;
  /** height×width, each at least 0 and on no scale of its own: only values of one map can be compared. */
  map: TensorData;
}

/** Grad-CAM for images, one map each, in order. */
export async function gradCam(handle: ModelHandle, input: PredictInput, options?: GradCamOptions): Promise<HeatMap[]> {
  const given = checkOptions('options', options, ['class', 'layer', 'fullSize', 'dtype']);
  const { class: wanted, layer = 'relu5', fullSize = true, dtype = 'float32' } = given;
  const layers = featureInfo(handle.config).map(({ name }) => name);
  checkOneOf(
    'layer',
    layer,
    layers.filter((name) => name !== 'norm0'),
  );
  checkBoolean('fullSize', fullSize);
  checkOneOf('dtype', dtype, ['float32', 'uint8']);
  const images = checkImages('images', await toImages(handle, input), handle.config.inChannels);
  checkImageLength(handle.config, images.shape);
  const count = images.shape[0] as number;
  checkClasses(wanted, count, handle.config.numClasses);
  const kept = handle.keep(images);
  return handle.call(async (native) => {
    // Those of this call's turn: one in front of it may have changed them.
    const { numClasses, classes: names } = handle.config;
    const classes = checkClasses(wanted, count, numClasses);
    const found = await native.gradCam(kept, layer, classes, fullSize, dtype === 'uint8');
    const shape = found.maps.shape.slice(1);
    const length = found.maps.data.length / count;
    return found.classes.map((index, image) => ({
      index,
      label: names?.[index] ?? String(index),
      map: { data: found.maps.data.slice(image * length, (image + 1) * length), shape: [...shape] },
    }));
  });
}

async function toImages(handle: ModelHandle, input: PredictInput): Promise<TensorData> {
  const sources = toSources(input);
  if (sources === undefined) return input as TensorData;
  const batches = joinEqual(await readPictures(handle, sources));
  if (batches.length > 1)
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      'the pictures differ in size, and the model has no imageSize that they could be brought to. Pass them one by one.',
    );
  return batches[0] as TensorData;
}

/** A class for each image, -1 for the most probable. */
function checkClasses(wanted: unknown, count: number, numClasses: number): number[] {
  if (wanted === undefined) return Array<number>(count).fill(-1);
  if (!Array.isArray(wanted)) return Array<number>(count).fill(checkInteger('class', wanted, 0, numClasses - 1));
  if (wanted.length !== count) throw invalidArgument('class', `a class index, or ${count}, one an image`, wanted);
  return Array.from(wanted, (one: unknown, index) => checkInteger(`class[${index}]`, one, 0, numClasses - 1));
}
