import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
  ClassificationMetrics,
  MultiLabelMetrics,
  type Calibration,
  type ClassMetrics,
  type EvaluationDetails,
  type TensorData,
} from '../../lib';
import { expectRefusal, wrong } from '../unit/support';

interface Case {
  classes: number;
  logits: number[];
  labels: number[];
  expected: {
    loss: number;
    top1: number;
    topK: Record<string, number>;
    exactMatch: number;
    perClass: Omit<ClassMetrics, 'label'>[];
    macro: object;
    weighted: object;
    micro: object;
    rocAuc: number;
    confusionMatrix: number[][];
    /** `counts` of all bins; the others of those that are not empty. */
    calibration: { error: number; counts: number[]; confidence: number[]; accuracy: number[] };
  };
}

/** What scikit-learn says, see make_metrics.py. */
function readCase(name: string): Case {
  return JSON.parse(readFileSync(path.join(__dirname, 'fixtures', `${name}.json`), 'utf8')) as Case;
}

/** Every number within 1e-9. */
function near<T>(value: T): T {
  if (typeof value === 'number') return expect.closeTo(value, 9) as T;
  if (Array.isArray(value)) return value.map(near) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, near(inner as unknown)])) as T;
}

function rows(values: readonly number[], classes: number, from: number, to: number): TensorData {
  const data = Float32Array.from(values.slice(from * classes, to * classes));
  return { data, shape: [data.length / classes, classes] };
}

function expectDetails(found: EvaluationDetails, { expected }: Case): void {
  expect(found.perClass.map(({ label: _, ...rest }) => rest)).toEqual(near(expected.perClass));
  expect(found.macro).toEqual(near(expected.macro));
  expect(found.weighted).toEqual(near(expected.weighted));
  expect(found.rocAuc).toBeCloseTo(expected.rocAuc, 9);
  expectCalibration(found.calibration, expected.calibration);
}

function expectCalibration({ error, bins }: Calibration, expected: Case['expected']['calibration']): void {
  expect(error).toBeCloseTo(expected.error, 9);
  expect(bins.map(({ count }) => count)).toEqual(expected.counts);
  const filled = bins.filter(({ count }) => count > 0);
  expect(filled.map(({ confidence }) => confidence)).toEqual(near(expected.confidence));
  expect(filled.map(({ accuracy }) => accuracy)).toEqual(near(expected.accuracy));
  expect(bins.map(({ from, to }) => [from, to])).toEqual(
    bins.map((_, index) => [index / bins.length, (index + 1) / bins.length]),
  );
}

describe('of one label an image, they are those of scikit-learn', () => {
  it.each([
    ['seven-classes', 1000],
    ['seven-classes', 32],
    ['seven-classes', 1],
    ['missing-classes', 50],
    ['two-classes', 100],
  ])('%s, in batches of %i', async (name, size) => {
    const read = readCase(name);
    const { classes, logits, labels, expected } = read;
    const topK = Object.keys(expected.topK).map(Number);
    const metrics = new ClassificationMetrics({ classes, topK });
    for (let from = 0; from < labels.length; from += size)
      await metrics.add(rows(logits, classes, from, from + size), labels.slice(from, from + size));
    const found = await metrics.result();
    expect(found.size).toBe(labels.length);
    expect(found.loss).toBeCloseTo(expected.loss, 9);
    expect(found.top1).toBeCloseTo(expected.top1, 12);
    expect(found.topK).toEqual(near(expected.topK));
    expect(found.confusionMatrix).toEqual(expected.confusionMatrix);
    expectDetails(found, read);
  });
});

test('of several labels an image, they are those of scikit-learn', async () => {
  const read = readCase('multi-label');
  const { classes, logits, labels, expected } = read;
  const metrics = new MultiLabelMetrics({ classes });
  const images = labels.length / classes;
  for (let from = 0; from < images; from += 37)
    await metrics.add(rows(logits, classes, from, from + 37), rows(labels, classes, from, from + 37));
  const found = await metrics.result();
  expect(found.size).toBe(images);
  expect(found.loss).toBeCloseTo(expected.loss, 9);
  expect(found.exactMatch).toBeCloseTo(expected.exactMatch, 12);
  expect(found.micro).toEqual(near(expected.micro));
  expectDetails(found, read);
});

