import { fitTensors, type FitOptions } from '../../lib/weights/fit';
import { contiguousStrides, type TensorEntry } from '../../lib/weights/tensor-entry';

const own = [
  { name: 'features.conv0.weight', shape: [8, 3, 7, 7] },
  { name: 'features.norm0.weight', shape: [8] },
  { name: 'features.norm0.running_mean', shape: [8] },
  { name: 'features.norm0.num_batches_tracked', shape: [] },
  { name: 'classifier.weight', shape: [10, 20] },
  { name: 'classifier.bias', shape: [10] },
];

function entry(name: string, shape: number[]): TensorEntry {
  return { name, dtype: 'F32', shape, strides: contiguousStrides(shape), offset: 0, bytes: 4 };
}

function fit(entries: TensorEntry[], options: Partial<FitOptions> = {}, model = own) {
  const names = new Map(entries.map(({ name }) => [name, name.replace('module.', '')]));
  return fitTensors(model, entries, names, { adaptInput: false, adaptClassifier: false, ...options });
}

const all = own.map(({ name, shape }) => entry(name, shape));
const without = (part: string) => all.filter(({ name }) => !name.includes(part));

test('what fits by name and shape matches', () => {
  const { report, taken, zeros, misfits } = fit(all);
  expect(report).toEqual({ matched: own.map(({ name }) => name), missing: [], unexpected: [], adapted: [] });
  expect(taken).toHaveLength(6);
  expect([...zeros, ...misfits]).toEqual([]);
});

test("matched names are the model's, unexpected ones the file's", () => {
  const wrapped = [...all, entry('extra.weight', [1])].map((one) => ({ ...one, name: `module.${one.name}` }));
  const { report, taken } = fit(wrapped);
  expect(report.matched).toEqual(own.map(({ name }) => name));
  expect(report.unexpected).toEqual(['module.extra.weight']);
  expect(taken.map(({ name }) => name)).toEqual(own.map(({ name }) => name));
});

test('a missing counter is 0 where its batch norm is there, and the report says so', () => {
  const { report, zeros } = fit(without('num_batches_tracked'));
  expect(zeros).toEqual(['features.norm0.num_batches_tracked']);
  expect(report).toMatchObject({ missing: [], adapted: zeros });
});

test('a counter is missing with its batch norm', () => {
  const { report, zeros } = fit(without('norm0'));
  expect(zeros).toEqual([]);
  expect(report.missing).toEqual([
    'features.norm0.weight',
    'features.norm0.running_mean',
    'features.norm0.num_batches_tracked',
  ]);
});

test('another shape is missing and unexpected, and both shapes are said', () => {
  const { report, misfits } = fit([...without('conv0'), entry('features.conv0.weight', [8, 3, 3, 3])]);
  expect(report.missing).toEqual(['features.conv0.weight']);
  expect(report.unexpected).toEqual(['features.conv0.weight']);
  expect(misfits).toEqual(['features.conv0.weight is [8, 3, 3, 3] in the file, but [8, 3, 7, 7] in the model']);
});

test.each([1, 2, 4, 6])('filters of RGB are adapted to %i channels when that is asked for', (channels) => {
  const model = own.map((one) => (one.name.includes('conv0') ? { ...one, shape: [8, channels, 7, 7] } : one));
  expect(fit(all, {}, model).report.missing).toEqual(['features.conv0.weight']);
  const { report, taken } = fit(all, { adaptInput: true }, model);
  expect(report).toMatchObject({ missing: [], unexpected: [], adapted: ['features.conv0.weight'] });
  expect(taken.find(({ name }) => name.includes('conv0'))).toMatchObject({
    shape: [8, 3, 7, 7],
    adapt: { inChannels: channels },
  });
});

test('filters of other images than RGB, or of another kernel, are not adapted', () => {
  const grey = [...without('conv0'), entry('features.conv0.weight', [8, 1, 7, 7])];
  expect(fit(grey, { adaptInput: true }).report.missing).toEqual(['features.conv0.weight']);
  const small = own.map((one) => (one.name.includes('conv0') ? { ...one, shape: [8, 1, 3, 3] } : one));
  expect(fit(all, { adaptInput: true }, small).report.missing).toEqual(['features.conv0.weight']);
});

test('adaptClassifier keeps the own classifier when the classes differ', () => {
  const other = [...without('classifier'), entry('classifier.weight', [1000, 20]), entry('classifier.bias', [1000])];
  expect(fit(other).report.missing).toEqual(['classifier.weight', 'classifier.bias']);
  const { report, taken } = fit(other, { adaptClassifier: true });
  expect(report).toMatchObject({ missing: [], unexpected: [], adapted: ['classifier.weight', 'classifier.bias'] });
  expect(taken.map(({ name }) => name)).not.toContain('classifier.weight');
});

test('adaptClassifier takes the classifier when it fits, and does without one', () => {
  expect(fit(all, { adaptClassifier: true }).report.matched).toHaveLength(6);
  expect(fit(without('classifier'), { adaptClassifier: true }).report).toMatchObject({
    missing: [],
    adapted: ['classifier.weight', 'classifier.bias'],
  });
});

test('adaptClassifier does not hide that the features differ', () => {
  const other = [...without('classifier'), entry('classifier.weight', [10, 99]), entry('classifier.bias', [10])];
  expect(fit(other, { adaptClassifier: true }).report).toMatchObject({
    missing: ['classifier.weight'],
    unexpected: ['classifier.weight'],
  });
});
