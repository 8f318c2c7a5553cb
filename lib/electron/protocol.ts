import type { Transform } from '../data/transform';
import type { ErrorCode } from '../errors';
import type { ModelConfig } from '../model/config';
import type { CreateOptions } from '../model/densenet';
import type { Prediction, PredictOptions } from '../model/prediction';
import type { LoadWeightsOptions, SaveWeightsOptions } from '../model/weights';
import type { RuntimeInfo } from '../runtime/info';
import type { TensorData } from '../tensor';
import type { EvaluateOptions } from '../training/evaluate';
import type { Evaluation } from '../training/evaluation';
import type { History, TrainingEvent } from '../training/events';
import type { FitOptions } from '../training/fit-options';
import type { TrainerOptions } from '../training/options';
import type { Unfreezing } from '../training/unfreezing';
import type { LoadReport } from '../weights/fit';

// What goes over a bridge. Types alone: neither side runs anything of the other's.

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

/** Every call of the bridge: what it is given, and what comes back. */
export interface Methods {
  info: { args: Record<string, never>; value: HostInfo };
  createModel: { args: { options: CreateOptions }; value: ModelFacts };
  loadModel: { args: { grant: Grant; options: LoadModelOptions }; value: ModelFacts };
  loadWeights: { args: { model: number; grant: Grant; options: LoadWeightsOptions }; value: LoadReport };
  freeze: { args: { model: number; prefix: string | undefined; options: FreezeOptions }; value: number };
  unfreeze: { args: { model: number; prefix: string | undefined }; value: number };
  countTrainable: { args: { model: number }; value: number };
  predict: {
    args: { model: number; images: TensorData | Uint8Array[]; options: PredictOptions };
    value: Prediction[];
  };
  forward: { args: { model: number; input: TensorData }; value: TensorData };
  train: { args: { model: number; data: BridgeData; options: Omit<TrainOptions, 'signal'> }; value: History };
  evaluate: { args: { model: number; data: BridgeData; options: Omit<EvaluateOptions, 'signal'> }; value: Evaluation };
  save: { args: { model: number; grant: Grant; options: SaveWeightsOptions }; value: null };
  dispose: { args: { model: number }; value: null };
}

export type MethodName = keyof Methods;

/** From the client. An event is sent only after the one before it was `taken`. */
export type ClientMessage =
  | { type: 'call'; id: number; method: MethodName; args: object }
  | { type: 'cancel'; id: number }
  | { type: 'taken'; id: number };

/** An error on its way. An aborted call has no code: its reason stays on the client's side. */
export interface WireError {
  code: ErrorCode | 'ABORTED';
  message: string;
}

/** From the host. `id` is null where a message was refused that had none. */
export type HostMessage =
  | { type: 'result'; id: number; value: unknown }
  | { type: 'error'; id: number | null; error: WireError }
  | { type: 'event'; id: number; event: TrainingEvent };
