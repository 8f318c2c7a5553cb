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

/** Checks one transform's options and fills in what is left out; `name` stands before each field in messages. */
export function makeTransform(name: string, type: Transform['type'], options: object | undefined): Transform {
  const field = (key: string): string => (name === 'options' ? key : `${name}.${key}`);
  switch (type) {
    case 'randomCrop': {
      const { padding = 4 } = checkOptions<{ padding?: number }>(name, options, ['padding']);
      return { type, padding: checkInteger(field('padding'), padding, 1, 1024) };
    }
    case 'randomHorizontalFlip': {
      const { probability = 0.5 } = checkOptions<{ probability?: number }>(name, options, ['probability']);
      return { type, probability: checkNumber(field('probability'), probability, 0, 1) };
    }
    case 'randomAffine': {
      const known = ['degrees', 'translate', 'scale', 'shear'] as const;
      const {
        degrees = 10,
        translate = [0, 0],
        scale = [1, 1],
        shear = 0,
      } = checkOptions<AffineOptions>(name, options, known);
      checkNumber(field('degrees'), degrees, 0, 180);
      checkNumber(field('shear'), shear, 0, 80);
      const [x, y] = checkPair(field('translate'), translate, 0, 1);
      const [least, most] = checkPair(field('scale'), scale, 0.01, 10);
      if (least > most) throw invalidArgument(field('scale'), 'an array [least, most] in this order', scale);
      return { type, degrees, translate: [x, y], scale: [least, most], shear };
    }
  }
}

function checkPair(name: string, value: unknown, min: number, max: number): [number, number] {
  if (!Array.isArray(value) || value.length !== 2) throw invalidArgument(name, 'an array of two numbers', value);
  return [checkNumber(`${name}[0]`, value[0], min, max), checkNumber(`${name}[1]`, value[1], min, max)];
}

/** Checks a list of transforms, also one whose members were written by hand. */
export function checkTransforms(name: string, value: unknown): Transform[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalidArgument(name, 'an array of transforms', value);
  // Not map, which skips holes.
  return Array.from(value, (item: unknown, index) => {
    const place = `${name}[${index}]`;
    if (typeof item !== 'object' || item === null) throw invalidArgument(place, 'a transform', item);
    const { type, ...options } = item as Transform;
    return makeTransform(
      place,
      checkOneOf(`${place}.type`, type, ['randomCrop', 'randomHorizontalFlip', 'randomAffine']),
      options,
    );
  });
}
