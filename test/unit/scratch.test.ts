import { datasets, DenseNet, Trainer, transforms } from '../../lib';
import { parseHeader } from '../../lib/weights/safetensors';
import { findDuplicateKey } from '../../lib/weights/json';
import { show } from '../../lib/validate';
import { tinyBatch, tinyDataset, tinyImages, tinyModel, tinyTrainer } from '../tiny';

const attempt = async (name: string, call: () => unknown) => {
  try { const v = await call(); console.log(name, 'OK', JSON.stringify(v, (_, x) => typeof x === 'bigint' ? String(x) : x)?.slice(0, 300)); }
  catch (e) { const x = e as Error & { code?: string }; console.log(name, 'FAIL', x?.constructor?.name, x?.name, x?.code, String(x?.message).slice(0, 400)); }
};
test('probe', async () => {
  const model = await tinyModel();
  const trainer = tinyTrainer(model);
  const any = (x: unknown) => x as never;
  await attempt('null labels', () => trainer.step({ images: tinyImages(2), labels: any([null, true]) }));
  await attempt('symbol label', () => trainer.step({ images: tinyImages(1), labels: any([Symbol('x')]) }));
  await attempt('labels shape', () => trainer.step({ images: tinyImages(2), labels: any({ data: Int32Array.of(0, 1), shape: [7] }) }));
  await attempt('bad signal', () => trainer.fit(tinyDataset(), any({ epochs: 1, batchSize: 4, signal: {} })));
  await attempt('bad signal str', () => trainer.fit(tinyDataset(), any({ epochs: 1, batchSize: 4, signal: 'x' })));
  const sab = new Float32Array(new SharedArrayBuffer(64 * 4));
  await attempt('shared', () => model.forward({ data: sab, shape: [1, 1, 8, 8] }));
  await attempt('sparse blocks', () => DenseNet.create(any({ blockConfig: new Array(3), device: 'cpu' })));
  await attempt('sparse betas', () => new Trainer(model, any({ optimizer: { type: 'adam', betas: new Array(2) } })).step(tinyBatch()));
  await attempt('sparse subset', () => Array.from(datasets.subset(tinyDataset(), new Array(2)).labels));
  await attempt('sparse augment', () => trainer.fit(tinyDataset(), any({ epochs: 1, batchSize: 4, augment: new Array(1) })));
  await attempt('kind only subset', () => datasets.subset(any({ kind: 'array' }), [0]));
  await attempt('split kind only', () => datasets.split(any({ kind: 'array' }), 0.5));
  const cyc: unknown[] = []; cyc.push(cyc);
  await attempt('cyclic', () => DenseNet.create(any({ blockConfig: cyc, device: 'cpu' })));
  await attempt('symbol', () => DenseNet.create(any({ blockConfig: Symbol('a'), device: 'cpu' })));
  const big = 'x'.repeat(10_000_000);
  await attempt('dup big', () => findDuplicateKey(`{"a":"${big}","b":1,"b":2}`));
  await attempt('dup spaces', () => findDuplicateKey(`{"a"${' '.repeat(100)}:1,"a":2}`));
  await attempt('deep', () => parseHeader('f', `{"a":{"dtype":${'['.repeat(100000)}${']'.repeat(100000)},"shape":[],"data_offsets":[0,4]}}`, 0, 4));
  let wide: unknown = 'aaaaaaaaaaaaaaaaaa'; for (let i = 0; i < 6; i++) wide = Array(6).fill(wide);
  console.log('wide', show(wide).length);
  await attempt('classes {}', () => DenseNet.create(any({ classes: {}, device: 'cpu' })));
  await attempt('classes 7', () => DenseNet.create(any({ classes: 7, device: 'cpu' })));
  await attempt('classes []', () => DenseNet.create(any({ classes: [], device: 'cpu' })));
  await attempt('nul', () => model.saveWeights('/tmp/dn-nul-a\0b'));
  const before = JSON.stringify([...(await model.stateDict()).entries()].map(([k, v]) => [k, Array.from(v.data as Float32Array, String)]));
  const inf = new Float32Array(2 * 64).fill(3e38);
  for (let i = 0; i < inf.length; i += 2) inf[i] = -3e38;
  await attempt('nonfinite', () => trainer.step({ images: { data: inf, shape: [2, 1, 8, 8] }, labels: [0, 1] }));
  const after = JSON.stringify([...(await model.stateDict()).entries()].map(([k, v]) => [k, Array.from(v.data as Float32Array, String)]));
  console.log('same', before === after, after.includes('NaN'));
  await attempt('label 9', () => trainer.step({ images: tinyImages(2), labels: [0, 9] }));
  await attempt('label 1e12', () => trainer.step({ images: tinyImages(2), labels: [0, 1e12] }));
  await attempt('aug extra', () => trainer.fit(tinyDataset(), any({ epochs: 1, batchSize: 4, augment: [{ type: 'randomCrop', foo: 1 }] })));
  await attempt('rc', () => transforms.randomCrop(any(null)));
  await attempt('features none', () => model.features(tinyImages(1), any({ taps: ['norm0', 3] })));
  await attempt('huge', () => DenseNet.create({ inChannels: 1_000_000, initChannels: 1_000_000, device: 'cpu' }));
  await model.dispose();
});
