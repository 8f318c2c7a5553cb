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
