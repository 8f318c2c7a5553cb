import { datasets, DenseNet, Trainer } from '../../lib';
import { toEvaluation } from '../../lib/training/evaluation';
import { tinyBatch, tinyDataset, tinyTrainer } from '../tiny';
import { floats, modelMaker, putTensors, temporaryFolder } from './support';

const make = modelMaker();
const inFolder = temporaryFolder();

describe('precision, recall and F1', () => {
  const native = (confusion: number[]) => ({ loss: 0.5, top1: 0.7, top5: 1, size: 20, confusion });

  it('are those that a hand counts', () => {
    // true ↓, predicted →  a  b  c
    const { perClass, confusionMatrix, ...rest } = toEvaluation(native([5, 2, 1, 0, 6, 2, 1, 0, 3]), ['a', 'b', 'c']);
    expect(confusionMatrix).toEqual([
      [5, 2, 1],
      [0, 6, 2],
      [1, 0, 3],
    ]);
    expect(rest).toEqual({ loss: 0.5, top1: 0.7, top5: 1, size: 20 });
    expect(perClass).toEqual([
      { label: 'a', support: 8, precision: 5 / 6, recall: 5 / 8, f1: expect.closeTo(10 / 14, 12) },
      { label: 'b', support: 8, precision: 6 / 8, recall: 6 / 8, f1: expect.closeTo(12 / 16, 12) },
      { label: 'c', support: 4, precision: 3 / 6, recall: 3 / 4, f1: expect.closeTo(6 / 10, 12) },
    ]);
  });

  it('are 0, not NaN, for a class without images, without predictions, or without either', () => {
    const { perClass } = toEvaluation(native([2, 1, 0, 0, 0, 0, 0, 0, 0]), ['a', 'only predicted', 'never seen']);
    expect(perClass.slice(1)).toEqual([
      { label: 'only predicted', support: 0, precision: 0, recall: 0, f1: 0 },
      { label: 'never seen', support: 0, precision: 0, recall: 0, f1: 0 },
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
    expect(evaluation.perClass[1]).toEqual({ label: '1', support: 3, precision: 3 / 8, recall: 1, f1: 6 / 11 });
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
      expect(parts).toEqual({ ...whole, loss: expect.closeTo(whole.loss, 5) });
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
