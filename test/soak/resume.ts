import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { FitOptions, OptimizerOptions, ScheduleOptions, TrainerOptions } from '../../lib';
import { tinyOptions } from '../tiny-config';
import { pick, randomNumbers, type Dose, type Outcome, type Package } from './check';

export const optimizers: Record<string, OptimizerOptions> = {
  sgd: { type: 'sgd', lr: 0.05, momentum: 0.9, nesterov: true, weightDecay: 0.01 },
  adam: { type: 'adam', lr: 0.01, amsgrad: true, layerDecay: 0.5 },
  adamw: { type: 'adamw', lr: 0.01, decayNormsAndBiases: false },
  rmsprop: { type: 'rmsprop', lr: 0.002, momentum: 0.5, centered: true, eps: 1e-3 },
};

export const schedules: ScheduleOptions[] = [
  { type: 'constant', warmup: { length: 2, type: 'constant' } },
  { type: 'step', stepSize: 1 },
  { type: 'multistep', milestones: [4], interval: 'step' },
  { type: 'exponential', gamma: 0.9, interval: 'step' },
  { type: 'cosine', warmup: 1 },
  { type: 'cosineRestarts', period: 4, interval: 'step' },
  { type: 'onecycle' },
  { type: 'polynomial', interval: 'step', warmup: 3 },
  { type: 'plateau', patience: 0, threshold: 1, gamma: 0.5 },
];

export const averages: Partial<TrainerOptions>[] = [{}, { ema: 0.9 }, { swa: { from: 2, lr: 0.01 } }];

export const precisions = ['fp32', 'bf16', 'fp16'] as const;

/** Dropout, augmentation, mixing and several batches a step: whatever draws or counts. */
export const everything = {
  mixup: 0.3,
  cutmix: 1,
  accumulate: 2,
  clipGradNorm: 1,
  labelSmoothing: 0.1,
  seed: 3,
} as const;

/**
 * Trains with options drawn at random, and goes on from every checkpoint of that run, in a model of other weights: each must
 * end in the same file, to the last bit.
 *
 * @param times Resumed runs.
 */
export async function resumeExactly(library: Package, { times, seed, progress }: Dose): Promise<Outcome> {
  const { DenseNet, Trainer, datasets, transforms } = library;
  const random = randomNumbers(seed);
  const place = await mkdtemp(path.join(os.tmpdir(), 'densenet-resume-'));
  const images = (count: number) =>
    datasets.fromArrays({
      images: {
        data: Float32Array.from({ length: count * 64 }, (_, index) => Math.sin(index * 12.9898) * 1.5),
        shape: [count, 1, 8, 8],
      },
      labels: Array.from({ length: count }, (_, index) => index % 3),
    });
  /** Trains a new model, and returns all that is left at the end. */
  const end = async (
    options: TrainerOptions,
    plan: FitOptions,
    weights: number,
    checkpoint?: string,
  ): Promise<Buffer> => {
    const model = await DenseNet.create(tinyOptions({ dropRate: 0.2, seed: weights }));
    try {
      const trainer = new Trainer(model, options);
      if (checkpoint !== undefined) await trainer.resume(checkpoint);
      await trainer.fit(images(14), plan);
      const file = path.join(place, 'end.safetensors');
      await trainer.save(file);
      return await readFile(file);
    } finally {
      await model.dispose();
    }
  };
  const faults: string[] = [];
  let [done, runs] = [0, 0];
  try {
    while (done < times) {
      const options: TrainerOptions = {
        optimizer: pick(random, Object.values(optimizers)),
        schedule: pick(random, schedules),
        precision: pick(random, precisions),
        ...pick(random, averages),
        ...everything,
        accumulate: 1 + Math.floor(random() * 3),
        seed: Math.floor(random() * 1e6),
      };
      const batchSize = 2 + Math.floor(random() * 4);
      const plan: FitOptions = {
        epochs: 3,
        batchSize,
        validation: images(4),
        augment: [transforms.randomCrop({ padding: 1 })],
        shuffle: pick(random, [true, false, 'balanced'] as const),
      };
      const folder = path.join(place, 'run');
      const checkpoint = { folder, everySteps: 1, keepLast: 1000, best: false } as const;
      const expected = await end(options, { ...plan, checkpoint }, 1);
      runs += 1;
      for (const name of (await readdir(folder)).filter((one) => one.startsWith('epoch-'))) {
        if (done === times) break;
        const found = await end({ ...options, seed: 77 }, plan, 99, path.join(folder, name));
        if (!found.equals(expected))
          faults.push(`from ${name}: ${JSON.stringify({ ...options, ...plan, validation: 0 })}`);
        done += 1;
        progress?.(done);
      }
      await rm(folder, { recursive: true });
    }
  } finally {
    await rm(place, { recursive: true, force: true });
  }
  return { done, faults, figures: { 'unbroken runs': runs } };
}
