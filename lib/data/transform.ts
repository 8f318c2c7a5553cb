import { checkInteger, checkNumber, checkOneOf, checkOptions, checkPositive, invalidArgument } from '../validate';

/** From and to. */
export type Range = readonly [number, number];

/** How far {@link randomAffine} goes; each image draws its own within these bounds. */
export interface AffineOptions {
  /** The angle is uniform in ±degrees, 0 to 180, default 10. */
  readonly degrees?: number;
  /** The way is uniform in ± these shares of width and height, each 0 to 1, default [0, 0]. */
  readonly translate?: Range;
  /** The factor is uniform between the two, each from 0.01 to 10, default [1, 1]. */
  readonly scale?: Range;
  /** The slant along x is uniform in ±shear degrees, 0 to 80, default 0. */
  readonly shear?: number;
}

/** Options of {@link randomResizedCrop}. */
export interface ResizedCropOptions {
  /** [height, width] of the result; `null`, the default, keeps the image's own. */
  readonly size?: Range | null;
  /** The share of the area that is cut out, uniform between the two, above 0 and at most 1, default [0.08, 1]. */
  readonly scale?: Range;
  /** Its width over its height, the logarithm uniform, each from 0.01 to 100, default [3/4, 4/3]. */
  readonly ratio?: Range;
  /** Default `bilinear`; both antialiased. */
  readonly interpolation?: 'bilinear' | 'bicubic';
}

/** Options of {@link colorJitter}; a number x stands for the range [1 - x, 1 + x], and for hue for [-x, x]. */
export interface JitterOptions {
  /** Factors, each at least 0; default none. */
  readonly brightness?: number | Range;
  /** Factors, each at least 0; default none. */
  readonly contrast?: number | Range;
  /** Factors, each at least 0; default none. Grey images keep it. */
  readonly saturation?: number | Range;
  /** Shares of the circle of colours, each from -0.5 to 0.5; default none. */
  readonly hue?: number | Range;
}

/** Options of {@link randomErasing}. */
export interface ErasingOptions {
  /** From 0 to 1, default 0.5. */
  readonly probability?: number;
  /** The share of the area, uniform between the two, above 0 and at most 1, default [0.02, 0.33]. */
  readonly scale?: Range;
  /** Height over width, the logarithm uniform, each from 0.01 to 100, default [0.3, 3.3]. */
  readonly ratio?: Range;
  /** What it is filled with, in the images' own units (0 to 255 for raw pixels), default 0; or random `noise`. */
  readonly value?: number | 'noise';
}

/** Options of {@link randAugment}. */
export interface RandAugmentOptions {
  /** Operations in a row, 1 to 10, default 2. */
  readonly operations?: number;
  /** Their strength, from 0 to below `bins`, default 9. */
  readonly magnitude?: number;
  /** Steps between no strength and the most, 2 to 1000, default 31. */
  readonly bins?: number;
}

/** The operations of RandAugment and TrivialAugment, and the strengths that {@link operation} takes for each. */
export const operationRanges = {
  identity: [0, 0],
  /** Tangent of the slant. */
  shearX: [-10, 10],
  shearY: [-10, 10],
  /** Whole pixels. */
  translateX: [-10_000, 10_000],
  translateY: [-10_000, 10_000],
  /** Degrees against the clock. */
  rotate: [-360, 360],
  /** Added to a factor of 1. */
  brightness: [-1, 10],
  color: [-1, 10],
  contrast: [-1, 10],
  sharpness: [-1, 10],
  /** Bits that are kept. */
  posterize: [1, 8],
  /** The threshold from which on values are inverted, of 255. */
  solarize: [0, 255],
  autoContrast: [0, 0],
  equalize: [0, 0],
} as const;

/** The name of an operation, see `transforms.operation`. */
export type OperationName = keyof typeof operationRanges;

/** One change of the training images, made natively on whole batches; where it is random, each image draws its own. */
export type Transform =
  | {
      readonly type: 'randomCrop';
      /** Pixels on each side, 1 to 1,024. */
      readonly padding: number;
    }
  | {
      readonly type: 'randomHorizontalFlip' | 'randomVerticalFlip';
      /** From 0 to 1. */
      readonly probability: number;
    }
  | ({ readonly type: 'randomResizedCrop' } & Required<ResizedCropOptions>)
  | ({ readonly type: 'randomAffine' } & Required<AffineOptions>)
  | ({ readonly type: 'colorJitter' } & Readonly<Record<keyof JitterOptions, Range>>)
  | ({ readonly type: 'randomErasing' } & Required<ErasingOptions>)
  | ({ readonly type: 'randAugment' } & Required<RandAugmentOptions>)
  | {
      readonly type: 'trivialAugment';
      /** Steps between no strength and the most, 2 to 1,000. */
      readonly bins: number;
    }
  | {
      readonly type: 'operation';
      /** Which one. */
      readonly operation: OperationName;
      /** Its strength, in the operation's own unit. */
      readonly magnitude: number;
    };

type TransformType = Transform['type'];

/** Checks one transform's options and fills in what is left out; `field` names a field in messages. */
type Make = (name: string, options: object | undefined, field: (key: string) => string) => object;

