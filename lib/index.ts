/**
 * DenseNet for Node: training, transfer learning and prediction on libtorch, on CUDA or the CPU. This is the whole
 * public surface, but for the bridge of `libtorch-densenet/electron`.
 *
 * @module libtorch-densenet
 */
export { DenseNetError, isDenseNetError, type ErrorCode } from './errors';
export type { TensorArray, TensorData } from './tensor';
export { manualSeed, runtimeInfo, type RuntimeInfo } from './runtime/info';
export { DenseNet, type CreateOptions } from './model/densenet';
export type { Device } from './model/run-options';
export type { ClassProbability, Prediction, PredictInput, PredictOptions } from './model/prediction';
export type { GradCamOptions, HeatMap } from './model/grad-cam';
export {
  createBatcher,
  type Batcher,
  type BatcherCallOptions,
  type BatcherOptions,
  type BatcherPredictOptions,
  type BatcherStatistics,
} from './service/batcher';
export type { ModelConfig, Normalization } from './model/config';
export type { FeatureInfo, FeatureOptions } from './model/feature-info';
export type { PartRun, Summary, SummaryModule, SummaryOptions, SummaryPart } from './model/summary';
export { variantNames, type Variant } from './model/variants';
export { pretrainedNames, type PretrainedName, type PretrainedOptions } from './weights/hub';
export type { LoadWeightsOptions, SaveWeightsOptions } from './model/weights';
export type { LoadReport } from './weights/fit';
export type { FitOptions } from './training/fit-options';
export { Trainer, type StepResult } from './training/trainer';
export type { LabelledBatch } from './training/batch';
export type { SwaOptions, TrainerOptions } from './training/options';
export type {
  AdamOptions,
  GroupOptions,
  OptimizerOptions,
  ParameterGroup,
  RmsPropOptions,
  SgdOptions,
} from './training/optimizer-options';
export type {
  IntervalOptions,
  OneCycleOptions,
  PlateauOptions,
  ScheduleOptions,
  WarmUpOptions,
} from './training/schedule-options';
export type { LossName, LossOptions } from './training/loss-options';
export type { CheckpointOptions } from './training/checkpoint-options';
export type { ResumeReport } from './training/resume';
export { learningRates, type LearningRates, type LearningRatesOptions } from './training/learning-rates';
export { gradualUnfreezing, type Unfreezing } from './training/unfreezing';
export type {
  CheckpointEvent,
  EarlyStoppingEvent,
  EpochEvent,
  History,
  Metrics,
  RunPlace,
  StepEvent,
  TrainingEvent,
} from './training/events';
export type { RunOutcome, RunPlan, TrainingCallback } from './training/callbacks';
export type { EarlyStoppingOptions } from './training/early-stopping';
export { jsonLines } from './training/json-lines';
export { tensorBoard } from './training/tensor-board';
export type { RateCurve, RateSearchOptions } from './training/rate-finder';
export type { EvaluateOptions } from './training/evaluate';
export type {
  Average,
  Calibration,
  ClassMetrics,
  Evaluation,
  EvaluationDetails,
  MultiLabelEvaluation,
} from './training/evaluation';
export {
  ClassificationMetrics,
  MultiLabelMetrics,
  type ClassificationMetricsOptions,
  type MultiLabelMetricsOptions,
} from './training/metrics';
export type { MetricsOptions } from './training/metrics-options';
export type { TrainingRun } from './training/run';
export * as datasets from './data';
export type { ArrayDataset, Dataset, LabelledImages, StreamedDataset } from './data/dataset';
export type { PictureSource } from './data/picture';
export * as transforms from './data/transforms';
export type { OperationName, Transform } from './data/transforms';
