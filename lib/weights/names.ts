import { DenseNetError } from '../errors';

/** What training programs put before every name: data parallelism, `torch.compile`, a model within a model. */
const wrapper = /^(module|_orig_mod|model|densenet\d+)\./;

/** How other programs name what torchvision's names call otherwise; each is applied to what the one before left. */
const renamings: readonly [RegExp, string][] = [
  // torchvision's first files: `norm.1` for what is `norm1` now, buffers included.
  [/^(features\.denseblock\d+\.denselayer\d+\.(?:norm|conv))\.([12])\./, '$1$2.'],
  // MONAI
  [/^(features\.denseblock\d+\.denselayer\d+)\.layers\./, '$1.'],
  [/^class_layers\.out\./, 'classifier.'],
  // gpleiss
  [/^features\.norm_final\./, 'features.norm5.'],
  // CheXNet: the classifier is followed by a sigmoid, in a Sequential
  [/^classifier\.0\./, 'classifier.'],
];

/** Parts of networks that are no plain DenseNets, by the names that only they have. */
const foreign: readonly [RegExp, string][] = [
  [
    /^features\.(conv|norm)[12]\./,
    "timm's deep stem (three 3×3 convolutions in the place of one 7×7, as in densenetblur121d)",
  ],
  [/\.filt$/, "timm's blur pooling (as in densenetblur121d)"],
];

/**
 * The name that a tensor of a file has in this package, which is torchvision's. Names that no rule knows stay as they
 * are, less their wrappers.
 */
export function toModelName(name: string): string {
  let result = name;
  while (wrapper.test(result)) result = result.replace(wrapper, '');
  for (const [pattern, replacement] of renamings) result = result.replace(pattern, replacement);
  return result;
}

/**
 * Names of a file to the names of this package.
 *
 * @param file For messages.
 * @throws DenseNetError `ERR_WEIGHTS_MISMATCH` when two names come to one, or the network is of a kind that is not built
 *   here.
 */
export function toModelNames(file: string, names: readonly string[]): Map<string, string> {
  const result = new Map<string, string>();
  const origins = new Map<string, string>();
  for (const name of names) {
    const own = toModelName(name);
    const kind = foreign.find(([pattern]) => pattern.test(own))?.[1];
    if (kind !== undefined)
      throw new DenseNetError(
        'ERR_WEIGHTS_MISMATCH',
        `${file} holds ${name}, a part of ${kind}, which this package does not build. Use weights of a plain DenseNet.`,
      );
    const other = origins.get(own);
    if (other !== undefined)
      throw new DenseNetError(
        'ERR_WEIGHTS_MISMATCH',
        `${file} holds both ${other} and ${name}, and either would be ${own}. Save the one network alone.`,
      );
    origins.set(own, name);
    result.set(name, own);
  }
  return result;
}
