import { DenseNet, type TensorData } from '../../lib';
import { tinyBatch, tinyImages, tinyModel, tinyTrainer } from '../tiny';
import { expectRefusal, fingerprint, temporaryFolder } from '../unit/support';

const inFolder = temporaryFolder();

let model: DenseNet;
let busy: Promise<unknown>;
beforeEach(async () => {
  model = await tinyModel();
  await model.saveWeights(inFolder('own.safetensors'));
});
afterEach(async () => {
  await busy;
  await model.dispose();
});

/** Makes the calls that come after it wait, since it first reads a file. */
function keepBusy(): void {
  busy = model.loadWeights(inFolder('own.safetensors'));
}

/** What a caller may do to its tensor as soon as the call has returned its promise. Never more than there is memory. */
const changes: [string, (images: TensorData) => void][] = [
  ['other values', ({ data }) => (data as Float32Array).fill(0)],
  ['another shape', (images) => images.shape.splice(0, 4, 1, 1, 8, 8)],
  ['another shape object', (images) => (images.shape = [1, 1, 8, 8])],
  ['other data', (images) => (images.data = new Float32Array(images.data.length))],
];

describe.each<[string, (images: TensorData) => Promise<unknown>]>([
  ['forward', (images) => model.forward(images)],
  ['features', (images) => model.features(images)],
  ['predict', (images) => model.predict(images)],
])('%s does not see', (_, call) => {
  it.each(changes)('%s that its tensor gets while the call waits', async (_name, change) => {
    const expected = await call(tinyImages(3));
    const images = tinyImages(3);
    keepBusy();
    const answer = call(images);
    change(images);
    expect(await answer).toEqual(expected);
  });
});

test.each(changes)('a step does not see %s that its images get while it waits', async (_, change) => {
  const twin = await tinyModel();
  await tinyTrainer(twin).step(tinyBatch(3));
  const batch = tinyBatch(3);
  keepBusy();
  const step = tinyTrainer(model).step(batch);
  change(batch.images);
  expect((await step).size).toBe(3);
  expect(await fingerprint(model)).toBe(await fingerprint(twin));
  await twin.dispose();
});

test('a step does not see other labels that it gets while it waits', async () => {
  const batch = { images: tinyImages(3), labels: [0, 1, 2] };
  keepBusy();
  const step = tinyTrainer(model).step(batch);
  batch.labels.fill(9);
  expect((await step).size).toBe(3);
});

test('features does not see other taps that it gets while it waits', async () => {
  const taps = ['conv0'];
  keepBusy();
  const answer = model.features(tinyImages(1), { taps });
  taps[0] = 'norm5';
  expect(Object.keys(await answer)).toEqual(['conv0']);
});

test('native code refuses a tensor that is shorter than its shape, and reads nothing behind it', async () => {
  // What TypeScript checks is read again by native code: a getter may answer differently each time.
  let reads = 0;
  const data = tinyImages(1).data;
  const shape = (): number[] => (++reads > 1 ? [4, 1, 8, 8] : [1, 1, 8, 8]);
  const images: TensorData = {
    data,
    get shape() {
      return shape();
    },
  };
  const answer = await model.forward(images).catch((error: unknown) => error);
  if (answer instanceof Error) await expectRefusal(() => Promise.reject(answer), 'ERR_INVALID_ARGUMENT');
  else expect((answer as TensorData).shape).toEqual([1, 3]);
});
