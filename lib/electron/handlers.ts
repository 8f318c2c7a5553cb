import { digits, imageFolder, fromArrays } from '../data';
import type { Dataset } from '../data/dataset';
import { DenseNetError } from '../errors';
import { resolveConfig, stateLength } from '../model/config';
import { DenseNet } from '../model/densenet';
import { runtimeInfo } from '../runtime/info';
import type { TrainingEvent } from '../training/events';
import { Trainer } from '../training/trainer';
import type { Grants } from './grants';
import type { Limits } from './limits';
import type { Models } from './models';
import type { MethodName, Methods } from './protocol';
import type { BridgeData } from './types';

/** What a client has in the host. */
export interface Holdings {
  readonly models: Models;
  readonly grants: Grants;
  readonly limits: Required<Limits>;
}

/** What a handler has beside its arguments. */
export interface CallControl {
  readonly signal: AbortSignal;
  /** Sends an event; resolves when the client has taken it, or need not be waited for any longer. */
  tell(event: TrainingEvent): Promise<void>;
  /** From now on no event waits for the client. */
  stopWaiting(): void;
}

type Handler<Name extends MethodName> = (
  holdings: Holdings,
  args: Methods[Name]['args'],
  call: CallControl,
) => Promise<Methods[Name]['value']> | Methods[Name]['value'];

/** What each call does. Its arguments have passed their schema; the library checks what they mean. */
export const handlers: { readonly [Name in MethodName]: Handler<Name> } = {
  async info() {
    const { version, libtorch, cuda, threads, cpuCapability } = await runtimeInfo();
    return {
      version,
      libtorch: { version: libtorch.version, build: libtorch.build },
      cuda: { available: cuda.available, devices: cuda.devices },
      threads,
      cpuCapability,
    };
  },

  async createModel({ models, limits }, { options }) {
    const values = stateLength(resolveConfig(options));
    if (values > limits.modelValues)
      throw new DenseNetError(
        'ERR_INVALID_ARGUMENT',
        `the model would have ${values} values, and the host allows ${limits.modelValues}. Make it smaller, or have the app allow more.`,
      );
    return models.add(() => DenseNet.create(options));
  },

  async loadModel({ models, grants }, { grant, options }) {
    const file = grants.resolve(grant, 'read');
    return models.add(() => DenseNet.load(file, options));
  },

  async loadWeights({ models, grants }, { model, grant, options }) {
    return models.get(model).loadWeights(grants.resolve(grant, 'read'), options);
  },

  freeze({ models }, { model, prefix, options }) {
    const held = models.get(model);
    held.freeze(prefix, options);
    return held.trainableParameterCount;
  },

  unfreeze({ models }, { model, prefix }) {
    const held = models.get(model);
    held.unfreeze(prefix);
    return held.trainableParameterCount;
  },

  countTrainable({ models }, { model }) {
    return models.get(model).trainableParameterCount;
  },

  async predict({ models }, { model, images, options }) {
    return models.get(model).predict(images, options);
  },

  async forward({ models }, { model, input }) {
    return models.get(model).forward(input);
  },

  async train({ models, grants }, { model, data, options }, call) {
    const { trainer: settings, validation, ...fit } = options;
    const trainer = new Trainer(models.get(model), settings);
    const held = validation === undefined ? {} : { validation: await openData(grants, validation) };
    const run = trainer.fit(await openData(grants, data), { ...fit, ...held, signal: call.signal });
    run.finally(() => call.stopWaiting()).catch(() => undefined);
    for await (const event of run) await call.tell(event);
    const history = await run;
    if (settings.swa !== undefined || (settings.ema ?? false) !== false) await trainer.adoptAverage();
    return history;
  },

  async evaluate({ models, grants }, { model, data, options }, { signal }) {
    return models.get(model).evaluate(await openData(grants, data), { ...options, signal });
  },

  async save({ models, grants }, { model, grant, options }) {
    await models.get(model).saveWeights(grants.resolve(grant, 'write'), options);
    return null;
  },

  async dispose({ models }, { model }) {
    await models.dispose(model);
    return null;
  },
};

async function openData(grants: Grants, data: BridgeData): Promise<Dataset> {
  if ('digits' in data) return digits(data.digits);
  if (!('folder' in data)) return fromArrays(data);
  const { folder, ...options } = data;
  return imageFolder(grants.resolve(folder, 'folder'), options);
}
