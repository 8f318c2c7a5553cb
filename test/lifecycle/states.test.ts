import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ClassificationMetrics,
  createBatcher,
  DenseNet,
  DenseNetError,
  isDenseNetError,
  MultiLabelMetrics,
  Trainer,
  type TrainingRun,
} from '../../lib';
import { handleOf } from '../../lib/model/handle';
import { floats } from '../unit/support';
import { tinyBatch, tinyDataset, tinyImages, tinyModel, tinyTrainer } from '../tiny';
import { publicMembers } from './public-members';

const states = ['idle', 'training', 'predicting', 'aborted', 'disposed', 'poisoned'] as const;
type State = (typeof states)[number];

/** What a call comes to: `works`, or the code that it is refused with, at once or by its promise. */
type Result = 'works' | 'ERR_BUSY' | 'ERR_DISPOSED' | 'ERR_CUDA_POISONED' | 'ERR_INVALID_ARGUMENT' | 'AbortError';
type Results = Record<State, Result>;

/** Reads the model: beside a training run it is answered between two steps. */
const reads: Results = {
  idle: 'works',
  training: 'works',
  predicting: 'works',
  aborted: 'works',
  disposed: 'ERR_DISPOSED',
  poisoned: 'ERR_CUDA_POISONED',
};
/** Changes the model, or needs it for itself: not beside a run. */
const changes: Results = { ...reads, training: 'ERR_BUSY' };
/** Tells what JavaScript knows; or has nothing to do with the model. */
const always: Results = {
  idle: 'works',
  training: 'works',
  predicting: 'works',
  aborted: 'works',
  disposed: 'works',
  poisoned: 'works',
};
/** Changes what JavaScript knows at once, and the native model in its turn. */
const notes: Results = { ...changes, poisoned: 'works' };
const notMade = Object.fromEntries(states.map((state) => [state, 'ERR_INVALID_ARGUMENT'])) as Results;
/** Of the run that the state has, which is ended where one is on. */
const ofRun: Results = {
  ...always,
  training: 'AbortError',
  aborted: 'AbortError',
  disposed: 'ERR_DISPOSED',
  poisoned: 'AbortError',
};

interface Situation {
  model: DenseNet;
  trainer: Trainer;
  /** The run that is on, or the last one. */
  run: TrainingRun;
  folder: string;
}

let folder: string;
let weights: string;
let checkpoint: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'densenet-states-'));
  [weights, checkpoint] = [path.join(folder, 'weights.safetensors'), path.join(folder, 'checkpoint.safetensors')];
  await using model = await tinyModel();
  const trainer = tinyTrainer(model);
  await trainer.step(tinyBatch());
  await model.saveWeights(weights);
  await trainer.save(checkpoint);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const plan = { epochs: 2, batchSize: 4 };
const logits = floats([2, 3], [1, 2, 3, 3, 2, 1]);

