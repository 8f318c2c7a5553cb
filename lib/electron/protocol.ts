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
import type { LoadReport } from '../weights/fit';

// What goes over a bridge. Types alone: neither side runs anything of the other's.

/**
 * The right to one file or folder. The main process gives it out after the person at the screen has chosen; it stands for a
 * path that the page never sees.
 */
export type Grant = string;

/** What a {@link Grant} is good for: reading the file, writing the file, or reading pictures below the folder. */
export type Access = 'read' | 'write' | 'folder';

/** What the host runs on. As `RuntimeInfo`, without paths. */
export interface HostInfo extends Pick<RuntimeInfo, 'version' | 'cuda' | 'threads' | 'cpuCapability'> {
  libtorch: Pick<RuntimeInfo['libtorch'], 'version' | 'build'>;
}

/** What is known of a model on this side of a bridge. */
export interface ModelFacts {
  /** Its number on this connection. */
  model: number;
  config: ModelConfig;
  /** Where it computes: `cpu`, `cuda:0`, … */
  device: string;
  parameterCount: number;
  trainableParameterCount: number;
}

/** Options of `loadModel`. */
export type LoadModelOptions = Pick<CreateOptions, 'device' | 'implementation' | 'memory'>;

/** Labelled images for a bridge: arrays, the digits of the package, or a granted folder with a folder of pictures a class. */
export type BridgeData =
  | {
      /** N×C×H×W; raw pixels in a `Uint8Array`, or a `Float32Array` that is used as it is. */
      images: TensorData;
      /** As for `datasets.fromArrays`. */
      labels: number[] | Int32Array | Uint8Array | Float32Array;
      classes?: string[];
    }
  | { digits: 'train' | 'test' | 'all' }
  | {
      folder: Grant;
      /** [height, width] that pictures are brought to. */
      imageSize?: [number, number];
      /** 1 for grey, 3 for RGB, the default. */
      channels?: 1 | 3;
      classes?: string[];
    };

/** How a model is trained over a bridge: what `Trainer` and `Trainer.fit` take, but for files, callbacks and data. */
export interface TrainOptions extends Omit<
  FitOptions,
  'validation' | 'callbacks' | 'checkpoint' | 'cacheFeatures' | 'augment'
> {
  /** The trainer's options. With `ema` or `swa` the model has the averaged weights after the run. */
  trainer: TrainerOptions;
  /** Evaluated after each epoch. */
  validation?: BridgeData;
  /** What the functions of `transforms` make, such as `{ type: 'randomCrop', padding: 1 }`. */
  augment?: Transform[];
}

/** Every call of the bridge: what it is given, and what comes back. */
export interface Methods {
  info: { args: Record<string, never>; value: HostInfo };
  createModel: { args: { options: CreateOptions }; value: ModelFacts };
  loadModel: { args: { grant: Grant; options: LoadModelOptions }; value: ModelFacts };
  loadWeights: { args: { model: number; grant: Grant; options: LoadWeightsOptions }; value: LoadReport };
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
