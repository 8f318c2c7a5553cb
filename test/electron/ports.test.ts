import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { MessageChannel as WorkerChannel, Worker } from 'node:worker_threads';
import {
  connect,
  overMessagePort,
  overMessagePortMain,
  overProcess,
  overWorkerPort,
  type BridgePort,
} from '../../lib/electron/client';
import { serveClient } from '../../lib/electron/host';
import { root } from '../child';
import { tinyBatch, tinyOptions, tinyImages } from '../tiny';
import { expectRefusal, temporaryFolder } from '../unit/support';
import { MessageChannelMain } from './fake-electron/ports';

const inFolder = temporaryFolder();
const tiny = tinyOptions();
const trainer = { optimizer: { type: 'sgd', lr: 0.05 }, seed: 1 } as const;
const host = JSON.stringify(path.join(root, 'dist', 'electron', 'host.js'));

/** Each way to connect: the client's end, and what ends the host's side. */
const ways: Record<string, () => Promise<{ port: BridgePort; end: () => unknown }>> = {
  'the message ports of a page': () => {
    // Node's have the same interface as a browser's, and the same clones.
    const { port1, port2 } = new MessageChannel();
    const session = serveClient(overMessagePort(port2));
    return Promise.resolve({ port: overMessagePort(port1), end: () => session.close() });
  },
  'the ports of worker threads': () => {
    const { port1, port2 } = new WorkerChannel();
    const session = serveClient(overWorkerPort(port2));
    return Promise.resolve({ port: overWorkerPort(port1), end: () => session.close() });
  },
  "ports of the kind of Electron's MessagePortMain": () => {
    const { port1, port2 } = new MessageChannelMain();
    const session = serveClient(overMessagePortMain(port2));
    return Promise.resolve({ port: overMessagePortMain(port1), end: () => session.close() });
  },
  'a worker thread': () => {
    const worker = new Worker(
      `const { serveClient, overWorkerPort } = require(${host});
       serveClient(overWorkerPort(require('node:worker_threads').parentPort));`,
      { eval: true },
    );
    const port = overWorkerPort({
      postMessage: (message) => worker.postMessage(message),
      close: () => void worker.terminate(),
      on: (event: string, listener: (value?: unknown) => void) =>
        worker.on(event === 'close' ? 'exit' : event, listener),
    });
    return Promise.resolve({ port, end: () => worker.terminate() });
  },
  'the channel of a forked process': async () => {
    await writeFile(
      inFolder('host.js'),
      `const { serveClient, overProcess } = require(${host}); serveClient(overProcess(process));`,
    );
    const child = fork(inFolder('host.js'), [], { serialization: 'advanced', execArgv: [] });
    return { port: overProcess(child), end: () => child.kill('SIGKILL') };
  },
};

describe.each(Object.entries(ways))('over %s', (_, open) => {
  it('a model is made, trained, asked and lost all the same', async () => {
    const { port, end } = await open();
    const client = connect(port);
    const model = await client.createModel(tiny);
    const run = model.train(tinyBatch(12), { trainer, epochs: 2, batchSize: 4 });
    const kinds: string[] = [];
    for await (const { type } of run) kinds.push(type);
    expect(kinds.filter((kind) => kind === 'epoch')).toHaveLength(2);
    expect((await model.forward(tinyImages(2))).shape).toEqual([2, 3]);
    await expectRefusal(() => model.save('/tmp/x'), 'ERR_NOT_GRANTED');
    const endless = model.train(tinyBatch(12), { trainer, epochs: 1_000_000, batchSize: 4 });
    const lost = expectRefusal(() => endless, 'ERR_HOST_GONE');
    await endless[Symbol.asyncIterator]().next();
    end();
    await lost;
    expect((await client.gone).code).toBe('ERR_HOST_GONE');
    client.close();
  });
});

test('a process forked without advanced serialization is refused its arrays, and says what they became', async () => {
  await ways['the channel of a forked process']?.().then(({ end }) => end());
  const child = fork(inFolder('host.js'), [], { execArgv: [] });
  const client = connect(overProcess(child));
  const model = await client.createModel(tiny);
  await expectRefusal(() => model.forward(tinyImages(1)), 'ERR_INVALID_ARGUMENT', 'Float32Array');
  client.close();
  child.kill('SIGKILL');
});

describe('a channel that is cut before it is used', () => {
  async function closedPort(): Promise<BridgePort> {
    const { port1 } = new WorkerChannel();
    port1.close();
    await once(port1, 'close');
    return overWorkerPort(port1);
  }

  async function endedProcess(): Promise<BridgePort> {
    const child = fork('-e', ['0'], { serialization: 'advanced', execArgv: [], stdio: 'ignore' });
    await once(child, 'exit');
    return overProcess(child);
  }

  it.each([
    ['a port of worker threads', closedPort],
    ['a forked process', endedProcess],
  ])('is the end of the host: %s', async (_, open) => {
    const client = connect(await open());
    expect(client.connected).toBe(false);
    expect(await client.gone).toMatchObject({ code: 'ERR_HOST_GONE' });
    await expectRefusal(() => client.info(), 'ERR_HOST_GONE', 'its channel was cut');
    // On the host's side there is nobody to serve.
    serveClient(await open()).close();
  });

  it('is refused where there was never one', async () => {
    const child = spawn(process.execPath, ['-e', '0']);
    await expectRefusal(() => overProcess(child), 'ERR_INVALID_ARGUMENT', 'child_process.fork');
    await once(child, 'exit');
  });
});