/** How to call each public member, and what it comes to in each state. A new member needs a line here. */
const members: Record<string, [Results, (situation: Situation) => unknown]> = {
  'new DenseNet': [notMade, () => new (DenseNet as unknown as new () => unknown)()],
  'DenseNet.create': [always, async () => (await tinyModel()).dispose()],
  'DenseNet.load': [always, async () => (await DenseNet.load(weights, { device: 'cpu' })).dispose()],
  'DenseNet.fromPretrained': [
    notMade,
    // What is not to be had is refused before anything is asked of the network.
    () => DenseNet.fromPretrained('densenet121', { offline: 3 as never }),
  ],
  'DenseNet#config': [always, ({ model }) => model.config],
  'DenseNet#device': [always, ({ model }) => model.device],
  'DenseNet#parameterCount': [always, ({ model }) => model.parameterCount],
  'DenseNet#trainableParameterCount': [always, ({ model }) => model.trainableParameterCount],
  'DenseNet#disposed': [always, ({ model }) => model.disposed],
  'DenseNet#featureInfo': [always, ({ model }) => model.featureInfo],
  'DenseNet#forward': [reads, ({ model }) => model.forward(tinyImages(2))],
  'DenseNet#features': [reads, ({ model }) => model.features(tinyImages(2))],
  'DenseNet#predict': [reads, ({ model }) => model.predict(tinyImages(2))],
  'DenseNet#gradCam': [reads, ({ model }) => model.gradCam(tinyImages(2))],
  'DenseNet#loadWeights': [changes, ({ model }) => model.loadWeights(weights)],
  'DenseNet#saveWeights': [reads, ({ model, folder: place }) => model.saveWeights(path.join(place, 'a.safetensors'))],
  'DenseNet#stateDict': [reads, ({ model }) => model.stateDict()],
  'DenseNet#gradients': [reads, ({ model }) => model.gradients()],
  'DenseNet#freeze': [notes, ({ model }) => model.freeze('features')],
  'DenseNet#unfreeze': [notes, ({ model }) => model.unfreeze()],
  'DenseNet#replaceClassifier': [changes, ({ model }) => model.replaceClassifier(5)],
  'DenseNet#estimateMemory': [reads, ({ model }) => model.estimateMemory({ batch: 2, size: 8 })],
  'DenseNet#evaluate': [changes, ({ model }) => model.evaluate(tinyDataset())],
  'DenseNet#summary': [reads, ({ model }) => model.summary({ size: 8 })],
  'DenseNet#dispose': [always, ({ model }) => model.dispose()],
  'DenseNet#[Symbol.asyncDispose]': [always, ({ model }) => model[Symbol.asyncDispose]()],
  'new Trainer': [{ ...always, disposed: 'ERR_DISPOSED' }, ({ model }) => tinyTrainer(model)],
  'Trainer#step': [changes, ({ trainer }) => trainer.step(tinyBatch())],
  'Trainer#fit': [changes, ({ trainer }) => trainer.fit(tinyDataset(), plan)],
  'Trainer#save': [reads, ({ trainer, folder: place }) => trainer.save(path.join(place, 'b.safetensors'))],
  'Trainer#resume': [changes, ({ trainer }) => trainer.resume(checkpoint)],
  'Trainer#saveWeights': [
    reads,
    ({ trainer, folder: place }) => trainer.saveWeights(path.join(place, 'c.safetensors')),
  ],
  'Trainer#adoptAverage': [changes, ({ trainer }) => trainer.adoptAverage()],
  'Trainer#evaluate': [changes, ({ trainer }) => trainer.evaluate(tinyDataset())],
  'Trainer#findLearningRate': [
    changes,
    ({ trainer }) => trainer.findLearningRate(tinyDataset(), { steps: 5, batchSize: 4 }),
  ],
  'TrainingRun#then': [ofRun, ({ run }) => ended(run).then((history) => history)],
  'TrainingRun#catch': [always, ({ run }) => ended(run).catch(() => undefined)],
  'TrainingRun#finally': [ofRun, ({ run }) => ended(run).finally(() => undefined)],
  'TrainingRun#cancel': [always, ({ run }) => run.cancel()],
  'TrainingRun#[Symbol.asyncIterator]': [
    ofRun,
    async ({ run }) => {
      let events = 0;
      for await (const event of ended(run)) events += event.epoch;
      return events;
    },
  ],
  'new ClassificationMetrics': [always, () => new ClassificationMetrics({ classes: 3 })],
  'ClassificationMetrics#add': [always, () => new ClassificationMetrics({ classes: 3 }).add(logits, [2, 0])],
  'ClassificationMetrics#result': [
    always,
    async () => {
      const metrics = new ClassificationMetrics({ classes: 3 });
      await metrics.add(logits, [2, 0]);
      return metrics.result();
    },
  ],
  'new MultiLabelMetrics': [always, () => new MultiLabelMetrics({ classes: 3 })],
  'MultiLabelMetrics#add': [
    always,
    () => new MultiLabelMetrics({ classes: 3 }).add(logits, floats([2, 3], [0, 0, 1, 1, 0, 0])),
  ],
  'MultiLabelMetrics#result': [
    always,
    async () => {
      const metrics = new MultiLabelMetrics({ classes: 3 });
      await metrics.add(logits, floats([2, 3], [0, 0, 1, 1, 0, 0]));
      return metrics.result();
    },
  ],
  // A batcher is made in the state: of a disposed model there is none.
  'Batcher#predict': [reads, async ({ model }) => createBatcher(model).predict(tinyImages(2))],
  'Batcher#forward': [reads, async ({ model }) => createBatcher(model).forward(tinyImages(2))],
  'Batcher#statistics': [{ ...always, disposed: 'ERR_DISPOSED' }, ({ model }) => createBatcher(model).statistics],
  'Batcher#close': [{ ...always, disposed: 'ERR_DISPOSED' }, ({ model }) => createBatcher(model).close()],
  'Batcher#[Symbol.asyncDispose]': [
    { ...always, disposed: 'ERR_DISPOSED' },
    ({ model }) => createBatcher(model)[Symbol.asyncDispose](),
  ],
  'Summary#toString': [reads, async ({ model }) => String(await model.summary({ size: 8 }))],
  'new DenseNetError': [always, () => new DenseNetError('ERR_BUSY', 'busy')],
};