describe('metrics', () => {
  const logits = (...values: number[][]): TensorData => ({
    data: Float32Array.from(values.flat()),
    shape: [values.length, values[0]?.length ?? 0],
  });

  it('go on after a batch that was refused, as if it had not been', async () => {
    const metrics = new ClassificationMetrics({ classes: ['cat', 'dog'] });
    await metrics.add(logits([2, 0], [0, 1]), [0, 0]);
    const before = await metrics.result();
    await expectRefusal(() => metrics.add(logits([1, NaN]), [0]), 'ERR_NON_FINITE_INPUT', 'NaN');
    await expectRefusal(() => metrics.add(logits([1, 2]), [2]), 'ERR_LABEL_OUT_OF_RANGE');
    await expectRefusal(() => metrics.add(logits([1, 2, 3]), [0]), 'ERR_INVALID_ARGUMENT', '[images, 2]');
    await expectRefusal(() => metrics.add(logits([1, 2]), [0, 1]), 'ERR_INVALID_ARGUMENT', 'one label an image');
    expect(await metrics.result()).toEqual(before);
    expect(before).toMatchObject({
      size: 2,
      top1: 0.5,
      top5: 1,
      confusionMatrix: [
        [1, 1],
        [0, 0],
      ],
    });
    expect(before.perClass.map(({ label }) => label)).toEqual(['cat', 'dog']);
    // No image is a dog: there are no two to compare.
    expect([before.rocAuc, before.perClass[0]?.rocAuc]).toEqual([null, null]);
  });

  it('take what a batch is when it is added', async () => {
    const metrics = new ClassificationMetrics({ classes: 2 });
    const batch = logits([3, 0]);
    const added = metrics.add(batch, [0]);
    (batch.data as Float32Array).fill(NaN);
    await added;
    expect((await metrics.result()).top1).toBe(1);
  });

  it('measure no area where none was asked for', async () => {
    const metrics = new ClassificationMetrics({ classes: 2, rocAuc: false });
    await metrics.add(logits([3, 0], [0, 1]), [0, 1]);
    expect((await metrics.result()).rocAuc).toBeNull();
  });

  it('refuse what they cannot use', async () => {
    const make = (options: object) => () => new ClassificationMetrics(wrong(options));
    await expectRefusal(make({}), 'ERR_INVALID_ARGUMENT', 'classes');
    await expectRefusal(make({ classes: 0 }), 'ERR_INVALID_ARGUMENT', 'classes');
    await expectRefusal(make({ classes: 3, topK: [0] }), 'ERR_INVALID_ARGUMENT', 'topK');
    await expectRefusal(make({ classes: 3, topK: 5 }), 'ERR_INVALID_ARGUMENT', 'topK');
    await expectRefusal(make({ classes: 3, calibrationBins: 0 }), 'ERR_INVALID_ARGUMENT', 'calibrationBins');
    await expectRefusal(make({ classes: 3, rocAuc: 'yes' }), 'ERR_INVALID_ARGUMENT', 'rocAuc');
    await expectRefusal(make({ classes: 3, bins: 4 }), 'ERR_INVALID_ARGUMENT', 'calibrationBins');
    await expectRefusal(() => new MultiLabelMetrics(wrong({ classes: 3, topK: [1] })), 'ERR_INVALID_ARGUMENT', 'topK');
    await expectRefusal(() => new ClassificationMetrics({ classes: 3 }).result(), 'ERR_INVALID_ARGUMENT', 'nothing');
    const several = new MultiLabelMetrics({ classes: 2 });
    await expectRefusal(() => several.add(logits([1, 2]), logits([0, 1.5])), 'ERR_LABEL_OUT_OF_RANGE', 'from 0 to 1');
    await expectRefusal(() => several.add(logits([1, 2]), logits([0])), 'ERR_INVALID_ARGUMENT', 'labels.shape');
  });
});
