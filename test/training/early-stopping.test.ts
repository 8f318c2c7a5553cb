import { Trainer, type EarlyStoppingOptions, type TrainingEvent } from '../../lib';
import { tinyDataset, tinyTrainer } from '../tiny';
import { expectRefusal, fingerprint, modelMaker, temporaryFolder, wrong } from '../unit/support';

const make = modelMaker();
const inFolder = temporaryFolder();

/** A rate so large that the validation loss goes up and down, and has its best epoch in the middle. */
const restless = { optimizer: { type: 'sgd', lr: 0.2, momentum: 0.9 }, seed: 3 } as const;
const base = { batchSize: 4, validation: tinyDataset(9) };
const lossOf = (epochs: { validation?: { loss: number } }[]) => epochs.map(({ validation }) => validation?.loss ?? NaN);

/** The validation losses of a run that goes through, and where the least of them is, from 1. */
async function wholeRun(epochs: number) {
  const losses = lossOf((await new Trainer(await make(), restless).fit(tinyDataset(), { ...base, epochs })).epochs);
  return { losses, best: losses.indexOf(Math.min(...losses)) + 1 };
}

/** The state of a model that was trained for so many epochs and no more. */
async function stateAfter(epochs: number): Promise<string> {
  const model = await make();
  await new Trainer(model, restless).fit(tinyDataset(), { ...base, epochs });
  return fingerprint(model);
}

describe('early stopping', () => {
  it('ends a run after so many epochs without an improvement, and brings the best back to the bit', async () => {
    const { losses } = await wholeRun(20);
    const patience = 2;
    // What must happen, from the losses alone.
    let best = 0;
    let last = 1;
    for (; last <= 20; last += 1) {
      if ((losses[last - 1] ?? NaN) < (losses[best - 1] ?? Infinity)) best = last;
      if (last - best >= patience) break;
    }
    expect(best).toBeGreaterThan(1);
    expect(last).toBeLessThan(20);
    const model = await make();
    const events: TrainingEvent[] = [];
    const run = new Trainer(model, restless).fit(tinyDataset(), { ...base, epochs: 20, earlyStopping: { patience } });
    for await (const event of run) events.push(event);
    const { epochs, earlyStopping } = await run;
    expect(lossOf(epochs)).toEqual(losses.slice(0, last));
    const expected = { epoch: last, bestEpoch: best, value: losses[best - 1], stopped: true, restored: true };
    expect(earlyStopping).toEqual({ type: 'earlyStopping', ...expected });
    expect(events.at(-1)).toEqual(earlyStopping);
    expect(await fingerprint(model)).toBe(await stateAfter(best));
  });

  it('brings the best back of a run that goes through, or leaves the last, as it is told', async () => {
    const { losses, best } = await wholeRun(9);
    expect(best).toBeLessThan(9);
    for (const restoreBest of [true, false]) {
      const model = await make();
      const earlyStopping: EarlyStoppingOptions = { patience: 100, restoreBest };
      const history = await new Trainer(model, restless).fit(tinyDataset(), { ...base, epochs: 9, earlyStopping });
      expect(history.earlyStopping).toMatchObject({ stopped: false, restored: restoreBest, bestEpoch: best });
      expect(history.earlyStopping?.value).toBe(losses[best - 1]);
      expect(await fingerprint(model)).toBe(await stateAfter(restoreBest ? best : 9));
    }
  });

  it('goes by the accuracy, by a least improvement, and by the training data where there are no others', async () => {
    const trainer = tinyTrainer(await make());
    const { epochs, earlyStopping } = await trainer.fit(tinyDataset(), {
      epochs: 50,
      batchSize: 4,
      earlyStopping: { monitor: 'top1', minDelta: 1, patience: 3 },
    });
    // The first is the best; none after it can be better by more than 1.
    expect(epochs).toHaveLength(4);
    expect(earlyStopping).toMatchObject({ bestEpoch: 1, value: epochs[0]?.train.top1 });
  });

  it('is exact in a run that was cut short and resumed', async () => {
    const options = { ...base, epochs: 20, earlyStopping: { patience: 2 } };
    const whole = await make();
    const { earlyStopping, epochs } = await new Trainer(whole, restless).fit(tinyDataset(), options);
    const folder = inFolder('cut');
    const stop = new AbortController();
    const cut = new Trainer(await make(), restless).fit(tinyDataset(), {
      ...options,
      checkpoint: { folder },
      signal: stop.signal,
      callbacks: [
        {
          onEpoch({ epoch }) {
            if (epoch === epochs.length - 1) stop.abort();
          },
        },
      ],
    });
    await cut.catch(() => undefined);
    const model = await make({ seed: 99 });
    const trainer = new Trainer(model, restless);
    const { epoch } = await trainer.resume(folder);
    expect(epoch).toBeLessThanOrEqual(epochs.length + 1);
    const resumed = await trainer.fit(tinyDataset(), { ...options, checkpoint: { folder } });
    expect(resumed.earlyStopping).toEqual(earlyStopping);
    expect(await fingerprint(model)).toBe(await fingerprint(whole));
  });

  it.each([
    ['a patience of 0', { patience: 0 }, 'earlyStopping.patience'],
    ['a monitor that there is not', { monitor: 'f1' }, 'earlyStopping.monitor must be one of'],
    ['a negative least improvement', { minDelta: -1 }, 'earlyStopping.minDelta'],
    ['a text for a choice', { restoreBest: 'yes' }, 'earlyStopping.restoreBest'],
    ['an option that there is not', { patient: 3 }, 'Did you mean "patience"?'],
    ['no object', 3, 'earlyStopping must be an object'],
  ])('refuses %s', async (_, earlyStopping, text) => {
    const trainer = tinyTrainer(await make());
    await expectRefusal(
      () => trainer.fit(tinyDataset(), { ...base, epochs: 2, earlyStopping: wrong(earlyStopping) }),
      'ERR_INVALID_ARGUMENT',
      text,
    );
  });
});
