import type { Dataset } from '../data/dataset';
import { DenseNetError } from '../errors';
import { checkImageLength, finalLength, type ModelConfig } from '../model/config';
import type { NativeLossOptions } from '../native';
import { checkLabelKind } from './batch';
import { checkDataset } from './check-dataset';

/**
 * Checks that a model can be trained or evaluated on a data set by this loss.
 *
 * @returns The shape of its images, N×C×H×W.
 */
export function checkLabelled(config: ModelConfig, loss: NativeLossOptions, name: string, dataset: Dataset): number[] {
  const { shape, rows } = checkDataset(config, name, dataset);
  checkLabelKind(`${name}.labels`, loss, rows);
  return shape;
}

/** Weights of classes that the model no longer has would reach past its logits. */
export function checkLossWeights({ numClasses }: ModelConfig, { weight: { length } }: NativeLossOptions): void {
  if (length === 0 || length === numClasses) return;
  throw new DenseNetError(
    'ERR_INVALID_ARGUMENT',
    `the trainer has weights of ${length} classes, and the model has ${numClasses} since its classifier was replaced. Make a new trainer.`,
  );
}

/** Checks that batch norm can take statistics of images of this shape, so many at once. */
export function checkTrainable(config: ModelConfig, shape: readonly number[], batch: number): void {
  checkImageLength(config, shape);
  if (batch >= smallestBatch(config, shape)) return;
  throw new DenseNetError(
    'ERR_INVALID_ARGUMENT',
    'a batch of one image leaves one value a channel at the end of the network, of which batch norm can take no ' +
      'statistics. Train with at least 2 images a batch, or with larger images.',
  );
}

/** A single image whose last feature map is one pixel gives batch norm nothing to take statistics of. */
export function smallestBatch(config: ModelConfig, shape: readonly number[]): number {
  const [, , height = 0, width = 0] = shape;
  return finalLength(config, height) * finalLength(config, width) === 1 ? 2 : 1;
}
