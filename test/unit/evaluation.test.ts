import { datasets, DenseNet, Trainer } from '../../lib';
import type { NativeEvaluation } from '../../lib/native';
import { toEvaluation } from '../../lib/training/evaluation';
import { tinyBatch, tinyDataset, tinyTrainer } from '../tiny';
import { floats, modelMaker, putTensors, temporaryFolder } from './support';

const make = modelMaker();
const inFolder = temporaryFolder();

describe('precision, recall and F1', () => {
  /** What native code gives for a confusion matrix. */
  function native(confusion: number[]): NativeEvaluation {
    const classes = Math.sqrt(confusion.length);
    const all = Array.from({ length: classes }, (_, index) => index);
    const count = (cells: (one: number, other: number) => number) =>
      Float64Array.from(all, (one) => all.reduce((sum, other) => sum + (confusion[cells(one, other)] ?? 0), 0));
    const none = new Float64Array();
    return {
      loss: 0.5,
      top1: 0.7,
      size: 20,
      topK: Float64Array.of(1),
      confusion: Float64Array.from(confusion),
      support: count((one, other) => one * classes + other),
      predicted: count((one, other) => other * classes + one),
      hits: Float64Array.from(all, (one) => confusion[one * classes + one] ?? 0),
      rocAuc: none,
      calibration: { error: 0.1, count: none, confidence: none, accuracy: none },
    };
  }

  it('are those that a hand counts', () => {
    // true ↓, predicted →  a  b  c
    const { perClass, confusionMatrix, ...rest } = toEvaluation(native([5, 2, 1, 0, 6, 2, 1, 0, 3]), ['a', 'b', 'c']);
    expect(confusionMatrix).toEqual([
      [5, 2, 1],
      [0, 6, 2],
      [1, 0, 3],
    ]);
    expect(rest).toMatchObject({ loss: 0.5, top1: 0.7, top5: 1, size: 20, rocAuc: null });
    expect(perClass).toEqual([
      { label: 'a', support: 8, precision: 5 / 6, recall: 5 / 8, f1: expect.closeTo(10 / 14, 12), rocAuc: null },
      { label: 'b', support: 8, precision: 6 / 8, recall: 6 / 8, f1: expect.closeTo(12 / 16, 12), rocAuc: null },
      { label: 'c', support: 4, precision: 3 / 6, recall: 3 / 4, f1: expect.closeTo(6 / 10, 12), rocAuc: null },
    ]);
    expect(rest.macro.recall).toBeCloseTo((5 / 8 + 6 / 8 + 3 / 4) / 3, 12);
    expect(rest.weighted.precision).toBeCloseTo((8 * (5 / 6) + 8 * (6 / 8) + 4 * (3 / 6)) / 20, 12);
  });

  it('are 0, not NaN, for a class without images, without predictions, or without either', () => {
    const { perClass } = toEvaluation(native([2, 1, 0, 0, 0, 0, 0, 0, 0]), ['a', 'only predicted', 'never seen']);
    expect(perClass.slice(1)).toEqual([
      { label: 'only predicted', support: 0, precision: 0, recall: 0, f1: 0, rocAuc: null },
      { label: 'never seen', support: 0, precision: 0, recall: 0, f1: 0, rocAuc: null },
    ]);
    expect(toEvaluation(native([0, 3, 0, 5]), ['never found', 'b']).perClass[0]).toMatchObject({
      support: 3,
      precision: 0,
      recall: 0,
      f1: 0,
    });
  });
});

