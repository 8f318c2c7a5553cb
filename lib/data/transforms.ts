import { checkInteger, checkNumber, checkOneOf, checkOptions, invalidArgument } from '../validate';

/** One random change of the training images, made natively on whole batches; each image draws its own. */
export type Transform =
  | { readonly type: 'randomCrop'; readonly padding: number }
  | { readonly type: 'randomHorizontalFlip'; readonly probability: number };

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

/** Checks a list of transforms, also one whose members were written by hand. */
export function checkTransforms(name: string, value: unknown): Transform[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalidArgument(name, 'an array of transforms', value);
  return value.map((item: unknown, index) => {
    const transform = item as Transform | null;
    if (typeof transform !== 'object' || transform === null) throw invalidArgument(`${name}[${index}]`, 'a transform', item);
    checkOneOf(`${name}[${index}].type`, transform.type, ['randomCrop', 'randomHorizontalFlip']);
    return transform.type === 'randomCrop'
      ? randomCrop({ padding: transform.padding })
      : randomHorizontalFlip({ probability: transform.probability });
  });
}
