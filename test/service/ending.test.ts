import { getEventListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createBatcher, DenseNet, type Batcher } from '../../lib';
import { runProgram } from '../child';
import { tinyImages } from '../tiny';
import { expectRefusal, modelMaker } from '../unit/support';
import { batcherMaker, image, LONG, png, running } from './support';

const makeModel = modelMaker();

let model: DenseNet;
beforeEach(async () => (model = await makeModel({ imageSize: [8, 8] })));
const batcherOf = batcherMaker(() => model);

describe('a signal', () => {
  it('that is aborted already begins nothing', async () => {
    const batcher = batcherOf(LONG);
    await expect(batcher.predict(image(0), { signal: AbortSignal.abort('gone') })).rejects.toBe('gone');
    await expect(batcher.forward(image(0), { signal: AbortSignal.abort('gone') })).rejects.toBe('gone');
    expect(batcher.statistics).toMatchObject({ waiting: 0, batches: 0 });
  });

  it('takes a call that waits out of the queue, with its own reason', async () => {
    const batcher = batcherOf({ maxBatch: 2, maxQueue: 2, ...LONG });
    const control = new AbortController();
    const gone = batcher.predict(image(0), { signal: control.signal });
    control.abort('the client left');
    expect(batcher.statistics.waiting).toBe(0);
    await expect(gone).rejects.toBe('the client left');
    const [pair] = await Promise.all([batcher.predict(tinyImages(2))]);
    expect(pair).toHaveLength(2);
    expect(batcher.statistics).toMatchObject({ batches: 1, images: 2 });
  });

  it('lets go of a call that is being computed, and its neighbour is answered', async () => {
    const batcher = batcherOf({ maxBatch: 2, maxWait: 0 });
    // A step of many images in front of the batch, so that it is still running when the signal comes.
    const busy = model.forward(tinyImages(2000));
    const control = new AbortController();
    const gone = batcher.predict(image(0), { signal: control.signal });
    const stays = batcher.predict(image(1));
    await running(batcher, 2);
    control.abort();
    await expect(gone).rejects.toMatchObject({ name: 'AbortError' });
    expect(batcher.statistics.running).toBe(2);
    expect(await stays).toHaveLength(1);
    await busy;
  });

  it('ends a call whose picture is being decoded, which keeps its place until then', async () => {
    const batcher = batcherOf({ maxDecodes: 1, maxQueue: 2 });
    const control = new AbortController();
    const large = await png(0, 6000);
    const small = await png(1);
    const gone = batcher.predict(large, { signal: control.signal });
    const next = new AbortController();
    const behind = batcher.predict(small, { signal: next.signal });
    await expectRefusal(() => batcher.predict(small), 'ERR_OVERLOADED');
    control.abort('left');
    await expect(gone).rejects.toBe('left');
    expect(batcher.statistics.waiting).toBe(2);
    // Whoever only waits for the decoder leaves at once.
    next.abort('left too');
    expect(batcher.statistics.waiting).toBe(1);
    await expect(behind).rejects.toBe('left too');
    expect(await batcher.predict(small)).toHaveLength(1);
    expect(batcher.statistics).toMatchObject({ waiting: 0, images: 1 });
  });

  it('of many calls at once is let go of by all of them', async () => {
    const batcher = batcherOf({ maxQueue: 100 });
    const { signal } = new AbortController();
    const pictures = await Promise.all([png(0), png(1)]);
    await Promise.all([
      ...Array.from({ length: 30 }, (_, index) => batcher.predict(image(index), { signal })),
      batcher.forward(tinyImages(30), { signal }),
      batcher.predict([...pictures, ...pictures, ...pictures, ...pictures, ...pictures, ...pictures], { signal }),
    ]);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('when the model is disposed of', () => {
  it('whoever waits is rejected at once, and so is every later call', async () => {
    const batcher = batcherOf(LONG);
    const answers = [batcher.predict(image(0)), batcher.forward(image(1)), batcher.predict(await png(0))];
    const ended = Promise.allSettled(answers);
    await model.dispose();
    for (const one of await ended) expect(one).toMatchObject({ status: 'rejected', reason: { code: 'ERR_DISPOSED' } });
    await expectRefusal(() => batcher.predict(image(0)), 'ERR_DISPOSED');
    await expectRefusal(() => batcher.forward(image(0)), 'ERR_DISPOSED');
    await expectRefusal(() => createBatcher(model), 'ERR_DISPOSED');
    await batcher.close();
  });

  it('a batch that was begun is still answered', async () => {
    const batcher = batcherOf({ maxWait: 0 });
    const answers = Promise.all([0, 1, 2].map((index) => batcher.predict(image(index))));
    await running(batcher, 3);
    await model.dispose();
    expect((await answers).flat()).toHaveLength(3);
  });
});

describe('close', () => {
  it('answers all that wait, without waiting for company, and takes no more', async () => {
    const batcher = batcherOf(LONG);
    const ended: string[] = [];
    const answers = [
      batcher.predict(image(0)).then(() => ended.push('array')),
      batcher.predict(await png(0, 2000)).then(() => ended.push('picture')),
    ];
    const closed = batcher.close().then(() => ended.push('closed'));
    await expectRefusal(() => batcher.predict(image(0)), 'ERR_DISPOSED', 'closed');
    await Promise.all([...answers, closed]);
    expect(ended).toEqual(['array', 'picture', 'closed']);
    expect(model.disposed).toBe(false);
    expect(await model.predict(image(0))).toHaveLength(1);
  });

  it('waits for what nobody waits for any more: the model may go after it', async () => {
    const batcher = batcherOf({ maxDecodes: 1 });
    const control = new AbortController();
    const gone = batcher.predict(await png(0, 6000), { signal: control.signal });
    await sleep(5);
    control.abort('left');
    await expect(gone).rejects.toBe('left');
    expect(batcher.statistics.waiting).toBe(1);
    await batcher.close();
    expect(batcher.statistics.waiting).toBe(0);
  });

  it('may be called again, and `await using` calls it', async () => {
    let kept: Batcher;
    {
      await using batcher = createBatcher(model);
      kept = batcher;
      expect(await batcher.predict(image(0))).toHaveLength(1);
    }
    await expectRefusal(() => kept.predict(image(0)), 'ERR_DISPOSED', 'closed');
    await Promise.all([kept.close(), kept.close()]);
  });
});

test('many calls with one signal, and many images in one call, make Node warn of nothing', async () => {
  const ended = await runProgram(`
    const batcher = densenet.createBatcher(await DenseNet.create(tiny));
    const { signal } = new AbortController();
    const calls = Array.from({ length: 20 }, () => batcher.predict(images(1), { signal }));
    console.log((await Promise.all(calls)).length, (await batcher.predict(images(30), { signal })).length);`);
  expect(ended).toEqual({ code: 0, signal: null, stdout: '20 30\n', stderr: '' });
});

test('a batcher that has nothing to do keeps no process alive, closed or not', async () => {
  const ended = await runProgram(`
    const batcher = densenet.createBatcher(await DenseNet.create(tiny));
    const control = new AbortController();
    const gone = batcher.predict(images(1), { signal: control.signal }).catch(() => 'gone');
    control.abort();
    console.log(await gone, (await batcher.predict(images(2))).length);`);
  expect(ended).toEqual({ code: 0, signal: null, stdout: 'gone 2\n', stderr: '' });
});