describe('Trainer.evaluate', () => {
  /** A model whose logits are the same for every image. */
  async function constant(logits: number[]): Promise<DenseNet> {
    const model = await make({ numClasses: logits.length });
    const [, inputs = 0] = (await model.stateDict()).get('classifier.weight')?.shape ?? [];
    await putTensors(model, inFolder('constant.safetensors'), {
      'classifier.weight': floats([logits.length, inputs], Array<number>(logits.length * inputs).fill(0)),
      'classifier.bias': floats([logits.length], logits),
    });
    return model;
  }

  it('finds what a model that always says the same must get', async () => {
    const logits = [1, 2, 0, -1, -2, -3, -4];
    const trainer = tinyTrainer(await constant(logits));
    const labels = [0, 1, 1, 2, 5, 6, 1, 4];
    const evaluation = await trainer.evaluate(datasets.fromArrays({ ...tinyBatch(8), labels }), { batchSize: 3 });
    const log = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
    const losses = labels.map((label) => log - (logits[label] as number));
    expect(evaluation.loss).toBeCloseTo(losses.reduce((sum, loss) => sum + loss) / 8, 5);
    expect(evaluation.top1).toBe(3 / 8);
    expect(evaluation.top5).toBe(6 / 8);
    expect(evaluation.size).toBe(8);
    expect(evaluation.confusionMatrix.map((row) => row[1])).toEqual([1, 3, 1, 0, 1, 1, 1]);
    expect(evaluation.confusionMatrix.flat().reduce((sum, count) => sum + count)).toBe(8);
    // Every score ties with every other, and a tie counts half.
    expect(evaluation.perClass[1]).toEqual({
      label: '1',
      support: 3,
      precision: 3 / 8,
      recall: 1,
      f1: 6 / 11,
      rocAuc: 0.5,
    });
  });

  it('has everything among five where there are at most five classes', async () => {
    const evaluation = await tinyTrainer(await constant([0, 1, 2])).evaluate(tinyDataset());
    expect(evaluation.top5).toBe(1);
    expect(evaluation.top1).toBeCloseTo(1 / 3, 12);
  });

  it('agrees with predict, image by image, whatever the batch', async () => {
    const model = await make({ classes: ['ant', 'bee', 'cow'] });
    const trainer = tinyTrainer(model);
    await trainer.fit(tinyDataset(), { epochs: 5, batchSize: 4 });
    const { images, labels } = tinyDataset();
    const counts = [
      [0, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
    ];
    for (const [place, { index }] of (await model.predict(images)).entries())
      (counts[labels[place] as number] as number[])[index]! += 1;
    const whole = await trainer.evaluate(tinyDataset(), { batchSize: 12 });
    expect(whole.confusionMatrix).toEqual(counts);
    expect(
      new Set(counts.flatMap((row) => row.flatMap((count, index) => (count > 0 ? [index] : [])))).size,
    ).toBeGreaterThan(1);
    for (const batchSize of [1, 5, 1000]) {
      const parts = await trainer.evaluate(tinyDataset(), { batchSize });
      const { loss, calibration, ...counts } = parts;
      expect(counts).toEqual({ ...whole, loss: undefined, calibration: undefined });
      expect(loss).toBeCloseTo(whole.loss, 5);
      expect(calibration.error).toBeCloseTo(whole.calibration.error, 5);
    }
    expect(whole.perClass.map(({ label }) => label)).toEqual(['ant', 'bee', 'cow']);
  });

  it('changes neither weights nor statistics, and does not smooth the labels', async () => {
    const model = await constant([0, 0, 0]);
    const before = await model.stateDict();
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 1 }, labelSmoothing: 0.9 });
    expect((await trainer.evaluate(tinyDataset())).loss).toBeCloseTo(Math.log(3), 6);
    expect(await model.stateDict()).toEqual(before);
  });
});

describe('DenseNet.evaluate', () => {
  it('needs no trainer, and finds the same', async () => {
    const model = await make();
    expect(await model.evaluate(tinyDataset())).toEqual(await tinyTrainer(model).evaluate(tinyDataset()));
  });

  it('measures what is asked for', async () => {
    const model = await make();
    const found = await model.evaluate(tinyDataset(), { topK: [2, 3], calibrationBins: 4, rocAuc: false });
    expect(Object.keys(found.topK)).toEqual(['2', '3']);
    expect(found.topK[3]).toBe(1);
    expect(found.topK[2]).toBeGreaterThanOrEqual(found.top1);
    expect(found.calibration.bins.map(({ to }) => to)).toEqual([0.25, 0.5, 0.75, 1]);
    expect(found.calibration.bins.reduce((sum, { count }) => sum + count, 0)).toBe(12);
    expect(found.rocAuc).toBeNull();
    expect((await model.evaluate(tinyDataset())).rocAuc).toEqual(expect.any(Number));
  });

  it('ends with the reason of its signal, each evaluation by its own', async () => {
    const model = await make();
    const stop = new AbortController();
    const stopped = model.evaluate(tinyDataset(300), { batchSize: 1, signal: stop.signal });
    const other = model.evaluate(tinyDataset());
    setTimeout(() => stop.abort(new Error('enough')), 5);
    await expect(stopped).rejects.toThrow('enough');
    expect((await other).size).toBe(12);
  });

  it('waits for a training run', async () => {
    const model = await make();
    const run = tinyTrainer(model).fit(tinyDataset(), { epochs: 1, batchSize: 4 });
    await expect(model.evaluate(tinyDataset())).rejects.toThrow('ERR_BUSY');
    await run;
  });

  it('refuses what it cannot use', async () => {
    const model = await make();
    await expect(model.evaluate({} as never)).rejects.toThrow('data must be a data set');
    await expect(model.evaluate(tinyDataset(), { topK: [] as never, batchSize: 0 })).rejects.toThrow('batchSize');
    await expect(model.evaluate(tinyDataset(), { rocAuc: 1 as never })).rejects.toThrow('rocAuc must be true or false');
  });
});
