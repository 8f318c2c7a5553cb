import { DenseNet, type TensorData } from '../../lib';
import { relativeDifference, withSafetensors } from '../parity/fixture';
import { tinyModel } from '../tiny';

const pixels = (shape: number[]): TensorData => ({
  data: Float32Array.from({ length: shape.reduce((product, length) => product * length) }, (_, i) => Math.sin(i * 7.3)),
  shape,
});

test('DenseNet-121 tells its feature maps’ channels and strides before it runs', async () => {
  const model = await DenseNet.create({ variant: 'densenet121', device: 'cpu' });
  const infos = new Map(model.featureInfo.map(({ name, channels, stride }) => [name, [channels, stride]]));
  expect(infos.get('norm0')).toEqual([64, 2]);
  expect(infos.get('denseblock1')).toEqual([256, 4]);
  expect(infos.get('denseblock2')).toEqual([512, 8]);
  expect(infos.get('denseblock3')).toEqual([1024, 16]);
  expect(infos.get('norm5')).toEqual([1024, 32]);
  await model.dispose();
});

test.each(['imagenet', 'cifar'] as const)('what it tells of the %s stem is what comes', async (stem) => {
  const model = await tinyModel({ stem, blockConfig: [2, 1, 3], compression: 0.6 });
  const images = pixels([2, 1, 64, 32]);
  const taps = model.featureInfo.map(({ name }) => name);
  const maps = await model.features(images, { taps });
  expect(Object.keys(maps)).toEqual(taps);
  for (const { name, channels, stride } of model.featureInfo)
    expect([name, maps[name]?.shape]).toEqual([name, [2, channels, 64 / stride, 32 / stride]]);
  await model.dispose();
});

test('taps named relu are their norms, rectified', async () => {
  const model = await tinyModel({ stem: 'imagenet' });
  const maps = await model.features(pixels([2, 1, 32, 32]), { taps: ['norm0', 'relu0', 'norm5', 'relu5'] });
  for (const number of [0, 5]) {
    const [before, after] = [maps[`norm${number}`], maps[`relu${number}`]].map((map) => map?.data as Float32Array);
    expect(after).toEqual(before?.map((value) => Math.max(value, 0)));
    expect(before?.some((value) => value < 0)).toBe(true);
  }
  await model.dispose();
});

describe('an output stride', () => {
  it('keeps the last feature maps as fine as it says, and the others as they were', async () => {
    const model = await tinyModel({ stem: 'imagenet', blockConfig: [1, 1, 1, 1] });
    const images = pixels([1, 1, 64, 64]);
    const taps = ['denseblock1', 'denseblock2', 'denseblock3', 'norm5'];
    const whole = await model.features(images, { taps });
    const heights = async (outputStride: number) => {
      const maps = await model.features(images, { taps, outputStride });
      expect(relativeDifference(maps['denseblock1'] as TensorData, whole['denseblock1'] as TensorData)).toBeLessThan(
        1e-5,
      );
      return taps.map((tap) => maps[tap]?.shape[2]);
    };
    expect(await heights(4)).toEqual([16, 16, 16, 16]);
    expect(await heights(8)).toEqual([16, 8, 8, 8]);
    expect(await heights(16)).toEqual([16, 8, 4, 4]);
    expect(await heights(32)).toEqual([16, 8, 4, 2]);
    await model.dispose();
  });

  it('of the network itself changes nothing', async () => {
    const model = await tinyModel();
    const images = pixels([1, 1, 16, 16]);
    const [own, given] = [await model.features(images), await model.features(images, { outputStride: 2 })];
    expect(relativeDifference(given['norm5'] as TensorData, own['norm5'] as TensorData)).toBeLessThan(1e-5);
    await model.dispose();
  });

  it('gives, where pooling loses nothing, the network’s own values at every second pixel', async () => {
    // All before the transition sees single pixels only, and the image is made of squares of 2×2 equal ones: then
    // pooling takes one of each, and the dilated convolutions step over the others.
    for (const bottleneck of [true, false]) {
      const model = await tinyModel({ bottleneck });
      const state = await model.stateDict();
      for (const [name, { data, shape }] of state)
        if (/conv0|denseblock1/.test(name) && shape[2] === 3)
          (data as Float32Array).forEach((_, place) => {
            if (place % 9 !== 4) data[place] = 0;
          });
      await withSafetensors(state, (file) => model.loadWeights(file));
      const small = pixels([1, 1, 8, 8]);
      const data = Float32Array.from({ length: 256 }, (_, place) => {
        const [row, column] = [Math.floor(place / 16), place % 16];
        return small.data[Math.floor(row / 2) * 8 + Math.floor(column / 2)] as number;
      });
      const images = { data, shape: [1, 1, 16, 16] };
      const own = (await model.features(images))['norm5'] as TensorData;
      const fine = (await model.features(images, { outputStride: 1 }))['norm5'] as TensorData;
      const [, channels = 0] = own.shape;
      const picked = Float32Array.from({ length: own.data.length }, (_, place) => {
        const [channel, row, column] = [Math.floor(place / 64), Math.floor((place % 64) / 8), place % 8];
        return fine.data[channel * 256 + row * 32 + column * 2] as number;
      });
      expect(fine.shape).toEqual([1, channels, 16, 16]);
      expect(relativeDifference({ data: picked, shape: own.shape }, own)).toBeLessThan(1e-5);
      await model.dispose();
    }
  });

  it('that the network cannot have is refused with those that it can', async () => {
    const model = await tinyModel({ stem: 'imagenet', blockConfig: [1, 1, 1] });
    for (const outputStride of [2, 12, 32, 0, '8'])
      await expect(
        model.features(pixels([1, 1, 64, 64]), { outputStride: outputStride as number }),
      ).rejects.toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
        message: expect.stringContaining('4, 8, 16') as unknown,
      });
    await model.dispose();
  });
});
