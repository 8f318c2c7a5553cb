import type { Transform } from '../data/transform';
import type { ModelConfig } from '../model/config';
import type { CreateOptions } from '../model/densenet';
import type { RuntimeInfo } from '../runtime/info';
import type { TensorData } from '../tensor';
import type { FitOptions } from '../training/fit-options';
import type { TrainerOptions } from '../training/options';
import type { Unfreezing } from '../training/unfreezing';

// What programs on either side of a bridge see of it.

/**
 * The right to one file or folder. The main process gives it out after the person at the screen has chosen; it stands for a
 * path that the page never sees.
 */
export type Grant = string;

/** What a {@link Grant} is good for: reading the file, writing the file, or reading pictures below the folder. */
export type Access = 'read' | 'write' | 'folder';

/**
 * What the host runs on. As `RuntimeInfo`, but for what may name a path: where libtorch was found, and why CUDA is not used
 * and how to mend it. The host's own file can ask `runtimeInfo` for those.
 */
export interface HostInfo extends Pick<RuntimeInfo, 'version' | 'threads' | 'cpuCapability'> {
  /** The libtorch that the host has loaded: its version, and what it was built for. */
  libtorch: Pick<RuntimeInfo['libtorch'], 'version' | 'build'>;
  /** Whether models can compute on NVIDIA GPUs, and on which. */
  cuda: Pick<RuntimeInfo['cuda'], 'available' | 'devices'>;
}

/** What is known of a model on this side of a bridge. */
export interface ModelFacts {
  /** Its number on this connection, from 1. */
  model: number;
  /** The configuration, complete. */
  config: ModelConfig;
  /** Where it computes: `cpu`, `cuda:0`, … */
  device: string;
  /** Values in all parameters. */
  parameterCount: number;
  /** Values in the parameters that learn. */
  trainableParameterCount: number;
}

/** Options of `loadModel`, as for `DenseNet.load`. */
export type LoadModelOptions = Pick<CreateOptions, 'device' | 'implementation' | 'memory'>;

/** Labelled images for a bridge: arrays, the digits of the package, or a granted folder with a folder of pictures for each class. */
export type BridgeData =
  | {
      /** N×C×H×W; raw pixels in a `Uint8Array`, or a `Float32Array` that is used as it is. */
      images: TensorData;
      /**
       * A class index for each image; or, where an image may have several labels or none, a `Float32Array` of N×classes
       * numbers from 0 to 1 beside `classes`.
       */
      labels: number[] | Int32Array | Uint8Array | Float32Array;
      /**
       * The classes' names in the order of their indices, 1 to 100,000 of up to 256 characters; default `0`, `1`, … up to
       * the highest label.
       */
      classes?: string[];
    }
  | {
      /** Which part of the package's digits, as for `datasets.digits`: 8×8 pixels, one channel, ten classes. */
      digits: 'train' | 'test' | 'all';
    }
  | {
      /** Granted as `folder`. Its pictures are decoded once, into the host's memory, height·width·channels bytes each. */
      folder: Grant;
      /** [height, width] that pictures are brought to, each from 1 to 4,096, default [224, 224]. */
      imageSize?: [number, number];
      /** 1 for grey, 3 for RGB, default 3. */
      channels?: 1 | 3;
      /**
       * The classes in the order of their indices, 1 to 100,000 of up to 256 characters, each the name of a folder right
       * below, never a path; default: the names of the folders, sorted.
       */
      classes?: string[];
    };

/**
 * How a model is trained over a bridge: what `Trainer` and `Trainer.fit` take, but for checkpoints, callbacks and
 * `cacheFeatures`; up to 1,000,000 epochs, of batches of up to 65,536 images.
 */
export interface TrainOptions extends Omit<
  FitOptions,
  'validation' | 'callbacks' | 'checkpoint' | 'cacheFeatures' | 'augment' | 'unfreeze'
> {
  /** The trainer's options. With `ema` or `swa` the model has the averaged weights after the run. */
  trainer: TrainerOptions;
  /** Evaluated after each epoch; default none. */
  validation?: BridgeData;
  /**
   * Random changes of the training images, in order, at most 32; default none. Each is what a function of `transforms`
   * makes, such as `{ type: 'randomCrop', padding: 1 }`; a `size` is at most 4,096.
   */
  augment?: Transform[];
  /**
   * Parts that begin to learn in the course of the run, at most 64; default none. Freeze them before, by the model's
   * `freeze`.
   */
  unfreeze?: Unfreezing[];
}

/** What frozen batch norms normalise by, as for `DenseNet.freeze`. */
export interface FreezeOptions {
  /** Their running statistics, `keep`, the default; or the batch's own, `adapt`. */
  batchNorm?: 'keep' | 'adapt';
}
