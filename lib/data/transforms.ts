import { makeTransform, type AffineOptions, type Transform } from './transform';

export type { AffineOptions, Transform } from './transform';

/**
 * Pads each image with zeros (black, for raw pixels) on every side and cuts its old size out at a random place: the
 * CIFAR augmentation of the paper (section 4.1).
 *
 * @param options `padding` in pixels, at least 1, default 4.
 */
export function randomCrop(options?: { padding?: number }): Transform {
  return makeTransform('options', 'randomCrop', options);
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
 * Slants, turns and scales an image about its centre and moves it, with bilinear sampling; what comes from outside is
 * zero. As torchvision's RandomAffine, in one sampling.
 */
export function randomAffine(options?: AffineOptions): Transform {
  return makeTransform('options', 'randomAffine', options);
}