const makers: Record<TransformType, Make> = {
  randomCrop(name, options, field) {
    const { padding = 4 } = checkOptions<{ padding?: number }>(name, options, ['padding']);
    return { padding: checkInteger(field('padding'), padding, 1, 1024) };
  },
  randomHorizontalFlip: makeFlip,
  randomVerticalFlip: makeFlip,
  randomResizedCrop(name, options, field) {
    const keys = ['size', 'scale', 'ratio', 'interpolation'] as const;
    const given = checkOptions<ResizedCropOptions>(name, options, keys);
    const { size = null, scale = [0.08, 1], ratio = [3 / 4, 4 / 3], interpolation = 'bilinear' } = given;
    if (size !== null)
      for (const [axis, length] of checkRange(field('size'), size, 1, 65_535, false).entries())
        checkInteger(`${field('size')}[${axis}]`, length, 1, 65_535);
    checkOneOf(field('interpolation'), interpolation, ['bilinear', 'bicubic']);
    return { size, interpolation, ...checkRectangle(field, scale, ratio) };
  },
  randomAffine(name, options, field) {
    const known = ['degrees', 'translate', 'scale', 'shear'] as const;
    const given = checkOptions<AffineOptions>(name, options, known);
    const { degrees = 10, translate = [0, 0], scale = [1, 1], shear = 0 } = given;
    checkNumber(field('degrees'), degrees, 0, 180);
    checkNumber(field('shear'), shear, 0, 80);
    const way = checkRange(field('translate'), translate, 0, 1, false);
    return { degrees, translate: way, scale: checkRange(field('scale'), scale, 0.01, 10), shear };
  },
  colorJitter(name, options, field) {
    const keys = ['brightness', 'contrast', 'saturation', 'hue'] as const;
    const given = checkOptions<JitterOptions>(name, options, keys);
    return Object.fromEntries(
      keys.map((key) => {
        const [low, high, middle] = key === 'hue' ? [-0.5, 0.5, 0] : [0, 100, 1];
        const value = given[key] ?? 0;
        if (typeof value !== 'number') return [key, checkRange(field(key), value, low, high)];
        checkNumber(field(key), value, 0, high);
        return [key, [Math.max(middle - value, low), middle + value]];
      }),
    );
  },
  randomErasing(name, options, field) {
    const keys = ['probability', 'scale', 'ratio', 'value'] as const;
    const given = checkOptions<ErasingOptions>(name, options, keys);
    const { probability = 0.5, scale = [0.02, 0.33], ratio = [0.3, 3.3], value = 0 } = given;
    checkNumber(field('probability'), probability, 0, 1);
    if (value !== 'noise' && (typeof value !== 'number' || !Number.isFinite(value)))
      throw invalidArgument(field('value'), 'a finite number or "noise"', value);
    return { probability, value, ...checkRectangle(field, scale, ratio) };
  },
  randAugment(name, options, field) {
    const keys = ['operations', 'magnitude', 'bins'] as const;
    const { operations = 2, magnitude = 9, bins = 31 } = checkOptions<RandAugmentOptions>(name, options, keys);
    checkInteger(field('operations'), operations, 1, 10);
    checkInteger(field('bins'), bins, 2, 1000);
    checkInteger(field('magnitude'), magnitude, 0, bins - 1);
    return { operations, magnitude, bins };
  },
  trivialAugment(name, options, field) {
    const { bins = 31 } = checkOptions<{ bins?: number }>(name, options, ['bins']);
    return { bins: checkInteger(field('bins'), bins, 2, 1000) };
  },
  operation(name, options, field) {
    const keys = ['operation', 'magnitude'] as const;
    const given = checkOptions<{ operation?: OperationName; magnitude?: number }>(name, options, keys);
    const { operation, magnitude = 0 } = given;
    const known = checkOneOf(field('operation'), operation, Object.keys(operationRanges) as OperationName[]);
    const [low, high] = operationRanges[known];
    if (known === 'posterize') checkInteger(field('magnitude'), magnitude, low, high);
    return { operation, magnitude: checkNumber(field('magnitude'), magnitude, low, high) };
  },
};

const types = Object.keys(makers) as TransformType[];

function makeFlip(name: string, options: object | undefined, field: (key: string) => string): object {
  const { probability = 0.5 } = checkOptions<{ probability?: number }>(name, options, ['probability']);
  return { probability: checkNumber(field('probability'), probability, 0, 1) };
}

function checkRectangle(field: (key: string) => string, scale: Range, ratio: Range): object {
  const [least] = checkRange(field('scale'), scale, 0, 1);
  checkPositive(`${field('scale')}[0]`, least, 1);
  return { scale: [...scale], ratio: checkRange(field('ratio'), ratio, 0.01, 100) };
}

/** Checks two numbers between limits; a range is in order, a pair need not be. */
function checkRange(name: string, value: unknown, min: number, max: number, ordered = true): [number, number] {
  if (!Array.isArray(value) || value.length !== 2) throw invalidArgument(name, 'an array of two numbers', value);
  const low = checkNumber(`${name}[0]`, value[0], min, max);
  const high = checkNumber(`${name}[1]`, value[1], min, max);
  if (ordered && low > high) throw invalidArgument(name, 'an array [least, most] in this order', value);
  return [low, high];
}

/** Checks one transform's options and fills in what is left out; `name` stands before each field in messages. */
export function makeTransform(name: string, type: TransformType, options: object | undefined): Transform {
  const field = (key: string): string => (name === 'options' ? key : `${name}.${key}`);
  return { type, ...makers[type](name, options, field) } as Transform;
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
    return makeTransform(place, checkOneOf(`${place}.type`, type, types), options);
  });
}

/** The shape N×C×H×W that transforms bring images to. */
export function shapeAfter(shape: readonly number[], transforms: readonly Transform[]): number[] {
  let [, , height = 0, width = 0] = shape;
  for (const one of transforms) if (one.type === 'randomResizedCrop' && one.size !== null) [height, width] = one.size;
  return [...shape.slice(0, 2), height, width];
}

/** Transforms as the native side takes them. */
export function toNative(transforms: readonly Transform[]): object[] {
  return transforms.map((one) => (one.type === 'randomResizedCrop' ? { ...one, size: one.size ?? [0, 0] } : one));
}
