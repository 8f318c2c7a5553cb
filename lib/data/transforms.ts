import { checkInteger, checkNumber, checkOneOf, checkOptions, invalidArgument } from '../validate';

/** One random change of the training images, made natively on whole batches; each image draws its own. */
export type Transform =
  | { readonly type: 'randomCrop'; readonly padding: number }
  | { readonly type: 'randomHorizontalFlip'; readonly probability: number }
  | { readonly type: 'randomAffine'; readonly degrees: number; readonly scale: readonly [number, number] };

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
 * Turns an image about its centre and scales it, with bilinear sampling; what comes from outside is zero.
 *
 * @param options `degrees`: the angle is drawn from ±degrees, 0 to 180, default 10. `scale`: the factor is drawn from
 *   [least, most], each above 0 and at most 10, default [1, 1].
 */
export function randomAffine(options?: { degrees?: number; scale?: readonly [number, number] }): Transform {
  const { degrees = 10, scale = [1, 1] } = checkOptions('options', options, ['degrees', 'scale']);
  checkNumber('degrees', degrees, 0, 180);
  if (!Array.isArray(scale) || scale.length !== 2) throw invalidArgument('scale', 'an array [least, most]', scale);
  const [least, most] = [checkNumber('scale[0]', scale[0], 0.01, 10), checkNumber('scale[1]', scale[1], 0.01, 10)];
  if (least > most) throw invalidArgument('scale', 'an array [least, most] in this order', scale);
  return { type: 'randomAffine', degrees, scale: [least, most] };
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
