import { DenseNet, type Variant } from '../../lib';

/** From torchvision, the paper's tables and the authors' code. */
const table: [Variant, number, number, number][] = [
  // variant, classes, parameters, entries of the state dict
  ['densenet121', 1000, 7_978_856, 727],
  ['densenet169', 1000, 14_149_480, 1015],
  ['densenet201', 1000, 20_013_928, 1207],
  ['densenet161', 1000, 28_681_000, 967],
  ['densenet264', 1000, 33_337_704, 1591],
  ['densenet264-k48', 1000, 72_686_632, 1591],
  ['cifar-bc-100-12', 10, 769_162, 596],
  ['cifar-bc-100-12', 100, 800_032, 596],
  ['cifar-bc-190-40', 10, 25_624_430, 1136],
  ['cifar-bc-190-40', 100, 25_821_620, 1136],
  ['cifar-bc-250-24', 10, 15_324_406, 1496],
  ['cifar-bc-250-24', 100, 15_480_556, 1496],
  ['cifar-40-12', 10, 1_019_722, 236],
  ['cifar-40-12', 100, 1_060_132, 236],
];

test.each(table)(
  '%s for %i classes has %i parameters and %i entries',
  async (variant, numClasses, parameters, entries) => {
    const model = await DenseNet.create({ variant, numClasses, device: 'cpu' });
    expect(model.parameterCount).toBe(parameters);
    expect(model.trainableParameterCount).toBe(parameters);
    expect((await model.stateDict()).size).toBe(entries);
    await model.dispose();
  },
);
