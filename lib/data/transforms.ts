import { loadNative } from '../runtime/load';
import { toDenseNetError } from '../errors';
import { checkImages, type TensorData } from '../tensor';
import { checkInteger, checkOptions } from '../validate';
import {
  checkTransforms,
  makeTransform,
  toNative,
  type AffineOptions,
  type ErasingOptions,
  type JitterOptions,
  type OperationName,
  type RandAugmentOptions,
  type ResizedCropOptions,
  type Transform,
} from './transform';

export type {
  AffineOptions,
  ErasingOptions,
  JitterOptions,
  OperationName,
  RandAugmentOptions,
  Range,
  ResizedCropOptions,
  Transform,
} from './transform';

/**
 * Pads each image with zeros (black, for raw pixels) on every side and cuts its old size out at a random place: the
 * CIFAR augmentation of the paper (section 4.1).
 *
 * @param options `padding` in pixels, 1 to 1,024, default 4.
 */
export function randomCrop(options?: { padding?: number }): Transform {
  return makeTransform('options', 'randomCrop', options);
}

/**
 * Cuts out a rectangle of random area and shape and brings it to a size, as torchvision's RandomResizedCrop: the ImageNet
 * augmentation of the paper's code (Szegedy et al., "Going Deeper with Convolutions", 2015).
 */
export function randomResizedCrop(options?: ResizedCropOptions): Transform {
  return makeTransform('options', 'randomResizedCrop', options);
}

/**
 * Mirrors an image left and right.
 *
 * @param options `probability` from 0 to 1, default 0.5.
 */
export function randomHorizontalFlip(options?: { probability?: number }): Transform {
  return makeTransform('options', 'randomHorizontalFlip', options);
}

/**
 * Mirrors an image top and bottom.
 *
 * @param options `probability` from 0 to 1, default 0.5.
 */
export function randomVerticalFlip(options?: { probability?: number }): Transform {
  return makeTransform('options', 'randomVerticalFlip', options);
}

/**
 * Slants, turns and scales an image about its centre and moves it, with bilinear sampling; what comes from outside is
 * zero. As torchvision's RandomAffine, in one sampling.
 */
export function randomAffine(options?: AffineOptions): Transform {
  return makeTransform('options', 'randomAffine', options);
}

/**
 * Turns an image about its centre: {@link randomAffine} with nothing but an angle.
 *
 * @param options `degrees`: the angle is uniform in ±degrees, 0 to 180, default 10.
 */
export function randomRotation(options?: { degrees?: number }): Transform {
  return makeTransform('options', 'randomAffine', checkOptions('options', options, ['degrees']));
}

/**
 * Changes brightness, contrast, saturation and hue by random factors, in an order of its own for each image, as
 * torchvision's ColorJitter. Floats are taken to be from 0 to 1, and are cut off there: use it on raw pixels, which are
 * normalised only afterwards. Grey images keep saturation and hue.
 */
export function colorJitter(options?: JitterOptions): Transform {
  return makeTransform('options', 'colorJitter', options);
}

/** Overwrites a random rectangle (Zhong et al., "Random Erasing Data Augmentation", 2020), as torchvision's RandomErasing. */
export function randomErasing(options?: ErasingOptions): Transform {
  return makeTransform('options', 'randomErasing', options);
}

/**
 * Some operations in a row, drawn for each image from torchvision's 14 and made at one strength (Cubuk et al.,
 * "RandAugment", 2020). Floats as for {@link colorJitter}.
 */
export function randAugment(options?: RandAugmentOptions): Transform {
  return makeTransform('options', 'randAugment', options);
}

/**
 * One operation of any strength for each image (Müller and Hutter, "TrivialAugment", 2021), as torchvision's
 * TrivialAugmentWide. Floats as for {@link colorJitter}.
 *
 * @param options `bins`: steps between no strength and the most, 2 to 1000, default 31.
 */
export function trivialAugment(options?: { bins?: number }): Transform {
  return makeTransform('options', 'trivialAugment', options);
}

/**
 * One of the operations of {@link randAugment} at one strength, on every image; nothing about it is random.
 *
 * @param operation `identity`, `shearX`, `shearY` (tangents), `translateX`, `translateY` (whole pixels), `rotate` (degrees
 *   against the clock), `brightness`, `color`, `contrast`, `sharpness` (added to a factor of 1), `posterize` (bits that
 *   are kept), `solarize` (a threshold of 255), `autoContrast`, `equalize`.
 * @param magnitude The strength, default 0; the last two and `identity` have none.
 */
export function operation(operation: OperationName, magnitude?: number): Transform {
  return makeTransform('options', 'operation', { operation, ...(magnitude === undefined ? {} : { magnitude }) });
}

/**
 * Applies transforms to images, as a run does it to its batches: to look at them, or for a loop of your own.
 *
 * @param images N×C×H×W, raw pixels or floats.
 * @param transforms In order.
 * @param options `seed` decides what is drawn, default 0.
 * @returns New images of the same kind, in the size that the transforms bring them to.
 * @throws DenseNetError `ERR_INVALID_ARGUMENT`.
 */
export async function apply(
  images: TensorData,
  transforms: readonly Transform[],
  options?: { seed?: number },
): Promise<TensorData> {
  const checked = checkImages('images', images);
  const list = toNative(checkTransforms('transforms', transforms));
  const { seed = 0 } = checkOptions('options', options, ['seed']);
  checkInteger('seed', seed, 0);
  const native = await loadNative();
  try {
    return await native.augment(checked, list, seed);
  } catch (error) {
    throw toDenseNetError(error);
  }
}
