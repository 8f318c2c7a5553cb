import { datasets, DenseNet, Trainer, type CreateOptions, type TensorData, type TrainerOptions } from '../lib';
import { tinyOptions } from './tiny-config';

export { tinyConfig, tinyOptions } from './tiny-config';

export function tinyModel(options: CreateOptions = {}): Promise<DenseNet> {
  return DenseNet.create(tinyOptions(options));
}

/** Images N×1×8×8 that differ from one another, always the same. */
export function tinyImages(count: number): TensorData {
  const data = Float32Array.from({ length: count * 64 }, (_, place) => Math.sin(place * 12.9898) * 1.5);
  return { data, shape: [count, 1, 8, 8] };
}

export function tinyBatch(count = 6) {
  return { images: tinyImages(count), labels: Array.from({ length: count }, (_, index) => index % 3) };
}

export function tinyDataset(count = 12) {
  return datasets.fromArrays(tinyBatch(count));
}

export function tinyTrainer(model: DenseNet, options: Partial<TrainerOptions> = {}): Trainer {
  return new Trainer(model, { optimizer: { type: 'sgd', lr: 0.05 }, seed: 1, ...options });
}

/** All weights and buffers, so that two states can be compared with `toEqual`. */
export async function stateOf(model: DenseNet): Promise<Record<string, unknown>> {
  return Object.fromEntries(await model.stateDict());
}
