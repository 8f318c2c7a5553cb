import { prelude, runProgram } from '../child';

/** A program that ended by itself: no crash, no complaint. */
const clean = { code: 0, signal: null, stderr: '' };

const worker = (body: string): string =>
  JSON.stringify(`${prelude}\nconst { parentPort } = require('node:worker_threads');\n(async () => {\n${body}\n})();`);

test('a process ends by itself when a model is left undisposed', async () => {
  const ended = await runProgram(`
    const model = await DenseNet.create(tiny);
    await model.forward(images(2));
    console.log('done');`);
  expect(ended).toEqual({ ...clean, stdout: 'done\n' });
});

test('a process does not end before a call that is waited for', async () => {
  const ended = await runProgram(`
    const model = await DenseNet.create(tiny);
    trainer(model).fit(data(12), { epochs: 20, batchSize: 4 }).then(({ epochs }) => console.log(epochs.length));`);
  expect(ended).toEqual({ ...clean, stdout: '20\n' });
});

describe('in the middle of training', () => {
  const begin = `
    const model = await DenseNet.create(tiny);
    const run = trainer(model).fit(data(12), endless);
    run.catch(() => undefined);
    await run[Symbol.asyncIterator]().next();`;

  it('process.exit ends the process with its code', async () => {
    expect(await runProgram(`${begin} process.exit(7);`)).toEqual({ ...clean, code: 7, stdout: '' });
  });

  it('an uncaught exception ends it as it always does', async () => {
    const ended = await runProgram(`${begin} setTimeout(() => { throw new Error('on purpose'); });`);
    expect(ended).toMatchObject({ code: 1, signal: null, stderr: expect.stringContaining('on purpose') as unknown });
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('%s ends it by that signal and no other', async (signal) => {
    const ended = await runProgram(`${begin} console.log('on');`, { onOutput: (_, kill) => kill(signal) });
    expect(ended).toMatchObject({ code: null, signal });
  });

  it('garbage collection of everything that JavaScript let go of does no harm', async () => {
    const ended = await runProgram(`
      for (let round = 0; round < 20; round += 1) {
        await (async () => {
          const model = await DenseNet.create(tiny);
          model.forward(images(2));
          const run = trainer(model).fit(data(6), { epochs: 3, batchSize: 3 });
          if (round % 2) await run;
        })();
        gc();
        await new Promise(setImmediate);
      }
      console.log('done');`);
    expect(ended).toEqual({ ...clean, stdout: 'done\n' });
  });
});

describe('in a worker thread', () => {
  it('a model trains and predicts', async () => {
    const ended = await runProgram(`
      const { Worker } = require('node:worker_threads');
      const worker = new Worker(${worker(`
        const model = await DenseNet.create(tiny);
        const { epochs } = await trainer(model).fit(data(12), { epochs: 2, batchSize: 4 });
        const { shape } = await model.forward(images(5));
        parentPort.postMessage([epochs.length, ...shape]);`)}, { eval: true });
      worker.on('message', (message) => console.log(...message));`);
    expect(ended).toEqual({ ...clean, stdout: '2 5 3\n' });
  });

  it('several workers and the main thread use the package at once', async () => {
    const ended = await runProgram(`
      const { Worker } = require('node:worker_threads');
      const results = await Promise.all([
        DenseNet.create(tiny).then((model) => model.forward(images(2))),
        ...Array.from({ length: 3 }, () => new Promise((resolve, reject) => {
          const worker = new Worker(${worker(`
            const model = await DenseNet.create(tiny);
            parentPort.postMessage(await model.forward(images(2)));`)}, { eval: true });
          worker.on('message', resolve).on('error', reject);
        })),
      ]);
      console.log(new Set(results.map(({ data }) => data.join())).size);`);
    expect(ended).toEqual({ ...clean, stdout: '1\n' });
  });

  it('it may be terminated at any time: idle, predicting, training, loading libtorch', async () => {
    const ended = await runProgram(`
      const { Worker } = require('node:worker_threads');
      const source = ${worker(`
        const { workerData } = require('node:worker_threads');
        parentPort.postMessage('started');
        const model = await DenseNet.create(tiny);
        if (workerData % 4 === 1) for (;;) await model.forward(images(8));
        if (workerData % 4 === 2) {
          const run = trainer(model).fit(data(12), endless);
          await run[Symbol.asyncIterator]().next();
          parentPort.postMessage('training');
          await run;
        }
        parentPort.postMessage('idle');
        setInterval(() => undefined, 1000);`)};
      for (let round = 0; round < 12; round += 1) {
        const worker = new Worker(source, { eval: true, workerData: round });
        const wanted = ['idle', 'started', 'training', 'started'][round % 4];
        await new Promise((resolve, reject) => {
          worker.on('message', (message) => message === wanted && resolve());
          worker.on('error', reject);
        });
        // The predicting ones are left alone for a moment that differs from round to round.
        if (round % 4 === 1) await new Promise((resolve) => setTimeout(resolve, round * 20));
        await worker.terminate();
      }
      // The main thread is none the worse.
      const model = await DenseNet.create(tiny);
      console.log((await model.forward(images(1))).shape.join());`);
    expect(ended).toEqual({ ...clean, stdout: '1,3\n' });
  });

  it('it may be terminated at any moment of loading libtorch, which goes on in another thread', async () => {
    const ended = await runProgram(`
      const { Worker } = require('node:worker_threads');
      const source = ${worker(`
        parentPort.postMessage('started');
        await DenseNet.create(tiny);`)};
      for (let round = 0; round < 25; round += 1) {
        const worker = new Worker(source, { eval: true });
        await new Promise((resolve) => worker.on('message', resolve));
        await new Promise((resolve) => setTimeout(resolve, (round * 97) % 70));
        await worker.terminate();
      }
      console.log('ended');`);
    expect(ended).toEqual({ ...clean, stdout: 'ended\n' });
  });
});

test('memory does not grow with predictions, nor with models made and disposed of', async () => {
  // What grew in the second half of the work; the first half fills caches and pools.
  const ended = await runProgram(`
    const grown = async (rounds, work) => {
      const sizes = [];
      for (let half = 0; half < 2; half += 1) {
        for (let round = 0; round < rounds; round += 1) await work();
        gc();
        sizes.push(process.memoryUsage().rss);
      }
      return (sizes[1] - sizes[0]) / 2 ** 20;
    };
    const model = await DenseNet.create(tiny);
    const input = images(4);
    const predictions = await grown(2000, () => model.predict(input));
    const models = await grown(150, async () => (await DenseNet.create(tiny)).dispose());
    console.log(JSON.stringify({ predictions, models }));`);
  expect(ended).toMatchObject(clean);
  const { predictions, models } = JSON.parse(ended.stdout) as { predictions: number; models: number };
  expect(predictions).toBeLessThan(6);
  expect(models).toBeLessThan(6);
});
