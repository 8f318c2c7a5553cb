import { DenseNetError } from '../errors';
import type { TensorData } from '../tensor';
import { invalidArgument, show, typedArrayKind } from '../validate';

const kinds = ['Int32Array', 'BigInt64Array', 'Uint8Array'];

/** Names for classes that have none: their indices as text. */
export function indexNames(classes: number): string[] {
  return Array.from({ length: classes }, (_, index) => String(index));
}

/** One class index an image, and the classes' names: those given, or the indices up to the highest label. */
export function toClasses(labels: unknown, images: number, names: readonly string[] | undefined) {
  const most = (names?.length ?? 1_000_000) - 1;
  const indices = toIndices(labels, labels, images, {
    list: 'an array of numbers, an Int32Array, a BigInt64Array or a Uint8Array',
    label: `a whole number from 0 to ${most}`,
    accepts: (label) => label >= 0 && label <= most,
  });
  const highest = indices.reduce((most, label) => Math.max(most, label), 0);
  return { labels: indices, classes: [...(names ?? indexNames(highest + 1))] };
}

/** What a label may be. */
export interface LabelRule {
  /** What the list of them may be, for messages. */
  list: string;
  /** What one of them must be, for messages. */
  label: string;
  accepts: (label: number) => boolean;
  /** The tensor that they came in, if any, whose shape must be theirs. */
  tensor?: Partial<TensorData> | null | undefined;
}

/**
 * Labels as class indices, one an image.
 *
 * @param values The labels themselves.
 * @param given What the caller passed, for messages.
 * @throws DenseNetError `ERR_INVALID_ARGUMENT` or `ERR_LABEL_OUT_OF_RANGE`.
 */
export function toIndices(values: unknown, given: unknown, images: number, rule: LabelRule): Int32Array {
  if (!Array.isArray(values) && !kinds.includes(typedArrayKind(values) ?? ''))
    throw invalidArgument('labels', rule.list, given);
  const labels = values as ArrayLike<unknown>;
  if (labels.length !== images)
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `labels has ${labels.length} labels for ${images} images. Give one label an image.`,
    );
  const { tensor } = rule;
  if (tensor != null && String(tensor.shape) !== String([images]))
    throw invalidArgument('labels.shape', `[${images}], one label an image`, tensor.shape);
  return Int32Array.from({ length: images }, (_, index) => {
    const value = labels[index];
    const label = typeof value === 'bigint' ? Number(value) : value;
    if (typeof label === 'number' && Number.isInteger(label) && rule.accepts(label)) return label;
    throw new DenseNetError('ERR_LABEL_OUT_OF_RANGE', `labels[${index}] must be ${rule.label}; got ${show(value)}.`);
  });
}
