import { checkInteger, checkNumber, checkOneOf, checkOptions, invalidArgument } from '../validate';

/** One random change of the training images, made natively on whole batches; each image draws its own. */
export type Transform =
  | { readonly type: 'randomCrop'; readonly padding: number }
  | { readonly type: 'randomHorizontalFlip'; readonly probability: number }
  | ({ readonly type: 'randomAffine' } & Required<AffineOptions>);

/** How far {@link randomAffine} goes; each image draws its own within these bounds. */
export interface AffineOptions {
  /** The angle is uniform in ±degrees, 0 to 180, default 10. */
  readonly degrees?: number;
  /** The way is uniform in ± these shares of width and height, each 0 to 1, default [0, 0]. */
  readonly translate?: readonly [number, number];
  /** The factor is uniform between the two, each from 0.01 to 10, default [1, 1]. */
  readonly scale?: readonly [number, number];
  /** The slant along x is uniform in ±shear degrees, 0 to 80, default 0. */
  readonly shear?: number;
}

/**
 * Pads each image with zeros (black, for raw pixels) on every side and cuts its old size out at a random place: the
 * CIFAR augmentation of the paper (section 4.1).
 *
 * @param options `padding` in pixels, at least 1, default 4.
 */
export function randomCrop(options?: { padding?: number }): Transform {
  const { padding = 4 } = checkOptions('options', options, ['padding']);
  return { type: 'randomCrop', padding: checkInteger('padding', padding, 1, 1024) };
}

/**
 * Mirrors an image left and right.
 *
 * @param options `probability` from 0 to 1, default 0.5.
 */
export function randomHorizontalFlip(options?: { probability?: number }): Transform {
  const { probability = 0.5 } = checkOptions('options', options, ['probability']);
  return { type: 'randomHorizontalFlip', probability: checkNumber('probability', probability, 0, 1) };
}

/**
 * Slants, turns and scales an image about its centre and moves it, with bilinear sampling; what comes from outside is
 * zero. As torchvision's RandomAffine, in one sampling.
 */
export function randomAffine(options?: AffineOptions): Transform {
  const {
    degrees = 10,
    translate = [0, 0],
    scale = [1, 1],
    shear = 0,
  } = checkOptions('options', options, ['degrees', 'translate', 'scale', 'shear']);
  checkNumber('degrees', degrees, 0, 180);
  checkNumber('shear', shear, 0, 80);
  const [x, y] = checkPair('translate', translate, 0, 1);
  const [least, most] = checkPair('scale', scale, 0.01, 10);
  if (least > most) throw invalidArgument('scale', 'an array [least, most] in this order', scale);
  return { type: 'randomAffine', degrees, translate: [x, y], scale: [least, most], shear };
}

function checkPair(name: string, value: unknown, min: number, max: number): [number, number] {
  if (!Array.isArray(value) || value.length !== 2) throw invalidArgument(name, 'an array of two numbers', value);
  return [checkNumber(`${name}[0]`, value[0], min, max), checkNumber(`${name}[1]`, value[1], min, max)];
}

/** Checks a list of transforms, also one whose members were written by hand. */
export function checkTransforms(name: string, value: unknown): Transform[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalidArgument(name, 'an array of transforms', value);
  return value.map((item: unknown, index) => {
    const transform = item as Transform | null;
    if (typeof transform !== 'object' || transform === null)
      throw invalidArgument(`${name}[${index}]`, 'a transform', item);
    switch (
      checkOneOf(`${name}[${index}].type`, transform.type, ['randomCrop', 'randomHorizontalFlip', 'randomAffine'])
    ) {
      case 'randomCrop':
        return randomCrop(withoutType(transform));
      case 'randomHorizontalFlip':
        return randomHorizontalFlip(withoutType(transform));
      case 'randomAffine':
        return randomAffine(withoutType(transform));
    }
  });
}

function withoutType({ type: _, ...options }: Transform): object {
  return options;
}
