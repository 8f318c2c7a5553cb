import { appendFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { jsonLines, type TrainingCallback, type TrainingEvent } from '../../lib';
import { EventBuffer } from '../../lib/training/events';
import { tinyDataset, tinyTrainer } from '../tiny';
import { expectRefusal, modelMaker, temporaryFolder, wrong } from '../unit/support';

const make = modelMaker();
const inFolder = temporaryFolder();
const plan = { epochs: 3, batchSize: 4 };

/** A callback that notes what it is called with. */
function recorder() {
  const calls: [string, unknown][] = [];
  const note = (name: string) => (value: unknown) => void calls.push([name, value]);
  const names = ['onStart', 'onStep', 'onEpoch', 'onCheckpoint', 'onEarlyStopping', 'onEnd'];
  const callback = Object.fromEntries(names.map((name) => [name, note(name)])) as TrainingCallback;
  const of = (name: string) => calls.filter(([called]) => called === name).map(([, value]) => value);
  return { callback, calls, of };
}

describe('callbacks', () => {
  it('see a run from its start to its end, in order', async () => {
    const { callback, calls, of } = recorder();
    const events: TrainingEvent[] = [];
    const run = tinyTrainer(await make()).fit(tinyDataset(), {
      ...plan,
      validation: tinyDataset(6),
      callbacks: [callback],
    });
    for await (const event of run) events.push(event);
    const history = await run;
    expect(calls[0]).toEqual(['onStart', { ...plan, from: { epoch: 1, step: 0 } }]);
    expect(calls.at(-1)).toEqual(['onEnd', { history }]);
    expect(of('onEpoch')).toEqual(history.epochs);
    expect(of('onEpoch')).toEqual(events.filter(({ type }) => type === 'epoch'));
    expect(of('onStep').length).toBeGreaterThan(0);
    expect(of('onEarlyStopping')).toEqual([]);
  });

  it('are awaited one after the other, and the run with them, while the training goes on', async () => {
    const model = await make();
    const order: string[] = [];
    let open = 0;
    const slow: TrainingCallback = {
      async onEpoch({ epoch }) {
        open += 1;
        expect(open).toBe(1);
        // What only reads may be called beside the training.
        await model.stateDict();
        await new Promise((resolve) => setTimeout(resolve, 20));
        open -= 1;
        order.push(`epoch ${epoch}`);
      },
      async onEnd() {
        // The run has let the model go.
        order.push(`end ${(await model.evaluate(tinyDataset())).size}`);
      },
    };
    await tinyTrainer(model).fit(tinyDataset(), { ...plan, callbacks: [slow] });
    order.push('run');
    expect(order).toEqual(['epoch 1', 'epoch 2', 'epoch 3', 'end 12', 'run']);
  });

  it('that throw end the run, which rejects with what they threw; the others hear of it', async () => {
    const model = await make();
    const { callback, of } = recorder();
    const failure = new Error('the disk is on fire');
    const failing: TrainingCallback = {
      onEpoch: () => {
        throw failure;
      },
      onEnd: () => {
        throw new Error('never called');
      },
    };
    const run = tinyTrainer(model).fit(tinyDataset(), { ...plan, epochs: 1e6, callbacks: [failing, callback] });
    await expect(run).rejects.toBe(failure);
    expect(of('onEnd')).toEqual([{ error: failure }]);
    expect(await model.evaluate(tinyDataset())).toMatchObject({ size: 12 });
  });

  it.each(['onStart', 'onEnd'] as const)('that throw in %s make the run reject too', async (name) => {
    const failure = new Error('no');
    const failing = { [name]: () => Promise.reject(failure) };
    const run = tinyTrainer(await make()).fit(tinyDataset(), { ...plan, callbacks: [failing] });
    await expect(run).rejects.toBe(failure);
  });

  it('hear of a run that is cancelled', async () => {
    const { callback, of } = recorder();
    const run = tinyTrainer(await make()).fit(tinyDataset(), { ...plan, epochs: 1e6, callbacks: [callback] });
    setTimeout(() => run.cancel(), 30);
    await expect(run).rejects.toThrow('aborted');
    expect(of('onEnd')).toEqual([{ error: expect.objectContaining({ name: 'AbortError' }) }]);
  });

  it('are not called for a run that is refused', async () => {
    const { callback, calls } = recorder();
    const trainer = tinyTrainer(await make());
    await expectRefusal(
      () => trainer.fit(tinyDataset(), { epochs: 0, batchSize: 4, callbacks: [callback] }),
      'ERR_INVALID_ARGUMENT',
      'epochs',
    );
    expect(calls).toEqual([]);
  });

  it.each([
    ['that are no list', {}, 'callbacks must be an array'],
    ['that are no object', [null], 'callbacks[0] must be an object'],
    ['with a hole', [, {}], 'callbacks[0] must be an object'],
    ['with a text for a function', [{ onStep: 'log' }], 'callbacks[0].onStep must be a function'],
    ['with a misspelt name', [{ onEpochs: () => undefined }], 'Did you mean "onEpoch"?'],
  ])('%s are refused', async (_, callbacks, text) => {
    const trainer = tinyTrainer(await make());
    await expectRefusal(
      () => trainer.fit(tinyDataset(), { ...plan, callbacks: wrong(callbacks) }),
      'ERR_INVALID_ARGUMENT',
      text,
    );
  });

  it('may be objects of a class, with other members too', async () => {
    class Counter implements TrainingCallback {
      epochs = 0;
      once = true;
      onEpoch(): void {
        this.epochs += 1;
      }
    }
    const counter = new Counter();
    await tinyTrainer(await make()).fit(tinyDataset(), { ...plan, callbacks: [counter] });
    expect(counter.epochs).toBe(3);
  });
});

test('an event buffer drops steps that nobody takes, and nothing else', async () => {
  const buffer = new EventBuffer();
  const stop = { type: 'earlyStopping', epoch: 1, bestEpoch: 1, value: 0, stopped: true, restored: true } as const;
  const step = { type: 'step', epoch: 1, step: 1, steps: 9, loss: 0, learningRate: 0, imagesPerSecond: 0 } as const;
  for (const event of [step, { ...step, step: 2 }, stop, stop]) {
    buffer.push(event);
    await Promise.resolve();
  }
  buffer.end();
  const taken: TrainingEvent[] = [];
  for await (const event of buffer) taken.push(event);
  expect(taken).toEqual([stop, stop]);
});

describe('jsonLines', () => {
  const lines = async (file: string) =>
    (await readFile(file, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  it('keeps the history, and goes on with a file that is there', async () => {
    const file = inFolder('runs/first/history.jsonl');
    const trainer = tinyTrainer(await make());
    const before = Date.now();
    const { epochs } = await trainer.fit(tinyDataset(), {
      ...plan,
      validation: tinyDataset(6),
      callbacks: [jsonLines(file)],
    });
    const found = await lines(file);
    expect(found.map(({ type }) => type)).toEqual(['start', 'epoch', 'epoch', 'epoch', 'end']);
    expect(found[1]).toEqual({ time: expect.any(String), ...epochs[0] });
    expect(Date.parse(found[0]?.['time'] as string)).toBeGreaterThanOrEqual(before);
    // So many that a busy machine, too, lets some step be told before its epoch is over.
    const long = { ...plan, epochs: 100, callbacks: [jsonLines(file, { steps: true })] };
    await trainer.fit(tinyDataset(), long);
    const more = (await lines(file)).slice(found.length);
    expect(more[0]).toMatchObject({ type: 'start', epochs: 100 });
    expect(more.some(({ type }) => type === 'step')).toBe(true);
    expect(more.at(-1)).toMatchObject({ type: 'end', seconds: expect.any(Number) });
  });

  it('has each epoch once after a resume, and what runs before wrote', async () => {
    const file = inFolder('resumed/history.jsonl');
    const folder = inFolder('resumed/checkpoints');
    const callbacks = [jsonLines(file, { steps: true })];
    await tinyTrainer(await make()).fit(tinyDataset(), { ...plan, callbacks });
    const before = await lines(file);
    const checkpoint = { folder, everySteps: 1, keepLast: 100 };
    await tinyTrainer(await make()).fit(tinyDataset(), { ...plan, checkpoint, callbacks });
    // As a process leaves it that was killed while it wrote.
    await appendFile(file, '{"time":"20');
    const trainer = tinyTrainer(await make());
    await trainer.resume(path.join(folder, 'epoch-0002-step-0000001.safetensors'));
    const { from, epochs } = await trainer.fit(tinyDataset(), { ...plan, callbacks });
    expect([from, epochs.map(({ epoch }) => epoch)]).toEqual([{ epoch: 2, step: 1 }, [2, 3]]);
    const found = await lines(file);
    expect(found.slice(0, before.length)).toEqual(before);
    const own = found.slice(before.length);
    const of = (type: string) => own.filter((line) => line['type'] === type);
    expect(of('epoch').map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
    expect(of('start').map((line) => line['from'])).toEqual([
      { epoch: 1, step: 0 },
      { epoch: 2, step: 1 },
    ]);
    const steps = of('step').map(({ epoch, step }) => `${String(epoch)}.${String(step)}`);
    expect(new Set(steps).size).toBe(steps.length);
    // The training metrics of the epoch that was broken off are those of all its steps.
    expect(of('epoch')[1]?.['train']).toMatchObject({ size: 12 });
  });

  it('tells how a run that failed ended', async () => {
    const file = inFolder('cut.jsonl');
    const run = tinyTrainer(await make()).fit(tinyDataset(), { ...plan, epochs: 1e6, callbacks: [jsonLines(file)] });
    setTimeout(() => run.cancel(), 30);
    await run.catch(() => undefined);
    expect((await lines(file)).at(-1)).toMatchObject({ type: 'end', error: expect.stringContaining('aborted') });
  });

  it('makes the run reject with ERR_FILE where it cannot write', async () => {
    await writeFile(inFolder('file'), '');
    const trainer = tinyTrainer(await make());
    const callbacks = [jsonLines(inFolder('file/history.jsonl'))];
    await expectRefusal(() => trainer.fit(tinyDataset(), { ...plan, callbacks }), 'ERR_FILE', 'history.jsonl');
  });

  it('refuses bad arguments', async () => {
    await expectRefusal(() => jsonLines(''), 'ERR_INVALID_ARGUMENT', 'file');
    await expectRefusal(() => jsonLines('x', { steps: wrong(1) }), 'ERR_INVALID_ARGUMENT', 'steps');
  });
});
