import type { ModelConfig } from './config';
import type { Device } from './run-options';
import type { Variant } from './variants';

/** Options of `DenseNet.create`: a variant, single fields of the configuration, or both. */
export interface CreateOptions extends Partial<ModelConfig> {
  /** A known configuration, default `densenet121`; single fields given beside it take its place. */
  variant?: Variant;
  /** Default `auto`. */
  device?: Device;
  /**
   * What computes, default `auto`: the engine, which takes a dense block and what follows it as one operator, and module
   * by module what it does not cover. `reference`: everything module by module, as the paper draws it. The numbers are
   * the same up to rounding. Not saved with the model.
   */
  implementation?: 'auto' | 'reference';
  /**
   * What the engine keeps of a training step's forward pass for its backward pass. `fast`: the outputs of the 1×1
   * convolutions too; `efficient`: they are computed again, and the peak of a step is a half to three quarters of that;
   * `auto`, the default: fast where that takes less than four fifths of the free memory. Not saved with the model.
   */
  memory?: 'auto' | 'fast' | 'efficient';
  /**
   * Decides the first weights, a whole number of at least 0; without it they come from libtorch's own generator (see
   * `manualSeed`).
   */
  seed?: number;
}
