/**
 * DenseNet for Node: training, transfer learning and prediction on libtorch, on CUDA or the CPU. This file is the whole
 * public surface.
 */
export { DenseNetError, isDenseNetError, type ErrorCode } from './errors';
export type { TensorArray, TensorData } from './tensor';
export { manualSeed, runtimeInfo, type RuntimeInfo } from './runtime/info';
export { DenseNet, type CreateOptions } from './model/densenet';
export type { Device } from './model/run-options';
export type { ClassProbability, Prediction, PredictInput, PredictOptions } from './model/prediction';
export type { GradCamOptions, HeatMap } from './model/grad-cam';
export type { ModelConfig, Normalization } from './model/config';
export type { FeatureInfo, FeatureOptions } from './model/feature-info';
export { variantNames, type Variant } from './model/variants';
export { pretrainedNames, type PretrainedName, type PretrainedOptions } from './weights/hub';
export type { LoadWeightsOptions, SaveWeightsOptions } from './model/weights';
export type { LoadReport } from './weights/fit';
export {
  Trainer,
  type EvaluateOptions,
  type FitOptions,
  type LabelledBatch,
  type StepResult,
} from './training/trainer';
export type {
  OptimizerOptions,
  AdamOptions,
  ParameterGroup,
  SgdOptions,
  ScheduleOptions,
  TrainerOptions,
} from './training/options';
export { gradualUnfreezing, type Unfreezing } from './training/unfreezing';
export type { EpochEvent, History, Metrics, StepEvent, TrainingEvent } from './training/events';
export type { ClassMetrics, Evaluation } from './training/evaluation';
export type { TrainingRun } from './training/run';
export * as datasets from './data';
export type { ArrayDataset, Dataset, LabelledImages, StreamedDataset } from './data/dataset';
export type { PictureSource } from './data/picture';
export * as transforms from './data/transforms';
export type { OperationName, Transform } from './data/transforms';
