import { DenseNetError } from '../errors';
import type { DenseNet } from '../model/densenet';
import type { ModelFacts } from './types';

/** The models that the host holds for one client, by their numbers on its connection. */
export class Models {
  readonly #most: number;
  readonly #held = new Map<number, DenseNet>();
  #making = 0;
  #next = 1;
  #ended = false;

  constructor(most: number) {
    this.#most = most;
  }

  /**
   * Makes a model and keeps it.
   *
   * @throws DenseNetError `ERR_BUSY` when the client has as many as it may.
   */
  async add(make: () => Promise<DenseNet>): Promise<ModelFacts> {
    // What is being made counts too.
    const count = this.#held.size + this.#making;
    if (count >= this.#most)
      throw new DenseNetError(
        'ERR_BUSY',
        `the host holds ${count} models for this client, and allows no more. Dispose of one first.`,
      );
    this.#making += 1;
    try {
      const made = await make();
      if (this.#ended) {
        await made.dispose();
        throw new DenseNetError('ERR_DISPOSED', 'the connection was closed while the model was being made.');
      }
      const model = this.#next++;
      this.#held.set(model, made);
      const { config, device, parameterCount, trainableParameterCount } = made;
      return { model, config, device, parameterCount, trainableParameterCount };
    } finally {
      this.#making -= 1;
    }
  }

  get(id: number): DenseNet {
    const model = this.#held.get(id);
    if (model === undefined)
      throw new DenseNetError('ERR_DISPOSED', `there is no model ${id} on this connection, or none any longer.`);
    return model;
  }

  async dispose(id: number): Promise<void> {
    const model = this.get(id);
    this.#held.delete(id);
    await model.dispose();
  }

  /** Disposes of all, and of those that are still being made. */
  async end(): Promise<void> {
    this.#ended = true;
    const models = [...this.#held.values()];
    this.#held.clear();
    await Promise.all(models.map((model) => model.dispose()));
  }
}
