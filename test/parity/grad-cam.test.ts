import { readFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { DenseNet, type TensorData } from '../../lib';
import { expectRefusal, fingerprint, modelMaker, rawImages, refusal, wrong } from '../unit/support';
import { tinyBatch, tinyTrainer } from '../tiny';
import { below, readFixture, withSafetensors } from './fixture';

interface Case {
  layer: string;
  given: boolean;
  classes: number[];
  maps: string[][];
  /** Of each map in the image's size. */
  sums: string[];
}

/** Made by make_grad_cam.py. */
const read = (name: string): Case[] =>
  JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'grad-cam', `${name}.json`), 'utf8')) as Case[];

const networks = ['bc-cifar', 'bc-imagenet'] as const;
const cases = networks.flatMap((name) =>
  read(name).map((one) => [name, one.layer, one.given ? 'of given classes' : 'of the most probable', one] as const),
);

const make = modelMaker();

it.each(cases)('Grad-CAM is PyTorch’s: %s, %s, %s', async (name, layer, _, expected) => {
  const fixture = await readFixture(name);
  await using model = await DenseNet.create({ ...fixture.config, device: 'cpu' });
  await withSafetensors(below(fixture, 'initial'), (file) => model.loadWeights(file));
  const images = fixture.tensors.get('batch.0.input') as TensorData;
  const wanted = expected.given ? { class: expected.classes } : {};
  const maps = await model.gradCam(images, { ...wanted, layer, fullSize: false });
  const full = await model.gradCam(images, { ...wanted, layer });
  expect(maps.map(({ index }) => index)).toEqual(expected.classes);
  for (const [image, { map }] of maps.entries()) {
    const values = (expected.maps[image] as string[]).map(Number);
    const largest = Math.max(...values);
    expect(map.data).toHaveLength(values.length);
    for (const [place, value] of values.entries())
      expect(Math.abs(Number(map.data[place]) - value)).toBeLessThanOrEqual(2e-5 * largest);
    const grown = full[image]?.map as TensorData;
    expect(grown.shape).toEqual(images.shape.slice(2));
    const sum = (grown.data as Float32Array).reduce((total, value) => total + value, 0);
    const wantedSum = Number(expected.sums[image]);
    expect(Math.abs(sum - wantedSum)).toBeLessThanOrEqual(1e-4 * Math.abs(wantedSum));
  }
});

test('most of the fixture’s maps are not empty, so that it can fail', () => {
  const filled = cases.flatMap(([, , , { maps }]) => maps).map((map) => map.some((value) => Number(value) > 0));
  expect(filled.filter(Boolean).length).toBeGreaterThan(0.6 * filled.length);
});

describe('gradCam', () => {
  it('changes nothing: no weight, no gradient, no statistic', async () => {
    const model = await make();
    await tinyTrainer(model).step(tinyBatch());
    const [weights, gradients] = [await fingerprint(model), await model.gradients()];
    await model.gradCam(rawImages([2, 1, 8, 8]));
    expect(await fingerprint(model)).toBe(weights);
    expect(await model.gradients()).toEqual(gradients);
  });

  it('works on a network that is frozen throughout, and during a run', async () => {
    const model = await make();
    const free = await model.gradCam(rawImages([2, 1, 8, 8]), { class: 1 });
    model.freeze();
    expect(await model.gradCam(rawImages([2, 1, 8, 8]), { class: 1 })).toEqual(free);
    model.unfreeze();
    const run = tinyTrainer(model).fit(
      {
        kind: 'array',
        size: 6,
        images: tinyBatch().images,
        labels: Int32Array.of(0, 1, 2, 0, 1, 2),
        classes: ['a', 'b', 'c'],
      },
      { epochs: 1000, batchSize: 6 },
    );
    expect(await model.gradCam(rawImages([1, 1, 8, 8]))).toHaveLength(1);
    run.cancel();
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('gives bytes for showing, 255 where a map is hottest', async () => {
    const model = await make();
    const [floats, bytes] = [
      await model.gradCam(rawImages([3, 1, 8, 8]), { class: 0 }),
      await model.gradCam(rawImages([3, 1, 8, 8]), { class: 0, dtype: 'uint8' }),
    ];
    for (const [image, { map }] of bytes.entries()) {
      const values = [...(floats[image]?.map.data as Float32Array)];
      const hottest = Math.max(...values);
      expect(Object.prototype.toString.call(map.data)).toBe('[object Uint8Array]');
      for (const [place, value] of values.entries())
        expect(Math.abs(Number(map.data[place]) - (hottest > 0 ? (value / hottest) * 255 : 0))).toBeLessThanOrEqual(
          0.51,
        );
    }
  });

  it('takes pictures, and names the class', async () => {
    const model = await make({ classes: ['x', 'y', 'z'], imageSize: [8, 8] });
    const png = await sharp({ create: { width: 20, height: 30, channels: 3, background: 'grey' } })
      .png()
      .toBuffer();
    const [first, second] = await model.gradCam([png, png], { class: [2, 0] });
    expect([first?.label, second?.label, first?.map.shape]).toEqual(['z', 'x', [8, 8]]);
  });

  it.each<[unknown, string]>([
    [{ layer: 'norm0' }, 'layer must be one of'],
    [{ layer: 'denseblok1' }, 'Did you mean "denseblock1"'],
    [{ class: 3 }, 'class must be an integer from 0 to 2'],
    [{ class: [0] }, 'class must be a class index, or 2'],
    [{ class: [0, -1] }, 'class[1]'],
    [{ fullSize: 1 }, 'fullSize'],
    [{ dtype: 'uint16' }, 'dtype'],
    [{ layers: ['relu5'] }, 'Did you mean "layer"'],
  ])('refuses %j', async (options, text) => {
    const model = await make();
    await expectRefusal(() => model.gradCam(rawImages([2, 1, 8, 8]), wrong(options)), 'ERR_INVALID_ARGUMENT', text);
  });

  it('refuses images that do not fit, and a model that was disposed of', async () => {
    const model = await make();
    expect((await refusal(() => model.gradCam(rawImages([1, 3, 8, 8])))).code).toBe('ERR_INVALID_ARGUMENT');
    expect((await refusal(() => model.gradCam(rawImages([1, 1, 1, 1])))).code).toBe('ERR_INPUT_TOO_SMALL');
    await model.dispose();
    expect((await refusal(() => model.gradCam(rawImages([1, 1, 8, 8])))).code).toBe('ERR_DISPOSED');
  });
});
