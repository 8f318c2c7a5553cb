import { readFileSync } from 'node:fs';
import path from 'node:path';
import { DenseNet, type CreateOptions, type ModelConfig } from '../../lib';
import { tinyModel } from '../tiny';

interface Case {
  config: Partial<ModelConfig>;
  /** N, H, W */
  shape: [number, number, number];
  parts: { name: string; shape: number[]; parameters: number; multiplyAdds: number; kept: number }[];
}

/** What PyTorch counts, see make_summary.py. */
const cases = Object.entries(
  JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'summary.json'), 'utf8')) as Record<string, Case>,
);

describe.each(cases)('%s', (_, { config, shape: [batch, height, width], parts }) => {
  const size: [number, number] = [height, width];
  const make = (options: CreateOptions = {}) => DenseNet.create({ ...config, device: 'cpu', ...options });

  it('has the shapes, parameters and multiply-adds that PyTorch counts, part by part', async () => {
    await using model = await make();
    const summary = await model.summary({ batch, size });
    expect(
      summary.parts.map(({ name, outputShape, parameters, multiplyAdds }) => ({
        name,
        shape: outputShape,
        parameters,
        multiplyAdds,
      })),
    ).toEqual(parts.map(({ name, shape, parameters, multiplyAdds }) => ({ name, shape, parameters, multiplyAdds })));
    expect(summary.parameters).toBe(model.parameterCount);
    for (const { parameters, modules } of summary.parts)
      expect(modules.reduce((sum, module) => sum + module.parameters, 0)).toBe(parameters);
  });

  it('module by module keeps what autograd saves', async () => {
    await using model = await make({ implementation: 'reference' });
    const summary = await model.summary({ batch, size });
    expect(summary.parts.map(({ name, activationBytes }) => [name, activationBytes])).toEqual(
      parts.map(({ name, kept }) => [name, kept]),
    );
    for (const { training, evaluation, reason } of summary.parts.filter(({ training }) => training !== 'operator'))
      expect([training, evaluation, reason]).toEqual([
        'modules',
        'modules',
        "the model was made with implementation: 'reference'",
      ]);
  });

  it('on the engine keeps less than that, and less than a step takes', async () => {
    await using model = await make({ memory: 'efficient' });
    await using fast = await make({ memory: 'fast' });
    const [lean, more] = [await model.summary({ batch, size }), await fast.summary({ batch, size })];
    const kept = parts.reduce((sum, part) => sum + part.kept, 0);
    expect(lean.activationBytes).toBeLessThan(kept / 2);
    if (config.bottleneck) expect(lean.activationBytes).toBeLessThan(more.activationBytes);
    expect(more.activationBytes).toBeLessThan(kept);
    expect(more.activationBytes).toBeLessThan(more.trainingBytes);
    expect(more.trainingBytes).toBe(await fast.estimateMemory({ batch, size }));
    const ways = new Set(more.parts.map(({ training, evaluation }) => `${training} ${evaluation}`));
    expect(ways).toEqual(new Set(['operator operator', 'engine engine']));
  });
});

test('DenseNet-121 has its 7,978,856 parameters and 2.83 G multiply-adds at 224×224', async () => {
  await using model = await DenseNet.create({ variant: 'densenet121', device: 'cpu' });
  const summary = await model.summary();
  expect(summary.inputShape).toEqual([1, 3, 224, 224]);
  expect([summary.parameters, summary.multiplyAdds]).toEqual([7_978_856, 2_834_161_664]);
  const text = String(summary);
  expect(text).toMatch(/transition3 +│ 1×512×7×7 +│ +526,336 │ +102\.76 M/);
  expect(text).toContain('Parameters 7,978,856\nMultiply-adds 2.83 G');
  const lines = String(await model.summary({ detail: 'modules' })).split('\n');
  // A row for each convolution, norm and pooling, and one for each part that has several.
  expect(lines.filter((line) => /conv\d? /.test(line))).toHaveLength(120);
  expect(lines.filter((line) => /norm\d? /.test(line))).toHaveLength(121);
});

