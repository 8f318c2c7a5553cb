import type { ErrorCode } from '../errors';
import type { CreateOptions } from '../model/densenet';
import type { Prediction, PredictOptions } from '../model/prediction';
import type { LoadWeightsOptions, SaveWeightsOptions } from '../model/weights';
import type { TensorData } from '../tensor';
import type { EvaluateOptions } from '../training/evaluate';
import type { Evaluation } from '../training/evaluation';
import type { History, TrainingEvent } from '../training/events';
import type { LoadReport } from '../weights/fit';
import type { BridgeData, FreezeOptions, Grant, HostInfo, LoadModelOptions, ModelFacts, TrainOptions } from './types';

// What goes over a bridge. Types alone: neither side runs anything of the other's.

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
