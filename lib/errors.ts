import { types } from 'node:util';
import { DenseNetError } from './densenet-error';

/**
 * Every code that a {@link DenseNetError} can carry. Codes are stable: a program may compare them.
 */
export type ErrorCode =
  /** An argument has the wrong type, shape or value. */
  | 'ERR_INVALID_ARGUMENT'
  /** No known variant has that name. */
  | 'ERR_UNKNOWN_VARIANT'
  /** The picture is so small that nothing would be left of it inside the network. */
  | 'ERR_INPUT_TOO_SMALL'
  /** An image holds NaN or an infinity. */
  | 'ERR_NON_FINITE_INPUT'
  /** A label is not the index of a class. */
  | 'ERR_LABEL_OUT_OF_RANGE'
  /** The loss became NaN or infinite during training. */
  | 'ERR_NON_FINITE_LOSS'
  /** The model or trainer was disposed of, or the batcher closed. */
  | 'ERR_DISPOSED'
  /** The call would change a model that is being trained. */
  | 'ERR_BUSY'
  /** A batcher's queue is full. Trying again later may work. */
  | 'ERR_OVERLOADED'
  /** A CUDA device was asked for and there is none. */
  | 'ERR_CUDA_UNAVAILABLE'
  /** The machine ran out of memory. */
  | 'ERR_OUT_OF_MEMORY'
  /** The CUDA device ran out of memory. */
  | 'ERR_CUDA_OOM'
  /** The CUDA device is unusable after an earlier fault; the process must be started again. */
  | 'ERR_CUDA_POISONED'
  /** No libtorch was found. */
  | 'ERR_LIBTORCH_NOT_FOUND'
  /** The libtorch that was found is not the version that the addon was built against. */
  | 'ERR_LIBTORCH_VERSION'
  /** The process has already loaded another libtorch, and there is room for one. */
  | 'ERR_LIBTORCH_ALREADY_LOADED'
  /** The addon or libtorch could not be loaded. */
  | 'ERR_ADDON_LOAD'
  /** A download failed, or what arrived is not what was expected. */
  | 'ERR_DOWNLOAD'
  /** A picture claims more pixels than the limit. */
  | 'ERR_IMAGE_TOO_LARGE'
  /** A data set has faults; the message lists them. */
  | 'ERR_DATASET'
  /** A file could not be read or written. */
  | 'ERR_FILE'
  /** A file is not in the format that it should be in, or is damaged. */
  | 'ERR_FILE_FORMAT'
  /** A checkpoint is of another model, trainer, version or precision. */
  | 'ERR_CHECKPOINT_MISMATCH'
  /** The process that holds the models of a bridge ended; start it again, and connect anew. */
  | 'ERR_HOST_GONE'
  /** The client of a bridge named a file or folder that the app has not granted to it. */
  | 'ERR_NOT_GRANTED'
  /** A bridge refused a message: it is none of its own, or asks for what there is not. */
  | 'ERR_INVALID_MESSAGE'
  /** A request came from a page or frame that the app does not trust. */
  | 'ERR_UNTRUSTED_SENDER'
  /** Another run writes to the same folder. */
  | 'ERR_LOCKED'
  /** A file's tensors do not fit the model. */
  | 'ERR_WEIGHTS_MISMATCH'
  /** libtorch reported an error that has no code of its own here. */
  | 'ERR_LIBTORCH'
  /** A fault of this package; please report it. */
  | 'ERR_INTERNAL';

export { DenseNetError };

/**
 * Whether a value is a {@link DenseNetError}, also one that another copy of this package made.
 *
 * @param value Anything, such as what a `catch` got.
 */
export function isDenseNetError(value: unknown): value is DenseNetError {
  return types.isNativeError(value) && value.name === 'DenseNetError';
}

/** What an error says, for a message that says more. */
export function reasonOf(error: unknown): string {
  return error instanceof Error || types.isNativeError(error) ? error.message : String(error);
}

/** The one error for what cannot be read at all. */
export function cannotRead(place: string, error: unknown): DenseNetError {
  return new DenseNetError(
    'ERR_FILE',
    `${place} cannot be read: ${reasonOf(error)}. Check the path and its permissions.`,
    { cause: error },
  );
}

/** A file that cannot be written, and what the system says of it. */
export function fileError(file: string, error: unknown): DenseNetError {
  return new DenseNetError('ERR_FILE', `${file} cannot be written: ${reasonOf(error)}`, { cause: error });
}

/** Turns what native code or the system threw into a {@link DenseNetError}; one that is already comes back as it is. */
export function toDenseNetError(error: unknown, fallback: ErrorCode = 'ERR_INTERNAL'): DenseNetError {
  if (isDenseNetError(error)) return error;
  // Not instanceof: an error of native code, or of another realm, is no instance of this realm's class.
  if (!types.isNativeError(error)) return new DenseNetError(fallback, String(error), { cause: error });
  const code = (error as { code?: unknown }).code;
  const known = typeof code === 'string' && code.startsWith('ERR_DENSENET_');
  return known
    ? new DenseNetError(code.replace('ERR_DENSENET_', 'ERR_') as ErrorCode, error.message, { cause: error })
    : new DenseNetError(fallback, error.message, { cause: error });
}
