import { DenseNet, Trainer, type TensorData } from '../lib';
import { below, readFixture, relativeDifference, withSafetensors } from './parity/fixture';
test.each(['auto','reference'] as const)('%s', async (implementation) => {
  for (const name of ['imagenet-plain','bc-imagenet','imagenet-grey']) {
  const fixture = await readFixture(name);
  const model = await DenseNet.create({ ...fixture.config, device: 'cpu', implementation });
  await withSafetensors(below(fixture, 'initial'), (file) => model.loadWeights(file));
  await new Trainer(model, { optimizer: fixture.optimizer }).step({ images: fixture.tensors.get('batch.0.input') as TensorData, labels: fixture.tensors.get('batch.0.labels') as TensorData });
  const g = await model.gradients();
  const list = [...below(fixture,'gradient')].map(([k,e]) => [k, relativeDifference(g.get(k) as TensorData, e)] as const).sort((a,b)=>b[1]-a[1]).slice(0,5);
  console.log(implementation, name, JSON.stringify(list));
  }
});
