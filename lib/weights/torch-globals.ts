import { MeaningError, type PickleMeaning } from './pickle';
import {
  describe,
  Inert,
  PickleDict,
  PickleList,
  PickleTuple,
  StorageNode,
  TensorNode,
  type PickleGlobal,
  type PickleValue,
} from './pickle-values';
import { dtypeSize, reachOf, type Dtype } from './tensor-entry';

/** The classes of storages and the type of their elements; nothing for bytes without one. */
const storageDtypes = new Map<string, Dtype | undefined>([
  ['torch.DoubleStorage', 'F64'],
  ['torch.FloatStorage', 'F32'],
  ['torch.HalfStorage', 'F16'],
  ['torch.BFloat16Storage', 'BF16'],
  ['torch.LongStorage', 'I64'],
  ['torch.IntStorage', 'I32'],
  ['torch.ShortStorage', 'I16'],
  ['torch.CharStorage', 'I8'],
  ['torch.ByteStorage', 'U8'],
  ['torch.BoolStorage', 'BOOL'],
  ['torch.storage.UntypedStorage', undefined],
]);

/** torch.dtype's names, the short ones too. */
const dtypes = new Map<string, Dtype>([
  ['torch.float64', 'F64'],
  ['torch.double', 'F64'],
  ['torch.float32', 'F32'],
  ['torch.float', 'F32'],
  ['torch.float16', 'F16'],
  ['torch.half', 'F16'],
  ['torch.bfloat16', 'BF16'],
  ['torch.int64', 'I64'],
  ['torch.long', 'I64'],
  ['torch.int32', 'I32'],
  ['torch.int', 'I32'],
  ['torch.int16', 'I16'],
  ['torch.short', 'I16'],
  ['torch.int8', 'I8'],
  ['torch.uint8', 'U8'],
  ['torch.bool', 'BOOL'],
]);

/** What each callable global makes of its arguments. */
const calls: Readonly<Record<string, (args: readonly PickleValue[]) => PickleValue>> = {
  'collections.OrderedDict': makeDict,
  'torch._utils._rebuild_tensor': (args) => makeTensor('_rebuild_tensor', args, 4, 4),
  'torch._utils._rebuild_tensor_v2': (args) => makeTensor('_rebuild_tensor_v2', args, 6, 7),
  'torch._utils._rebuild_tensor_v3': makeTypedTensor,
  'torch._utils._rebuild_parameter': (args) => makeParameter(args, 3),
  'torch._utils._rebuild_parameter_with_state': (args) => makeParameter(args, 4),
  'torch.nn.parameter.Parameter': (args) => makeParameter(args, 2),
  'torch.Size': ([size]) => (size instanceof PickleTuple ? size : new PickleTuple([])),
  'torch.device': () => new Inert('torch.device'),
};
const callable = new Map(Object.entries(calls));

/**
 * What the names in torch's pickles mean, and no other name means anything.
 *
 * @param findStorage Turns a persistent id, checked to be a tuple that begins with the given word, into a storage.
 */
export function torchMeaning(findStorage: (kind: string, id: readonly PickleValue[]) => PickleValue): PickleMeaning {
  return {
    knows: (path) => callable.has(path) || storageDtypes.has(path) || dtypes.has(path),
    reduce: (target, args) => {
      const call = callable.get(target.path);
      if (call === undefined) throw new MeaningError(`it calls ${target.path}, which is not a function`);
      return call(args);
    },
    persistent: (id) => {
      if (!(id instanceof PickleTuple)) throw new MeaningError(`a persistent id is ${describe(id)}, not a tuple`);
      const [kind, ...rest] = id.items;
      if (typeof kind !== 'string') throw new MeaningError(`a persistent id begins with ${describe(kind)}`);
      return findStorage(kind, rest);
    },
  };
}

/**
 * The storage of a persistent id's class, key and number of elements; something inert when the class is not known.
 *
 * @param view Where a view of the storage begins and its length, in elements.
 */
export function makeStorage(
  type: PickleValue | undefined,
  key: PickleValue | undefined,
  count: PickleValue | undefined,
  view?: { start: PickleValue | undefined; count: PickleValue | undefined },
): StorageNode | Inert {
  const name = storageKey(key);
  if (type instanceof Inert) return type;
  if (typeof type !== 'object' || type?.kind !== 'global' || !storageDtypes.has(type.path))
    throw new MeaningError(`a storage has ${describe(type)} in the place of its class`);
  const dtype = storageDtypes.get(type.path);
  const size = dtype === undefined ? 1 : dtypeSize[dtype];
  const bytes = product(length(count, 'a storage has a length of'), size);
  const start = view === undefined ? 0 : product(length(view.start, 'a view of a storage begins at'), size);
  const ownBytes =
    view === undefined ? bytes : product(length(view.count, 'a view of a storage has a length of'), size);
  if (start + ownBytes > bytes)
    throw new MeaningError(`a view of a storage reaches to byte ${start + ownBytes}, and the storage has ${bytes}`);
  return new StorageNode(name, dtype, start, ownBytes, bytes);
}

