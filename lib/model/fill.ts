import type { DenseNet } from './densenet';

/** Gives a new model its weights; one that cannot have them is disposed of. */
export async function fill(model: DenseNet, take: (model: DenseNet) => Promise<unknown>): Promise<DenseNet> {
  try {
    await take(model);
    return model;
  } catch (error) {
    await model.dispose();
    throw error;
  }
}