/** The run, told to end, so that waiting for it comes to an end. */
function ended(run: TrainingRun): TrainingRun {
  run.cancel();
  return run;
}

test('every public member has its line', () => {
  const wanted = publicMembers(['TrainingRun']);
  expect(wanted.length).toBeGreaterThan(40);
  expect(Object.keys(members).sort()).toEqual(wanted.sort());
});

/** Brings a model into a state. */
async function enter(state: State): Promise<Situation> {
  const model = await tinyModel();
  const trainer = tinyTrainer(model);
  const place = await mkdtemp(path.join(folder, 'one-'));
  const endless = { epochs: 1_000_000, batchSize: 4 };
  const run = trainer.fit(
    tinyDataset(),
    state === 'idle' || state === 'predicting' ? { epochs: 1, batchSize: 4 } : endless,
  );
  await run[Symbol.asyncIterator]().next();
  if (state === 'idle' || state === 'predicting') await run;
  if (state === 'predicting') for (let index = 0; index < 8; index += 1) void model.forward(tinyImages(64));
  if (state === 'aborted' || state === 'poisoned') {
    run.cancel();
    await run.catch(() => undefined);
  }
  if (state === 'disposed') {
    void run.catch(() => undefined);
    await model.dispose();
  }
  if (state === 'poisoned') poison(model);
  return { model, trainer, run, folder: place };
}

/**
 * Makes every native call on a model and its trainers fail as after a fault of a CUDA device. There is no device here to
 * fail, so this shows what TypeScript does with such a failure, not that native code reports it.
 */
function poison(model: DenseNet): void {
  const handle = handleOf(model) as unknown as Record<'native' | 'core', object>;
  const failure = (): Promise<never> =>
    Promise.reject(
      Object.assign(new Error('CUDA error: device-side assert triggered.'), { code: 'ERR_DENSENET_CUDA_POISONED' }),
    );
  const failing = (target: object, fine: readonly string[]): object =>
    new Proxy(target, {
      get(_, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        if (fine.includes(String(name))) return value.bind(target) as unknown;
        // What can be stopped returns its promise in an object.
        if (['evaluate', 'findLearningRate'].includes(String(name)))
          return () => ({ result: failure(), stop: () => undefined });
        return failure;
      },
    });
  const { core, native } = handle;
  // Giving memory back does not ask the device; a data set lies in the machine's memory.
  handle.native = failing(native, ['dispose']);
  handle.core = new Proxy(core, {
    get(_, name) {
      const value: unknown = Reflect.get(core, name);
      if (name !== 'NativeTrainer') return value;
      const Made = value as new (...args: unknown[]) => object;
      return function NativeTrainer(_model: unknown, options: unknown): object {
        return failing(new Made(native, options), ['stop']);
      };
    },
  });
}

/** What a call comes to, within ten seconds. */
async function resultOf(call: () => unknown): Promise<string> {
  const waiting = new AbortController();
  const outcome = (async () => {
    try {
      await call();
      return 'works';
    } catch (error) {
      if (isDenseNetError(error)) return error.code;
      return (error as Error).name === 'AbortError' ? 'AbortError' : String(error);
    }
  })();
  const late = sleep(10_000, 'never ends', { signal: waiting.signal }).catch(() => 'was ended');
  try {
    return await Promise.race([outcome, late]);
  } finally {
    waiting.abort();
  }
}

describe.each(states)('%s:', (state) => {
  it.each(Object.keys(members))('%s', async (name) => {
    const [results, call] = members[name]!;
    const situation = await enter(state);
    const { model, run } = situation;
    // A trainer that was made before the fault keeps its native one; a new one meets the fault as well.
    if (state === 'poisoned') situation.trainer = tinyTrainer(model);
    expect(await resultOf(() => call(situation))).toBe(results[state]);
    // Whatever came of it, the model can be asked again, or says why not; and it can be given back.
    const again = model.disposed ? 'ERR_DISPOSED' : state === 'poisoned' ? 'ERR_CUDA_POISONED' : 'works';
    expect(await resultOf(() => model.forward(tinyImages(1)))).toBe(again);
    run.cancel();
    await run.catch(() => undefined);
    expect(await resultOf(() => model.dispose())).toBe('works');
  });
});