/** A storage's key as text; old files have numbers. */
export function storageKey(key: PickleValue | undefined): string {
  if (typeof key === 'string' || typeof key === 'number') return String(key);
  throw new MeaningError(`a storage has the key ${describe(key)}`);
}

function makeDict(args: readonly PickleValue[]): PickleValue {
  const dict = new PickleDict();
  const [pairs] = args;
  if (pairs === undefined) return dict;
  // Python 2 writes the pairs as the one argument.
  if (!(pairs instanceof PickleList) || args.length !== 1)
    throw new MeaningError(`an OrderedDict is made of ${describe(pairs)}`);
  for (const pair of pairs.items) {
    const items = pair instanceof PickleList || pair instanceof PickleTuple ? pair.items : [];
    if (items.length !== 2) throw new MeaningError(`an OrderedDict has ${describe(pair)} in the place of a pair`);
    const [key, value] = items as [PickleValue, PickleValue];
    if (dict.entries.has(key)) throw new MeaningError(`a dictionary has the key ${describe(key)} twice`);
    dict.entries.set(key, value);
  }
  dict.depth = pairs.depth;
  return dict;
}

/** storage, offset, shape, strides, requires_grad, hooks, metadata */
function makeTensor(call: string, args: readonly PickleValue[], least: number, most: number): PickleValue {
  if (args.length < least || args.length > most)
    throw new MeaningError(`${call} has ${args.length} arguments, and it takes ${least} to ${most}`);
  const [storage, offset, shape, strides, , , metadata] = args;
  if (storage instanceof Inert) return storage;
  if (!(storage instanceof StorageNode)) throw new MeaningError(`a tensor lies in ${describe(storage)}, not a storage`);
  if (hasMetadata(metadata)) return new Inert('a conjugated or negated tensor');
  if (storage.dtype === undefined) throw new MeaningError('a tensor lies in a storage without an element type');
  return viewOf(storage, storage.dtype, offset, shape, strides);
}

/** storage, offset, shape, strides, requires_grad, hooks, dtype, metadata */
function makeTypedTensor(args: readonly PickleValue[]): PickleValue {
  if (args.length < 7 || args.length > 8)
    throw new MeaningError(`_rebuild_tensor_v3 has ${args.length} arguments, and it takes 7 to 8`);
  const [storage, offset, shape, strides, , , type, metadata] = args;
  if (storage instanceof Inert) return storage;
  if (type instanceof Inert) return type;
  if (!(storage instanceof StorageNode)) throw new MeaningError(`a tensor lies in ${describe(storage)}, not a storage`);
  if (hasMetadata(metadata)) return new Inert('a conjugated or negated tensor');
  const dtype =
    typeof type === 'object' && type?.kind === 'global' ? dtypes.get((type satisfies PickleGlobal).path) : undefined;
  if (dtype === undefined) throw new MeaningError(`a tensor has ${describe(type)} in the place of its element type`);
  return viewOf(storage, dtype, offset, shape, strides);
}

/** Whether a tensor's metadata say that its values are not what its bytes are. */
function hasMetadata(metadata: PickleValue | undefined): boolean {
  if (metadata === undefined || metadata === null) return false;
  return !(metadata instanceof PickleDict) || [...metadata.entries.values()].some((value) => value !== false);
}

function makeParameter(args: readonly PickleValue[], most: number): PickleValue {
  const [tensor] = args;
  if (args.length < 1 || args.length > most) throw new MeaningError(`a Parameter has ${args.length} arguments`);
  if (tensor instanceof TensorNode || tensor instanceof Inert) return tensor;
  throw new MeaningError(`a Parameter is made of ${describe(tensor)}, not a tensor`);
}

function viewOf(
  storage: StorageNode,
  dtype: Dtype,
  offset: PickleValue | undefined,
  shape: PickleValue | undefined,
  strides: PickleValue | undefined,
): TensorNode {
  const size = dtypeSize[dtype];
  const from = product(length(offset, 'a tensor begins at'), size);
  const lengths = lengthsOf(shape, 'shape');
  const steps = lengthsOf(strides, 'strides');
  if (lengths.length !== steps.length)
    throw new MeaningError(`a tensor has ${lengths.length} axes and ${steps.length} strides`);
  const reach = reachOf(lengths, steps);
  const bytes = reach === undefined ? NaN : reach * size;
  if (!Number.isSafeInteger(bytes)) throw new MeaningError('a tensor has a shape or strides too large to be true');
  if (from + bytes > storage.bytes)
    throw new MeaningError(`a tensor reaches to byte ${from + bytes} of its storage, which has ${storage.bytes}`);
  return new TensorNode(storage, dtype, storage.start + from, lengths, steps, bytes);
}

function lengthsOf(value: PickleValue | undefined, what: string): number[] {
  if (!(value instanceof PickleTuple) || value.items.length > 64)
    throw new MeaningError(`a tensor has ${describe(value)} in the place of its ${what}`);
  return value.items.map((item) => length(item, `a tensor's ${what} hold`));
}

function length(value: PickleValue | undefined, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new MeaningError(`${what} ${describe(value)}`);
}

function product(a: number, b: number): number {
  const result = a * b;
  if (!Number.isSafeInteger(result)) throw new MeaningError('a storage has a length too large to be true');
  return result;
}
