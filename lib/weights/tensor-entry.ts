import { elementCount } from '../tensor';

/** Bytes of an element, by the type's name in safetensors. */
export const dtypeSize = { F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U8: 1, BOOL: 1 } as const;

/** An element type that can be read. */
export type Dtype = keyof typeof dtypeSize;

/** Where a tensor lies in a file: all that native code needs to read it. Every parser ends in a list of these. */
export interface TensorEntry {
  name: string;
  dtype: Dtype;
  shape: number[];
  /** In elements. */
  strides: number[];
  /** Of the first byte, from the start of the file. */
  offset: number;
  /** Of the range in which the elements lie. */
  bytes: number;
  /** How native code changes the tensor on its way to the model; see adapt.ts. */
  adapt?: {
    /** O×3×H×W becomes O×inChannels×H×W. */
    inChannels: number;
  };
}

/** The strides of a tensor whose elements lie in row-major order without gaps. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let step = 1;
  for (const length of [...shape].reverse()) {
    strides.unshift(step);
    step *= Math.max(length, 1);
  }
  return strides;
}

/**
 * Elements from the first to the last that a shape and strides reach, both included: 0 for a tensor without elements,
 * undefined when that does not fit a safe integer. All numbers are safe integers of at least 0.
 */
export function reachOf(shape: readonly number[], strides: readonly number[]): number | undefined {
  if (shape.includes(0)) return 0;
  let last = 0;
  for (const [axis, length] of shape.entries()) last += (length - 1) * (strides[axis] as number);
  return Number.isSafeInteger(last + 1) && Number.isSafeInteger(elementCount(shape)) ? last + 1 : undefined;
}
