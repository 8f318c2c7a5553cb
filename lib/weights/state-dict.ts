import { DenseNetError } from '../errors';
import { elementCount } from '../tensor';
import type { Checkpoint } from './checkpoint';
import { trainingKey } from './config-metadata';
import { describe, Inert, PickleDict, TensorNode, type PickleValue } from './pickle-values';
import { dtypeSize, type TensorEntry } from './tensor-entry';

/** Where training programs keep the state dict in what they save, the one to prefer first. */
const containers = ['state_dict_ema', 'model_ema', 'state_dict', 'model'];

/** How the names of what a checkpoint of this package holds beside the model begin. */
export const trainingPrefix = 'trainer.';

/** Containers within containers that are opened. */
const MOST_CONTAINERS = 8;

/** The tensors of a checkpoint under the names that they have there. */
export interface StateDict {
  entries: TensorEntry[];
  /** What lies among the tensors and is none, by name, as a message calls it. */
  others: Map<string, string>;
}

/**
 * Finds a checkpoint's state dict, and the place of each of its tensors in the file. What this package's own checkpoints
 * hold beside the model is left out.
 *
 * @param name The file's, for messages.
 * @param options `training`: leaves nothing out.
 * @throws DenseNetError `ERR_FILE_FORMAT` when it holds none, or one whose tensors do not lie in the file.
 */
export function readStateDict(
  name: string,
  checkpoint: Checkpoint,
  { training = false }: { training?: boolean } = {},
): StateDict {
  const dict = openContainers(name, checkpoint.root);
  const entries: TensorEntry[] = [];
  const others = new Map<string, string>();
  for (const [key, value] of dict.entries) {
    if (!training && checkpoint.metadata[trainingKey] !== undefined && isOfTraining(key)) continue;
    if (value instanceof TensorNode && typeof key === 'string') entries.push(entryOf(name, key, value, checkpoint));
    else others.set(typeof key === 'string' ? key : describe(key), describe(value));
  }
  return { entries, others };
}

function isOfTraining(key: PickleValue): boolean {
  return typeof key === 'string' && key.startsWith(trainingPrefix);
}

function openContainers(name: string, root: PickleValue): PickleDict {
  let value = root;
  for (let level = 0; level <= MOST_CONTAINERS; level += 1) {
    if (!(value instanceof PickleDict)) throw noStateDict(name, value);
    const dict = value;
    const found = containers.map((key) => dict.get(key)).filter((inner) => inner !== undefined);
    // A container may be there and be None, or be an object that this package does not look into.
    const inner = found.find((one) => one instanceof PickleDict) ?? found.find((one) => one instanceof Inert);
    if (inner === undefined) {
      if ([...dict.entries.values()].some((one) => one instanceof TensorNode)) return dict;
      throw noTensors(name, dict);
    }
    value = inner;
  }
  throw new DenseNetError('ERR_FILE_FORMAT', `${name} has containers within containers without an end.`);
}

function noStateDict(name: string, value: PickleValue): DenseNetError {
  if (value instanceof Inert)
    return new DenseNetError(
      'ERR_FILE_FORMAT',
      `${name} holds a whole Python object, ${describe(value)}, and reading it would run its code. Save its weights ` +
        'alone: in Python, where the class can be imported, model = torch.load(path, weights_only=False), then ' +
        'torch.save(model.state_dict(), new_path).',
    );
  return new DenseNetError('ERR_FILE_FORMAT', `${name} holds ${describe(value)}, not a dictionary of tensors.`);
}

function noTensors(name: string, dict: PickleDict): DenseNetError {
  const keys = [...dict.entries.keys()].slice(0, 8).map(describe).join(', ');
  return new DenseNetError(
    'ERR_FILE_FORMAT',
    `${name} holds no tensors where a state dict is looked for: at its top, or under ${containers.join(', ')}. ` +
      `Its keys are ${keys || 'none'}. Save the state dict by itself: torch.save(model.state_dict(), path).`,
  );
}

function entryOf(file: string, name: string, tensor: TensorNode, checkpoint: Checkpoint): TensorEntry {
  const { dtype, shape, strides, bytes, byteOffset, storage } = tensor;
  // A stride of 0 lets a few bytes stand for a tensor of any size.
  if (elementCount(shape) * dtypeSize[dtype] > bytes)
    throw new DenseNetError(
      'ERR_FILE_FORMAT',
      `${file}: tensor ${describe(name)} of shape [${shape.join(', ')}] lies on ${bytes} bytes that it repeats. ` +
        'Save it with .contiguous().',
    );
  // An empty tensor may point anywhere; it has no bytes.
  const offset = checkpoint.locate(storage) + byteOffset;
  return { name, dtype, shape: [...shape], strides: [...strides], offset, bytes };
}
