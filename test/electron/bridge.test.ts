import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import sharp from 'sharp';
import { connect, type RemoteModel } from '../../lib/electron/client';
import { serveClient } from '../../lib/electron/host';
import { datasets, DenseNet, type TrainingEvent } from '../../lib';
import { tinyBatch, tinyOptions, tinyImages } from '../tiny';
import { expectRefusal, refusal, temporaryFolder, valuesOf, wrong } from '../unit/support';
import { bridgeMaker } from './support';

const bridge = bridgeMaker();
const inFolder = temporaryFolder();
const tiny = tinyOptions();
const trainer = { optimizer: { type: 'sgd', lr: 0.05 }, seed: 1 } as const;

async function remoteModel(): Promise<RemoteModel> {
  return bridge().client.createModel(tiny);
}

describe('a model on the other side of a bridge', () => {
  it('is what it is on this side', async () => {
    const remote = await remoteModel();
    await using local = await DenseNet.create(tiny);
    expect(remote.config).toEqual(local.config);
    expect([remote.device, remote.parameterCount, remote.trainableParameterCount]).toEqual([
      local.device,
      local.parameterCount,
      local.trainableParameterCount,
    ]);
    expect(await remote.predict(tinyImages(3), { topK: 2 })).toEqual(await local.predict(tinyImages(3), { topK: 2 }));
    const logits = await remote.forward(tinyImages(3));
    expect(logits.shape).toEqual([3, 3]);
    expect(valuesOf(logits)).toEqual(valuesOf(await local.forward(tinyImages(3))));
  });

  it('tells what the host runs on, and no path', async () => {
    const info = await bridge().client.info();
    expect(info).toMatchObject({ version: expect.any(String), threads: expect.any(Number) });
    expect(Object.keys(info.libtorch)).toEqual(['version', 'build']);
    expect(Object.keys(info.cuda)).toEqual(['available', 'devices']);
  });

  it('classifies encoded pictures', async () => {
    const { client } = bridge();
    const remote = await client.createModel({ ...tiny, imageSize: [8, 8] });
    const png = await sharp(Buffer.alloc(64, 99), { raw: { width: 8, height: 8, channels: 1 } })
      .png()
      .toBuffer();
    const [one, two] = await remote.predict([new Uint8Array(png), new Uint8Array(png)]);
    expect(one).toEqual(two);
    expect(await remote.predict(new Uint8Array(png))).toEqual([one]);
    await expectRefusal(() => remote.predict([new Uint8Array(9)]), 'ERR_FILE_FORMAT');
  });

  it('takes images by copy, and sends no more of their memory than they are', async () => {
    const remote = await remoteModel();
    const { data, shape } = tinyImages(4);
    const large = new Float32Array(1_000_000);
    large.set(data as Float32Array, 500);
    const view = large.subarray(500, 500 + data.length);
    expect(valuesOf(await remote.forward({ data: view, shape }))).toEqual(
      valuesOf(await remote.forward({ data, shape })),
    );
    expect([data.length, large.length]).toEqual([4 * 64, 1_000_000]);
    // A host that allows a few thousand bytes takes a small part of a large array.
    const { client } = bridge({ limits: { bytes: 4096 } });
    const small = await client.createModel(tiny);
    expect((await small.forward({ data: view, shape })).shape).toEqual([4, 3]);
    const far = large.subarray(0, 64 * 64);
    await expectRefusal(() => small.forward({ data: far, shape: [64, 1, 8, 8] }), 'ERR_INVALID_ARGUMENT', '4096');
  });

  it('is gone after dispose, for all calls', async () => {
    const remote = await remoteModel();
    await remote.dispose();
    await remote.dispose();
    expect(remote.disposed).toBe(true);
    await expectRefusal(() => remote.predict(tinyImages(1)), 'ERR_DISPOSED');
    await expectRefusal(() => remote.train(tinyBatch(), { trainer, epochs: 1, batchSize: 3 }), 'ERR_DISPOSED');
  });

  it('rejects as the library does, with code and message', async () => {
    const remote = await remoteModel();
    await using local = await DenseNet.create(tiny);
    const bad = { data: new Float32Array(8 * 8 * 3), shape: [1, 3, 8, 8] };
    const [there, here] = [await refusal(() => remote.forward(bad)), await refusal(() => local.forward(bad))];
    expect([there.code, there.message, there.name]).toEqual([here.code, here.message, 'DenseNetError']);
    await expectRefusal(
      () => bridge().client.createModel(wrong({ variant: 'densenet122' })),
      'ERR_UNKNOWN_VARIANT',
      'densenet121',
    );
  });

  it('rejects arguments that are no objects, or cannot be sent', async () => {
    const remote = await remoteModel();
    await expectRefusal(() => remote.predict(tinyImages(1), wrong(3)), 'ERR_INVALID_ARGUMENT', 'an object');
    await expectRefusal(
      () => remote.predict(tinyImages(1), wrong({ topK: () => 1 })),
      'ERR_INVALID_ARGUMENT',
      'cannot be sent',
    );
    await expectRefusal(
      () => remote.predict(tinyImages(1), wrong({ signal: 1 })),
      'ERR_INVALID_ARGUMENT',
      'AbortSignal',
    );
    await expectRefusal(() => remote.forward(wrong(undefined)), 'ERR_INVALID_ARGUMENT');
    await expectRefusal(() => remote.forward(wrong(new Uint8Array(1_000_000))), 'ERR_INVALID_ARGUMENT', 'input');
    await expectRefusal(() => remote.train(wrong(null), wrong(null)), 'ERR_INVALID_ARGUMENT');
    expect(await remote.predict(tinyImages(1))).toHaveLength(1);
  });
});

