import type { TensorEntry } from './tensor-entry';

/**
 * Which tensors of a file can be made to fit a model of other input channels or classes. Only the decision is taken here;
 * native code computes on the tensors.
 */

/** The shape of a parameter or buffer of the model. */
export interface Target {
  name: string;
  shape: readonly number[];
}

/** The one tensor that the number of input channels decides. */
const firstConvolution = 'features.conv0.weight';

/** Channels that the filters of a file must have to be adapted: red, green and blue. */
const RGB = 3;

/**
 * The entry with its filters adapted to the model's input channels: for one channel the sum over red, green and blue; for
 * more the three repeated in turn, all scaled by 3/C, so that the response to grey stays what it was. The rule is timm's.
 * Nothing when the entry is no filter of RGB, or differs in more than its channels.
 */
export function adaptInput(entry: TensorEntry, target: Target): TensorEntry | undefined {
  const [count, channels, ...kernel] = entry.shape;
  const [ownCount, inChannels = 0, ...ownKernel] = target.shape;
  const fits =
    entry.name === firstConvolution &&
    channels === RGB &&
    entry.shape.length === target.shape.length &&
    count === ownCount &&
    kernel.join() === ownKernel.join();
  return fits ? { ...entry, adapt: { inChannels } } : undefined;
}

/** Whether a tensor is the classifier's. */
export function isClassifier(name: string): boolean {
  return name.startsWith('classifier.');
}

/** Whether an entry is the model's classifier but for the number of classes. */
export function hasOtherClasses(entry: TensorEntry, target: Target): boolean {
  return (
    isClassifier(entry.name) &&
    entry.shape.length === target.shape.length &&
    entry.shape[0] !== target.shape[0] &&
    entry.shape.slice(1).join() === target.shape.slice(1).join()
  );
}
