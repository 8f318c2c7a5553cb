/**
 * The whole native surface as one type: the one place where TypeScript meets C++ (native/binding). Arguments have been
 * checked before they come here; every failure is an Error with a `code` that {@link toDenseNetError} understands.
 */
import type { ModelConfig } from './model/config';
import type { TensorData } from './tensor';
import type { TensorEntry } from './weights/tensor-entry';

/** What native/binding/module.cc exports. */
export interface Native {
  /** The version of libtorch that the core was built against, and the one that is loaded. */
  readonly builtAgainst: string;
  readonly loadedVersion: string;
  createModel(
    config: ModelConfig,
    device: string,
    seed: number | undefined,
    options: NativeRunOptions,
  ): Promise<NativeModel>;
  runtimeFacts(): Promise<NativeRuntimeFacts>;
  manualSeed(seed: number): Promise<void>;
  readonly NativeTrainer: new (model: NativeModel, options: NativeTrainerOptions) => NativeTrainer;
  readonly NativeDataset: new (imageShape: number[], isUint8: boolean) => NativeDataset;
}

/** native/core/model/run_options.h */
export interface NativeRunOptions {
  implementation: 'auto' | 'reference';
  memory: 'auto' | 'fast' | 'efficient';
}

export interface NativeRuntimeFacts {
  libtorchVersion: string;
  threads: number;
  cpuCapability: string;
  cudaDevices: string[];
  cudaReason: string;
}

export interface NativeStateInfo {
  name: string;
  shape: number[];
  dtype: 'F32' | 'I64';
  isParameter: boolean;
}

export interface NativeTopClasses {
  images: number;
  k: number;
  /** images × k, row by row */
  index: number[];
  probability: number[];
}

/** native/binding/model_object.h */
export interface NativeModel {
  readonly device: string;
  describeState(): Promise<NativeStateInfo[]>;
  forward(images: TensorData): Promise<TensorData>;
  features(images: TensorData, taps: string[]): Promise<[string, TensorData][]>;
  predict(images: TensorData, k: number): Promise<NativeTopClasses>;
  state(): Promise<[string, TensorData][]>;
  gradients(): Promise<[string, TensorData][]>;
  load(path: string, entries: TensorEntry[]): Promise<void>;
  save(path: string, header: Uint8Array): Promise<void>;
  setTrainable(prefix: string, trainable: boolean): Promise<void>;
  replaceClassifier(numClasses: number, seed: number | undefined): Promise<void>;
  estimateMemory(batch: number, height: number, width: number): Promise<number>;
  dispose(): Promise<void>;
}

/** native/core/train/options.h, every field given */
export interface NativeTrainerOptions {
  optimizer: object;
  schedule: object;
  labelSmoothing: number;
  seed: number | undefined;
}

export interface NativeFitPlan {
  epochs: number;
  batchSize: number;
  smallestBatch: number;
  shuffle: boolean;
  augmentations: readonly object[];
}

export interface NativeMetrics {
  loss: number;
  top1: number;
  size: number;
}

export interface NativeEvaluation extends NativeMetrics {
  top5: number;
  /** classes × classes, true class by predicted class, row by row */
  confusion: number[];
}

export interface NativeStepEvent {
  type: 'step';
  epoch: number;
  step: number;
  steps: number;
  loss: number;
  learningRate: number;
  imagesPerSecond: number;
}

export interface NativeEpochEvent {
  type: 'epoch';
  epoch: number;
  train: NativeMetrics;
  validation?: NativeMetrics;
  seconds: number;
}

/** native/binding/trainer_object.h */
export interface NativeTrainer {
  step(images: TensorData, labels: TensorData): Promise<{ loss: number; correct: number; size: number }>;
  fit(
    train: NativeDataset,
    validation: NativeDataset | undefined,
    plan: NativeFitPlan,
    listener: (event: NativeStepEvent | NativeEpochEvent) => void,
  ): Promise<boolean>;
  evaluate(dataset: NativeDataset, batchSize: number): Promise<NativeEvaluation | undefined>;
  stop(): void;
}

/** native/binding/dataset_object.h */
export interface NativeDataset {
  writeImages(byteOffset: number, piece: Uint8Array): void;
  writeLabels(labels: Int32Array): void;
}
