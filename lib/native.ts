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
  /** Resizes and crops a decoded picture, height×width×channels of bytes, to channels×height×width. */
  preparePicture(pixels: TensorData, plan: NativePicturePlan): Promise<TensorData>;
  /** Whether a file ends in the SHA-256 of all before it, as a checkpoint does. */
  isVerified(path: string): Promise<boolean>;
  /** What a schedule makes of a rate at each step of a run; `values` is what each epoch came to. */
  learningRates(
    schedule: NativeScheduleOptions,
    lr: number,
    epochs: number,
    stepsPerEpoch: number,
    values: readonly number[],
  ): Promise<{ learningRate: number[]; momentum: number[] }>;
  /** Applies transforms to images N×C×H×W. */
  augment(images: TensorData, transforms: readonly object[], seed: number): Promise<TensorData>;
  /** Stops every native thread, after the step that it is in. Later calls are not answered. */
  shutDown(): void;
  readonly NativeTrainer: new (model: NativeModel, options: NativeTrainerOptions) => NativeTrainer;
  readonly NativeMetrics: new (classes: number, options: NativeEvaluationOptions) => NativeMetricsSum;
  /**
   * `labelColumns`: 0 for labels that are class indices. With a listener the images are fed in the course of a run;
   * otherwise they are written before.
   */
  readonly NativeDataset: new (
    imageShape: number[],
    isUint8: boolean,
    labelColumns: number,
    listener?: (event: NativeFeedEvent) => void,
  ) => NativeDataset;
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
  cudaEngine: string;
}

