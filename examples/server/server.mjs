// An HTTP service that classifies pictures. `node examples/server/server.mjs --weights FILE`

import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { createBatcher, DenseNet } from 'libtorch-densenet';
import { createService } from './service.mjs';

const { values } = parseArgs({
  options: {
    weights: { type: 'string' }, // what saveWeights, `npm start` or `densenet train` wrote
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '8080' }, // 0: any that is free
    'max-batch': { type: 'string', default: '16' }, // images
    'max-wait': { type: 'string', default: '5' }, // milliseconds
    'max-queue': { type: 'string', default: '64' }, // images
    'max-body': { type: 'string', default: '8' }, // megabytes of an encoded picture
    'max-pixels': { type: 'string', default: '50' }, // megapixels of a decoded one
    deadline: { type: 'string', default: '10' }, // seconds for an answer
    drain: { type: 'string', default: '15' }, // seconds for what is under way after SIGTERM
  },
});
function number(name) {
  const value = Number(values[name]);
  if (!(value >= 0)) throw new Error(`--${name} must be a number; got ${values[name]}.`);
  return value;
}

if (values.weights === undefined) throw new Error('--weights FILE is missing. `npm start` makes one to try.');
const model = await DenseNet.load(values.weights);
const { imageSize, inChannels } = model.config;
// Pictures of many sizes would never share a batch, and a large one would take all the memory.
if (imageSize === null) throw new Error('the model has no imageSize. Save it again with one.');

const batcher = createBatcher(model, {
  maxBatch: number('max-batch'),
  maxWait: number('max-wait'),
  maxQueue: number('max-queue'),
  limitInputPixels: number('max-pixels') * 1e6,
});
// The first call is the slowest; no client has to wait for it.
const [height, width] = imageSize;
await model.forward({ data: new Uint8Array(inChannels * height * width), shape: [1, inChannels, height, width] });

const { server, drain } = createService(batcher, {
  maxBody: number('max-body') * 1e6,
  maxQueue: number('max-queue'),
  deadline: number('deadline') * 1000,
});

let stopping = false;
for (const signal of ['SIGTERM', 'SIGINT'])
  process.on(signal, async () => {
    // Whoever asks twice does not want to wait.
    if (stopping) process.exit(1);
    stopping = true;
    console.log(`${signal}: answering what is under way`);
    await drain(number('drain') * 1000);
    await batcher.close();
    await model.dispose();
    console.log('stopped');
  });

server.listen(number('port'), values.host);
await once(server, 'listening');
const { address, port } = server.address();
console.log(`listening on http://${address}:${port}, process ${process.pid}`);
