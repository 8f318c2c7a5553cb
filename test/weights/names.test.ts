import { toModelName, toModelNames } from '../../lib/weights/names';

test.each([
  ['features.conv0.weight', 'features.conv0.weight'],
  ['module.features.conv0.weight', 'features.conv0.weight'],
  ['_orig_mod.features.conv0.weight', 'features.conv0.weight'],
  ['model.features.conv0.weight', 'features.conv0.weight'],
  ['module.model._orig_mod.features.norm5.bias', 'features.norm5.bias'],
  ['module.densenet121.features.norm5.bias', 'features.norm5.bias'],
  ['densenet201.classifier.weight', 'classifier.weight'],
  ['module.densenet121.classifier.0.weight', 'classifier.weight'],
  ['features.denseblock1.denselayer2.norm.1.weight', 'features.denseblock1.denselayer2.norm1.weight'],
  ['features.denseblock1.denselayer2.norm.2.running_var', 'features.denseblock1.denselayer2.norm2.running_var'],
  ['features.denseblock1.denselayer2.conv.1.weight', 'features.denseblock1.denselayer2.conv1.weight'],
  [
    'module.features.denseblock4.denselayer16.norm.1.num_batches_tracked',
    'features.denseblock4.denselayer16.norm1.num_batches_tracked',
  ],
  ['features.denseblock1.denselayer2.layers.conv2.weight', 'features.denseblock1.denselayer2.conv2.weight'],
  ['class_layers.out.bias', 'classifier.bias'],
  ['features.norm_final.running_mean', 'features.norm5.running_mean'],
  ['features.transition1.norm.weight', 'features.transition1.norm.weight'],
  ['modules.features.conv0.weight', 'modules.features.conv0.weight'],
  ['optimizer.state', 'optimizer.state'],
  ['densenet.features.conv0.weight', 'densenet.features.conv0.weight'],
])('%s is %s', (name, expected) => {
  expect(toModelName(name)).toBe(expected);
});

test('two names that come to one are refused, both named', () => {
  expect(() => toModelNames('f.pth', ['classifier.bias', 'module.classifier.bias'])).toThrow(
    /^ERR_WEIGHTS_MISMATCH: f\.pth holds both classifier\.bias and module\.classifier\.bias/,
  );
});

test.each([
  ['features.conv1.weight', /deep stem/],
  ['module.features.norm2.running_mean', /deep stem/],
  ['features.transition1.pool.filt', /blur pooling/],
])('a network of another kind is refused by name: %s', (name, why) => {
  expect(() => toModelNames('f.pth', ['features.conv0.weight', name])).toThrow(why);
});