/** native/core/data/pictures.h */
export interface NativePicturePlan {
  /** 0, like a width of 0, keeps the picture's own size. */
  height: number;
  width: number;
  /** 0 stretches straight to height and width. */
  resizeSize: number;
  interpolation: 'bilinear' | 'bicubic';
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

/** native/core/model/step_plan.h */
export interface NativePartPlan {
  name: string;
  run: 'engine' | 'operator' | 'reference' | 'device' | 'too-small' | 'frozen-mix' | 'dropout';
  kept: number;
}

/**
 * A piece of a file that is written: bytes as they are; the bytes of the tensor of this place in `describeState`,
 * row-major; or the CRC-32 of those, four bytes, little-endian, after the tensor itself.
 */
export type FilePiece = Uint8Array | { tensor: number } | { crc32: number };

/** native/binding/model_object.h */
export interface NativeModel {
  readonly device: string;
  describeState(): Promise<NativeStateInfo[]>;
  forward(images: TensorData): Promise<TensorData>;
  /** `outputStride`: 0 for the network's own. */
  features(images: TensorData, taps: string[], outputStride: number): Promise<[string, TensorData][]>;
  predict(images: TensorData, k: number): Promise<NativeTopClasses>;
  /** A heat map N×height×width of a class for each image; -1 for the most probable. See `GradCamOptions`. */
  gradCam(
    images: TensorData,
    part: string,
    classes: number[],
    fullSize: boolean,
    asBytes: boolean,
  ): Promise<{ maps: TensorData; classes: number[] }>;
  state(): Promise<[string, TensorData][]>;
  gradients(): Promise<[string, TensorData][]>;
  /** Takes the entries' tensors, and sets the named ones to 0: all or none. */
  load(path: string, entries: TensorEntry[], zeros: string[]): Promise<void>;
  save(path: string, pieces: FilePiece[]): Promise<void>;
  setTrainable(prefix: string, trainable: boolean, adapting: boolean): Promise<void>;
  replaceClassifier(numClasses: number, seed: number | undefined): Promise<void>;
  estimateMemory(batch: number, height: number, width: number): Promise<number>;
  /** The result is undefined when `stop` ended it. */
  evaluate(
    dataset: NativeDataset,
    batchSize: number,
    options: NativeEvaluationOptions,
  ): { result: Promise<NativeEvaluation | undefined>; stop(): void };
  planStep(batch: number, height: number, width: number): Promise<NativePartPlan[]>;
  dispose(): Promise<void>;
}

/** native/core/train/options.h, every field given; here and in the next ones */
export interface NativeOptimizerOptions {
  type: 'sgd' | 'adam' | 'adamw' | 'rmsprop';
  lr: number;
  weightDecay: number;
  momentum: number;
  dampening: number;
  nesterov: boolean;
  betas: number[];
  eps: number;
  amsgrad: boolean;
  alpha: number;
  centered: boolean;
  decayNormsAndBiases: boolean;
  groups: { prefix: string; lr: number; weightDecay: number }[];
}

export interface NativeScheduleOptions {
  type:
    | 'constant'
    | 'step'
    | 'multistep'
    | 'exponential'
    | 'cosine'
    | 'cosineRestarts'
    | 'onecycle'
    | 'polynomial'
    | 'plateau';
  interval: 'epoch' | 'step';
  /** A length of 0 for none. */
  warmup: { length: number; start: number; type: 'linear' | 'constant' };
  stepSize: number;
  milestones: number[];
  gamma: number;
  /** 0 for what the warm-up leaves of the run. */
  length: number;
  minLr: number;
  period: number;
  periodFactor: number;
  power: number;
  rising: number;
  startDivisor: number;
  endDivisor: number;
  shape: 'cosine' | 'linear';
  threePhases: boolean;
  cycleMomentum: boolean;
  lowMomentum: number;
  highMomentum: number;
  patience: number;
  cooldown: number;
  threshold: number;
  thresholdMode: 'relative' | 'absolute';
  eps: number;
  monitor: 'loss' | 'top1';
}

export interface NativeLossOptions {
  type: 'crossEntropy' | 'focal' | 'binaryCrossEntropy' | 'binaryFocal';
  labelSmoothing: number;
  gamma: number;
  /** Below 0 for none. */
  alpha: number;
  /** Of each class; empty for all 1. */
  weight: number[];
}

export interface NativeAverageOptions {
  type: 'none' | 'exponential' | 'stochastic';
  decay: number;
  from: number;
  /** 0 for the schedule's. */
  lr: number;
}

/** Limits and shares of 0 mean none. */
export interface NativeTrainerOptions {
  optimizer: NativeOptimizerOptions;
  schedule: NativeScheduleOptions;
  loss: NativeLossOptions;
  mixup: number;
  cutmix: number;
  average: NativeAverageOptions;
  precision: 'fp32' | 'bf16' | 'fp16';
  channelsLast: boolean;
  deterministic: boolean;
  clipGradNorm: number;
  clipGradValue: number;
  accumulate: number;
  seed: number | undefined;
}

export interface NativeCheckpointPlan {
  folder: string;
  /** Epochs; 0 for none at their end. */
  every: number;
  /** Steps; 0 for none within an epoch. */
  everySteps: number;
  keepLast: number;
  best: 'none' | 'loss' | 'top1';
  /** Whether the run goes on from a checkpoint of this folder. */
  continues: boolean;
  /** A JSON object, the `__metadata__` of the files. */
  metadata: string;
}

export interface NativeEarlyStopping {
  top1: boolean;
  patience: number;
  minDelta: number;
  restoreBest: boolean;
}

/** native/core/train/rate_finder.h */
export interface NativeRateSearch {
  lowest: number;
  highest: number;
  steps: number;
  batchSize: number;
  smallestBatch: number;
  stopFactor: number;
  augmentations: readonly object[];
}

export interface NativeFitPlan {
  epochs: number;
  batchSize: number;
  smallestBatch: number;
  order: 'given' | 'shuffled' | 'balanced';
  augmentations: readonly object[];
  unfreezing: readonly { epoch: number; prefix: string }[];
  featureCacheBytes: number;
  checkpoint: NativeCheckpointPlan | undefined;
  earlyStopping: NativeEarlyStopping | undefined;
}

export interface NativeMetrics {
  loss: number;
  top1: number;
  size: number;
}

/** native/core/train/evaluation.h */
export interface NativeEvaluationOptions {
  multiLabel: boolean;
  topK: readonly number[];
  calibrationBins: number;
  rocAuc: boolean;
}

export interface NativeEvaluation extends NativeMetrics {
  /** in the order of the options' */
  topK: Float64Array;
  /** of each class: its images, those taken for it, and those of it that were taken for it */
  support: Float64Array;
  predicted: Float64Array;
  hits: Float64Array;
  /** classes × classes, true class by predicted class, row by row; empty with several labels an image */
  confusion: Float64Array;
  /** of each class, NaN where undefined; empty where it was not asked for */
  rocAuc: Float64Array;
  calibration: { error: number; count: Float64Array; confidence: Float64Array; accuracy: Float64Array };
}

/** native/binding/metrics_object.h */
export interface NativeMetricsSum {
  add(logits: TensorData, labels: TensorData): Promise<void>;
  result(): Promise<NativeEvaluation>;
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

export interface NativeCheckpointEvent {
  type: 'checkpoint';
  path: string;
  epoch: number;
  best: boolean;
}

export interface NativeEarlyStoppingEvent {
  type: 'earlyStopping';
  epoch: number;
  bestEpoch: number;
  value: number;
  stopped: boolean;
  restored: boolean;
}

/** native/binding/trainer_object.h */
export interface NativeTrainer {
  step(images: TensorData, labels: TensorData): Promise<{ loss: number; correct: number; size: number }>;
  fit(
    train: NativeDataset,
    validation: NativeDataset | undefined,
    plan: NativeFitPlan,
    listener: (event: NativeStepEvent | NativeEpochEvent | NativeCheckpointEvent | NativeEarlyStoppingEvent) => void,
  ): Promise<boolean>;
  /** As that of the model, with the averaged weights where there are any. */
  evaluate: NativeModel['evaluate'];
  /** `suggestion`: 0 for none. The result is undefined when `stop` ended it. */
  findLearningRate(
    dataset: NativeDataset,
    search: NativeRateSearch,
  ): {
    result: Promise<{ rates: number[]; losses: number[]; smoothed: number[]; suggestion: number } | undefined>;
    stop(): void;
  };
  save(path: string, metadata: string): Promise<void>;
  /** The epoch that the checkpoint is in, from 1, and the steps that it has taken there. */
  resume(path: string, entries: TensorEntry[]): Promise<{ epoch: number; step: number }>;
  saveWeights(path: string, pieces: FilePiece[]): Promise<void>;
  adoptAverage(): Promise<boolean>;
  stop(): void;
}

/** native/binding/dataset_object.h */
export interface NativeDataset {
  writeImages(byteOffset: number, piece: Uint8Array): void;
  /** One index an image; or, with label columns, images × columns numbers. */
  writeLabels(labels: Int32Array | Float32Array): void;
  /** An image at a place of a pass; undefined for one that is left out. What belongs to another pass is dropped. */
  feedImage(pass: number, place: number, image: Uint8Array | undefined): void;
  /** No event follows. */
  endFeed(): void;
}

/** A pass over images in an order begins; or its places below `taken` are done with. native/core/data/feed.h */
export type NativeFeedEvent = { pass: number; order: number[] } | { pass: number; taken: number };