describe('what is no plain value', () => {
  const circle: { self?: unknown } = {};
  circle.self = circle;
  it.each<[string, unknown, string]>([
    ['a bigint', { seed: 1n }, '1n'],
    ['a map', new Map(), 'a Map'],
    ['a blob', { classes: new Blob(['a']) }, 'a Blob'],
    ['a list with holes', { blockConfig: [2, , 2] }, 'holes'],
    ['a text of 10,001 characters', { device: 'c'.repeat(10_001) }, '10001 characters'],
    ['an object that holds itself', circle, 'holds itself'],
  ])('is refused before it is sent: %s', async (_, options, text) => {
    const { client } = bridge();
    await expectRefusal(() => client.createModel(wrong(options)), 'ERR_INVALID_MESSAGE', text);
    expect((await client.info()).threads).toBeGreaterThan(0);
  });
});

describe('training on the other side of a bridge', () => {
  it('sends every epoch, ends with the history, and comes to the same weights', async () => {
    const { client, session } = bridge();
    const remote = await client.createModel(tiny);
    const events: TrainingEvent[] = [];
    const run = remote.train(tinyBatch(12), { trainer, epochs: 3, batchSize: 4, validation: tinyBatch(6) });
    for await (const event of run) events.push(event);
    const history = await run;
    expect(events.filter(({ type }) => type === 'epoch')).toEqual(history.epochs);
    expect(history.epochs.map(({ epoch, validation }) => [epoch, validation?.size])).toEqual([
      [1, 6],
      [2, 6],
      [3, 6],
    ]);
    expect(events.some(({ type }) => type === 'step')).toBe(true);
    session.grant('target', inFolder('trained.safetensors'), 'write');
    await remote.save('target');
    await using saved = await DenseNet.load(inFolder('trained.safetensors'), { device: 'cpu' });
    expect(valuesOf(await saved.forward(tinyImages(2)))).toEqual(valuesOf(await remote.forward(tinyImages(2))));
  });

  it('lets predictions in between its steps, and ends when it is cancelled', async () => {
    const remote = await remoteModel();
    const control = new AbortController();
    const run = remote.train(tinyBatch(12), { trainer, epochs: 1_000_000, batchSize: 4, signal: control.signal });
    const reason = new Error('enough');
    const ended = refusedWith(run);
    await run[Symbol.asyncIterator]().next();
    expect(await remote.predict(tinyImages(1))).toHaveLength(1);
    await expectRefusal(() => remote.evaluate(tinyBatch()), 'ERR_BUSY');
    control.abort(reason);
    expect(await ended).toBe(reason);
    expect((await remote.evaluate(tinyBatch())).size).toBe(6);
  });

  it('ends with the model that it trains', async () => {
    const remote = await remoteModel();
    const run = remote.train(tinyBatch(12), { trainer, epochs: 1_000_000, batchSize: 4 });
    const ended = expectRefusal(() => run, 'ERR_DISPOSED');
    await run[Symbol.asyncIterator]().next();
    await remote.dispose();
    await ended;
  });

  it('leaves averaged weights in the model where it was asked to average', async () => {
    const { client } = bridge();
    const [plain, averaged] = [await client.createModel(tiny), await client.createModel(tiny)];
    await plain.train(tinyBatch(12), { trainer, epochs: 2, batchSize: 4 });
    await averaged.train(tinyBatch(12), { trainer: { ...trainer, ema: 0.9 }, epochs: 2, batchSize: 4 });
    expect(valuesOf(await plain.forward(tinyImages(1)))).not.toEqual(valuesOf(await averaged.forward(tinyImages(1))));
  });

  it('sends one event at a time: a client that takes none gets one, and the end all the same', async () => {
    const { client, session } = bridge();
    const seen: TrainingEvent[] = [];
    const remote = await client.createModel(tiny);
    const run = remote.train(tinyBatch(12), { trainer, epochs: 30, batchSize: 4 });
    // Slower than the training by far: the newest step counts, and no epoch is lost.
    for await (const event of run) {
      seen.push(event);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(seen.filter(({ type }) => type === 'epoch')).toHaveLength(30);
    session.close();
  });

  it('evaluates as the library does', async () => {
    const remote = await remoteModel();
    await using local = await DenseNet.create(tiny);
    const expected = await local.evaluate(datasets.fromArrays(tinyBatch(9)), { topK: [2], batchSize: 4 });
    expect(await remote.evaluate(tinyBatch(9), { topK: [2], batchSize: 4 })).toEqual(expected);
  });

  it('evaluates on the digits of the package, and stops when it is cancelled', async () => {
    const { client } = bridge();
    const remote = await client.createModel({ ...tiny, numClasses: 10 });
    expect((await remote.evaluate({ digits: 'test' })).size).toBe(364);
    expect(await refusedWith(remote.evaluate({ digits: 'all' }, { signal: AbortSignal.abort('no') }))).toBe('no');
  });
});

describe('files', () => {
  it('are saved, loaded and read through grants', async () => {
    const { client, session } = bridge();
    const remote = await client.createModel(tiny);
    session.grant('to', inFolder('one.safetensors'), 'write');
    session.grant('from', inFolder('one.safetensors'), 'read');
    await remote.save('to');
    expect(existsSync(inFolder('one.safetensors'))).toBe(true);
    const loaded = await client.loadModel('from', { device: 'cpu' });
    expect(valuesOf(await loaded.forward(tinyImages(2)))).toEqual(valuesOf(await remote.forward(tinyImages(2))));
    const { matched } = await remote.loadWeights('from');
    expect(matched.length).toBeGreaterThan(10);
    session.revoke('from');
    await expectRefusal(() => remote.loadWeights('from'), 'ERR_NOT_GRANTED', 'no such grant');
  });

  it('are refused by path, for another use, and on another connection', async () => {
    const { client, session } = bridge();
    const remote = await client.createModel(tiny);
    const file = inFolder('other.safetensors');
    await expectRefusal(() => remote.save(file), 'ERR_NOT_GRANTED', 'paths are not taken');
    session.grant('mine', file, 'write');
    await expectRefusal(() => remote.loadWeights('mine'), 'ERR_NOT_GRANTED', 'the grant is for writing');
    const stranger = await bridge().client.createModel(tiny);
    await expectRefusal(() => stranger.save('mine'), 'ERR_NOT_GRANTED');
    await expectRefusal(() => remote.evaluate({ folder: '/etc' }), 'ERR_NOT_GRANTED', 'below a folder');
    expect(existsSync(file)).toBe(false);
  });

  it('have grants of 1 to 256 characters', async () => {
    const { client, session } = bridge();
    const [longest, longer] = ['g'.repeat(256), 'g'.repeat(257)];
    session.grant(longest, inFolder('nowhere.pth'), 'read');
    await expectRefusal(() => client.loadModel(longest), 'ERR_FILE', 'nowhere.pth');
    for (const grant of [longer, '', wrong(1)])
      await expectRefusal(() => session.grant(grant, inFolder('nowhere.pth'), 'read'), 'ERR_INVALID_ARGUMENT');
  });

  it('keep their folders to themselves in errors', async () => {
    const { client, session } = bridge();
    await writeFile(inFolder('broken.safetensors'), 'nothing of the kind');
    session.grant('broken', inFolder('broken.safetensors'), 'read');
    const { message } = await refusal(() => client.loadModel('broken'));
    expect(message).toContain('broken.safetensors');
    expect(message).not.toContain(inFolder(''));
  });

  it('of a folder of pictures are trained on where the folder was granted', async () => {
    for (const [name, shade] of Object.entries({ dark: 20, light: 220 })) {
      await mkdir(inFolder(`pictures/${name}`), { recursive: true });
      for (let number = 0; number < 4; number += 1)
        await sharp(Buffer.alloc(64, shade + number), { raw: { width: 8, height: 8, channels: 1 } }).toFile(
          inFolder(`pictures/${name}/${number}.png`),
        );
    }
    const { client, session } = bridge();
    session.grant('pictures', inFolder('pictures'), 'folder');
    const remote = await client.createModel({ ...tiny, numClasses: 2 });
    const data = { folder: 'pictures', imageSize: [8, 8], channels: 1 } as const;
    const { epochs } = await remote.train({ ...data, imageSize: [8, 8] }, { trainer, epochs: 2, batchSize: 4 });
    expect(epochs.at(-1)?.train.size).toBe(8);
  });
});

describe('a connection', () => {
  it('rejects what waits when it is closed, and gives its models up', async () => {
    const { client } = bridge();
    const remote = await client.createModel(tiny);
    const run = remote.train(tinyBatch(12), { trainer, epochs: 1_000_000, batchSize: 4 });
    const ended = expectRefusal(() => run, 'ERR_DISPOSED', 'closed');
    await run[Symbol.asyncIterator]().next();
    client.close();
    await ended;
    expect(client.connected).toBe(false);
    await expectRefusal(() => client.info(), 'ERR_DISPOSED');
  });

  it('rejects every call with ERR_HOST_GONE when the host goes, and says so by itself', async () => {
    const { client, session } = bridge();
    const remote = await client.createModel(tiny);
    const run = remote.train(tinyBatch(12), { trainer, epochs: 1_000_000, batchSize: 4 });
    const ended = expectRefusal(() => run, 'ERR_HOST_GONE', 'connect anew');
    await run[Symbol.asyncIterator]().next();
    session.close();
    await ended;
    expect(await client.gone).toMatchObject({ code: 'ERR_HOST_GONE' });
    await expectRefusal(() => remote.predict(tinyImages(1)), 'ERR_HOST_GONE');
  });

  it('takes the word of an app that knows of the end before the channel tells', async () => {
    const { client } = bridge();
    const waiting = expectRefusal(() => client.info(), 'ERR_HOST_GONE', 'it ended with code 9');
    client.lost('it ended with code 9');
    await waiting;
  });

  it('is refused to what is no port', () => {
    expect(() => connect(wrong({ postMessage: () => undefined }))).toThrow(/ERR_INVALID_ARGUMENT.*overMessagePort/);
    expect(() => serveClient(wrong(undefined))).toThrow(/ERR_INVALID_ARGUMENT/);
    expect(() => bridge({ limits: wrong({ model: 3 }) })).toThrow(/Did you mean "models"/);
  });
});

/** What a promise rejects with. */
async function refusedWith(promise: PromiseLike<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (reason) {
    return reason;
  }
  throw new Error('it was not refused');
}
