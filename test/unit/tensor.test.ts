import { runInNewContext } from 'node:vm';
import { checkImages, checkTensor, elementCount } from '../../lib/tensor';
import { expectRefusal } from './support';

const invalid = 'ERR_INVALID_ARGUMENT';

test('a shape has the product of its lengths as its values, and a scalar has one', () => {
  expect([elementCount([2, 3, 4]), elementCount([]), elementCount([5, 0])]).toEqual([24, 1, 0]);
});

describe('a tensor', () => {
  it.each([
    ['Float32Array', { data: new Float32Array(6), shape: [2, 3] }],
    ['Uint8Array', { data: new Uint8Array(6), shape: [6] }],
    ['Int32Array', { data: new Int32Array(1), shape: [] }],
    ['BigInt64Array', { data: new BigInt64Array(0), shape: [0, 4] }],
    ['Float64Array', { data: new Float64Array(2), shape: [1, 2, 1] }],
    ['Buffer', { data: Buffer.alloc(4), shape: [4] }],
  ])('may be a %s', (_, tensor) => {
    const { data, shape } = checkTensor('input', tensor);
    expect(data).toBe(tensor.data);
    expect(shape).toEqual(tensor.shape);
  });

  it('may come from another realm', () => {
    const tensor: unknown = runInNewContext('({ data: new Float32Array(4), shape: [2, 2] })');
    expect(checkTensor('input', tensor).shape.length).toBe(2);
  });

  it.each<[unknown, string, string]>([
    [undefined, 'input must be an object { data, shape }', 'got undefined.'],
    [null, 'input must be an object { data, shape }', 'got null.'],
    ['pixels', 'input must be an object { data, shape }', 'got "pixels".'],
    [{ shape: [1] }, 'input.data must be a Float32Array', 'got undefined.'],
    [{ data: [1, 2], shape: [2] }, 'input.data must be a Float32Array', 'got [1, 2].'],
    [{ data: new ArrayBuffer(4), shape: [4] }, 'input.data must be a Float32Array', 'ArrayBuffer.'],
    [{ data: new Int16Array(4), shape: [4] }, 'Int32Array', 'Int16Array of 8 bytes.'],
    [{ data: new Float32Array(1) }, 'input.shape must be an array of whole numbers', 'got undefined.'],
    [{ data: new Float32Array(2), shape: 2 }, 'input.shape must be an array of whole numbers', 'got 2.'],
    [{ data: new Float32Array(2), shape: [2.5] }, 'input.shape must be an array of whole numbers', 'got [2.5].'],
    [{ data: new Float32Array(2), shape: [-1, -2] }, 'input.shape must be an array of whole numbers', 'got [-1, -2].'],
    [{ data: new Float32Array(2), shape: ['2'] }, 'input.shape must be an array of whole numbers', 'got ["2"].'],
    [{ data: new Float32Array(1), shape: new Array(2) }, 'input.shape must be an array of whole numbers', 'got '],
    [{ data: new Float32Array(5), shape: [2, 3] }, 'input.data has 5 values', 'the shape [2, 3] has 6'],
    [{ data: new Float32Array(5), shape: [2 ** 52, 2 ** 52] }, 'input.data has 5 values', '[4503599627370496, '],
  ])('is not %p', async (value, allowed, given) => {
    await expectRefusal(() => checkTensor('input', value), invalid, allowed, given);
  });

  it('of a kind that the caller does not take is refused with those that it takes', async () => {
    const labels = { data: new Float32Array(1), shape: [1] };
    const texts = ['labels.data must be a', 'Int32Array or BigInt64Array', 'got a Float32Array of 4 bytes.'];
    await expectRefusal(() => checkTensor('labels', labels, ['Int32Array', 'BigInt64Array']), invalid, ...texts);
  });

  it('whose buffer was given away has no values left', async () => {
    const data = new Float32Array(4);
    structuredClone(data, { transfer: [data.buffer] });
    await expectRefusal(() => checkTensor('input', { data, shape: [4] }), invalid, 'input.data has 0 values');
  });
});

describe('images', () => {
  it('are N×C×H×W, as floats or raw pixels', () => {
    for (const data of [new Float32Array(24), new Uint8Array(24)])
      expect(checkImages('images', { data, shape: [2, 3, 2, 2] }, 3).shape).toEqual([2, 3, 2, 2]);
  });

  it.each<[number[], string[]]>([
    [[24], ['N×C×H×W', 'got [24].']],
    [
      [3, 4, 2],
      ['N×C×H×W', 'got [3, 4, 2].'],
    ],
    [
      [1, 1, 2, 3, 4],
      ['N×C×H×W', 'got [1, 1, 2, 3, 4].'],
    ],
    [
      [2, 4, 3, 1],
      ['images has 4 channels', 'takes 3', 'inChannels: 4'],
    ],
  ])('are not of the shape %p', async (shape, texts) => {
    await expectRefusal(() => checkImages('images', { data: new Float32Array(24), shape }, 3), invalid, ...texts);
  });

  it.each([[[0, 3, 2, 2]], [[2, 0, 2, 2]], [[2, 3, 0, 2]], [[2, 3, 2, 0]]])(
    'of the shape %p are none',
    async (shape) => {
      const texts = ['images.shape must have no zero', `got [${shape.join(', ')}].`];
      await expectRefusal(() => checkImages('images', { data: new Uint8Array(0), shape }), invalid, ...texts);
    },
  );

  it.each([
    ['Float64Array', new Float64Array(4)],
    ['Int32Array', new Int32Array(4)],
    ['Uint8ClampedArray', new Uint8ClampedArray(4)],
  ])('are not a %s: it would not be clear what its values mean', async (kind, data) => {
    const texts = ['images.data must be a Float32Array or Uint8Array', `${kind} of`];
    await expectRefusal(() => checkImages('images', { data, shape: [1, 1, 2, 2] }), invalid, ...texts);
  });
});
