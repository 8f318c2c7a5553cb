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
  /** Applies transforms to images N×C×H×W. */
  augment(images: TensorData, transforms: readonly object[], seed: number): Promise<TensorData>;
  /** Stops every native thread, after the step that it is in. Later calls are not answered. */
  shutDown(): void;
  readonly NativeTrainer: new (model: NativeModel, options: NativeTrainerOptions) => NativeTrainer;
  /** With a listener the images are fed in the course of a run; otherwise they are written before. */
  readonly NativeDataset: new (
    imageShape: number[],
    isUint8: boolean,
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
  order: 'given' | 'shuffled' | 'balanced';
  augmentations: readonly object[];
  unfreezing: readonly { epoch: number; prefix: string }[];
  featureCacheBytes: number;
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
  /** An image at a place of a pass; undefined for one that is left out. What belongs to another pass is dropped. */
  feedImage(pass: number, place: number, image: Uint8Array | undefined): void;
  /** No event follows. */
  endFeed(): void;
}

/** A pass over images in an order begins; or its places below `taken` are done with. native/core/data/feed.h */
export type NativeFeedEvent = { pass: number; order: number[] } | { pass: number; taken: number };