test('the shapes are those that the modules give', async () => {
  await using model = await tinyModel({ stem: 'imagenet', blockConfig: [2, 3, 1], compression: 0.6 });
  const summary = await model.summary({ batch: 2, size: [45, 70] });
  const taps = ['conv0', 'norm0', 'pool0', 'denseblock1', 'transition1', 'denseblock2', 'transition2', 'denseblock3'];
  const images = { data: new Float32Array(2 * 45 * 70).map((__, place) => Math.sin(place)), shape: [2, 1, 45, 70] };
  const maps = await model.features(images, { taps: [...taps, 'norm5'] });
  for (const tap of [...taps, 'norm5'])
    expect([tap, summary.parts.find(({ name }) => name === `features.${tap}`)?.outputShape]).toEqual([
      tap,
      maps[tap]?.shape,
    ]);
});

describe('it says what runs module by module, and why', () => {
  const ways = async (model: DenseNet, batch = 2, size = 16) =>
    (await model.summary({ batch, size })).parts.map(({ name, training, reason, activationBytes }) => ({
      name: name.replace('features.', ''),
      way: reason === undefined ? training : `${training}: ${reason}`,
      keeps: activationBytes > 0,
    }));

  it('where parts are frozen', async () => {
    await using model = await tinyModel({ blockConfig: [2, 2, 2] });
    const mixed = 'modules: some of it is frozen while it, or what comes before it, learns';
    model.freeze('features.denseblock2');
    expect(await ways(model)).toEqual([
      { name: 'conv0', way: 'operator', keeps: true },
      { name: 'denseblock1', way: 'engine', keeps: true },
      { name: 'transition1', way: 'engine', keeps: false },
      { name: 'denseblock2', way: mixed, keeps: true },
      { name: 'transition2', way: mixed, keeps: true },
      { name: 'denseblock3', way: 'engine', keeps: true },
      { name: 'norm5', way: 'engine', keeps: false },
      { name: 'classifier', way: 'operator', keeps: true },
    ]);
    // Frozen from the front on, no gradient passes: the engine's evaluation serves, and nothing is kept.
    model.freeze('features');
    const frozen = await ways(model);
    expect(frozen.map(({ way }) => way.split(':')[0])).not.toContain('modules');
    expect(frozen.filter(({ keeps }) => keeps).map(({ name }) => name)).toEqual(['classifier']);
    expect((await model.summary({ size: 16 })).trainableParameters).toBe(model.trainableParameterCount);
    expect(String(await model.summary({ size: 16 }))).toContain(`of which ${model.trainableParameterCount} learn`);
  });

  it('where dropout stands before a pooling', async () => {
    await using model = await tinyModel({ dropRate: 0.2, dropPlacement: 'convolution' });
    const transition = (await ways(model)).find(({ name }) => name === 'transition1');
    expect(transition?.way).toBe('modules: its dropout stands before its pooling');
  });

  it('where a batch is too small to be trained on', async () => {
    await using model = await tinyModel();
    const summary = await model.summary({ batch: 1, size: 2 });
    expect(summary.parts[1]).toMatchObject({ training: 'modules', evaluation: 'engine' });
    expect(summary.parts[1]?.reason).toContain('one pixel is left');
  });
});

test('it changes nothing of the model', async () => {
  await using model = await tinyModel();
  const before = await model.stateDict();
  await model.summary({ size: 8 });
  expect(await model.stateDict()).toEqual(before);
});

test('bad options are refused', async () => {
  await using model = await tinyModel();
  await expect(model.summary()).rejects.toThrow(/size must be given, since the configuration has no imageSize/);
  await expect(model.summary({ size: 8, batch: 0 })).rejects.toThrow('ERR_INVALID_ARGUMENT: batch');
  await expect(model.summary({ size: [8, 0] })).rejects.toThrow('ERR_INVALID_ARGUMENT: size');
  await expect(model.summary({ size: 1 })).rejects.toThrow('ERR_INPUT_TOO_SMALL');
  await expect(model.summary({ size: 8, detail: 'rows' as never })).rejects.toThrow('detail must be one of');
});
