import { createContext, runInContext } from 'node:vm';
import { tinyOptions, tinyImages } from '../tiny';
import { checkPlain } from '../../lib/electron/plain';
import type { HostMessage } from '../../lib/electron/protocol';
import { temporaryFolder } from '../unit/support';
import { rawClientMaker, type RawClient } from './support';

const rawClient = rawClientMaker();
const inFolder = temporaryFolder();
const tiny = tinyOptions();

const call = (method: string, args: unknown, id: unknown = 1) => ({ type: 'call', id, method, args });

/** `__proto__` as a key of its own, as only JSON and clones make it. */
const withKey = (key: string, value: unknown = { polluted: true }): object => {
  const made = {};
  Object.defineProperty(made, key, { value, enumerable: true, configurable: true, writable: true });
  return made;
};

const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });
const circle: { self?: unknown } = {};
circle.self = circle;

/** A client with a model, so that what is refused is refused for its own sake. */
async function clientWithModel(): Promise<RawClient> {
  const client = rawClient();
  expect(await client.say(call('createModel', { options: tiny }, 1000))).toMatchObject({ type: 'result' });
  return client;
}

// One host takes them all, and lives.
let host: RawClient;
beforeAll(async () => {
  host = await clientWithModel();
  host.session.grant('pictures', inFolder('pictures'), 'folder');
});

async function expectLiving(client: RawClient): Promise<void> {
  const answer = await client.say(call('predict', { model: 1, images: tinyImages(2), options: {} }, 2000));
  expect(answer).toMatchObject({ type: 'result', id: 2000 });
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
}

const messages: [string, unknown][] = [
  ['nothing', undefined],
  ['null', null],
  ['a text', 'call'],
  ['a number', 7],
  ['a list', [1, 2]],
  ['an empty object', {}],
  ['another type', { type: 'eval', id: 1, code: '1' }],
  ['a type from the prototype', { type: 'constructor', id: 1 }],
  ['a type that is a list', { type: ['call'], id: 1, method: 'info', args: {} }],
  ['no id', { type: 'call', method: 'info', args: {} }],
  ['id 0', call('info', {}, 0)],
  ['a negative id', call('info', {}, -1)],
  ['a fractional id', call('info', {}, 1.5)],
  ['an infinite id', call('info', {}, Infinity)],
  ['an id that is a text', call('info', {}, '1')],
  ['an id that is an object', call('info', {}, { valueOf: 1 })],
  ['one key too many', { ...call('info', {}), extra: 1 }],
  ['arguments that are missing', { type: 'call', id: 1, method: 'info' }],
  ['arguments that are a list', call('info', [])],
  ['arguments that are null', call('info', null)],
  ['arguments that are a function-like text', call('info', '() => 1')],
  ['a method that is a number', call(7 as never, {})],
  ['a method that is none', call('require', {})],
  ['a method of the prototype', call('toString', {})],
  ['the constructor', call('constructor', {})],
  ['__proto__ as the method', call('__proto__', {})],
  ['hasOwnProperty', call('hasOwnProperty', {})],
  ['an empty method', call('', {})],
  ['a very long method', call('a'.repeat(100_000), {})],
  ['__proto__ as a key of the message', { ...call('info', {}), ...withKey('__proto__') }],
  ['__proto__ as a key', call('info', withKey('__proto__'))],
  ['__proto__ deep within', call('createModel', { options: { ...tiny, normalization: withKey('__proto__') } })],
  ['constructor as a key', call('createModel', { options: withKey('constructor') })],
  ['prototype as a key', call('createModel', { options: withKey('prototype') })],
  ['too deep an object', call('createModel', { options: nested(40) })],
  ['an object that holds itself', call('createModel', { options: circle })],
  ['a map', call('createModel', { options: new Map([['growthRate', 4]]) })],
  ['a set', call('createModel', { options: new Set([1]) })],
  ['a date', call('createModel', { options: new Date() })],
  ['a regular expression', call('createModel', { options: { device: /(a+)+$/ } })],
  ['an error', call('createModel', { options: new Error('no') })],
  ['a bigint', call('createModel', { options: { seed: 1n } })],
  [
    'a data view',
    call('forward', { model: 1, input: { data: new DataView(new ArrayBuffer(64)), shape: [1, 1, 8, 1] } }),
  ],
  ['plain memory', call('forward', { model: 1, input: { data: new ArrayBuffer(64), shape: [1, 1, 8, 1] } })],
  [
    'shared memory',
    call('forward', { model: 1, input: { data: new Float32Array(new SharedArrayBuffer(256)), shape: [1, 1, 8, 8] } }),
  ],
  ['a list of holes', call('predict', { model: 1, images: new Array(4_000_000_000), options: {} })],
  ['a list with a hole', call('createModel', { options: { ...tiny, blockConfig: [2, , 2] } })],
  ['a list with keys', call('createModel', { options: { ...tiny, blockConfig: Object.assign([2, 2], { more: 1 }) } })],
  ['a text of a million characters', call('createModel', { options: { device: 'c'.repeat(1_000_000) } })],
  [
    'more values than any call needs',
    call('train', { model: 1, data: { labels: Array.from({ length: 600_000 }, () => 0) }, options: {} }),
  ],
];

describe('a message that is none of the bridge', () => {
  it.each(messages)('%s: is refused, and the host goes on', async (_, message) => {
    // A call that has a number waits for an answer, and gets it.
    const id: unknown = (message as { id?: unknown } | null | undefined)?.id;
    expect(await host.say(message)).toMatchObject({
      type: 'error',
      id: Number.isSafeInteger(id) ? id : null,
      error: { code: 'ERR_INVALID_MESSAGE' },
    });
    await expectLiving(host);
  });
});

const image = { data: new Float32Array(64), shape: [1, 1, 8, 8] };
const fit = { trainer: { optimizer: { type: 'sgd', lr: 0.1 } }, epochs: 1, batchSize: 4 };
const data = { images: { data: new Float32Array(6 * 64), shape: [6, 1, 8, 8] }, labels: [0, 1, 2, 0, 1, 2] };

const badArguments: [string, string, unknown, string?][] = [
  ['no options', 'createModel', {}],
  ['an option that there is not', 'createModel', { options: { growthrate: 4 } }],
  ['a path among the options', 'createModel', { options: { ...tiny, path: '/etc/passwd' } }],
  ['a growth rate that is a text', 'createModel', { options: { ...tiny, growthRate: '4' } }],
  ['an enormous growth rate', 'createModel', { options: { ...tiny, growthRate: 1e9 } }],
  ['an enormous block', 'createModel', { options: { ...tiny, blockConfig: [1e7] } }],
  ['too many blocks', 'createModel', { options: { ...tiny, blockConfig: Array(1000).fill(1) } }],
  [
    'an enormous model of allowed parts',
    'createModel',
    { options: { growthRate: 1024, blockConfig: [256, 256], numClasses: 2 } },
  ],
  ['NaN', 'createModel', { options: { ...tiny, compression: NaN } }],
  ['a device that is a path', 'createModel', { options: { ...tiny, device: '/dev/mem' } }],
  ['a million classes', 'createModel', { options: { ...tiny, numClasses: 1e6 } }],
  ['a model that is a text', 'predict', { model: '1', images: image, options: {} }],
  ['a path as images', 'predict', { model: 1, images: '/etc/passwd', options: {} }],
  ['paths as pictures', 'predict', { model: 1, images: ['/etc/passwd'], options: {} }],
  ['no pictures', 'predict', { model: 1, images: [], options: {} }],
  [
    'a shape that does not fit',
    'predict',
    { model: 1, images: { data: new Float32Array(64), shape: [9, 1, 8, 8] }, options: {} },
  ],
  [
    'a shape that overflows',
    'predict',
    { model: 1, images: { data: new Float32Array(64), shape: [65536, 65536, 65536, 65536] }, options: {} },
  ],
  ['a negative length', 'forward', { model: 1, input: { data: new Float32Array(64), shape: [-1, -1, 8, 8] } }],
  ['a shape of three', 'forward', { model: 1, input: { data: new Float32Array(64), shape: [1, 8, 8] } }],
  ['doubles', 'forward', { model: 1, input: { data: new Float64Array(64), shape: [1, 1, 8, 8] } }],
  ['a key too many in a tensor', 'forward', { model: 1, input: { ...image, byteOffset: 8 } }],
  ['topK beyond the classes', 'predict', { model: 1, images: image, options: { topK: 99 } }],
  ['a path for a grant', 'save', { model: 1, grant: '../../.bashrc', options: {} }, 'ERR_NOT_GRANTED'],
  ['a grant from the prototype', 'save', { model: 1, grant: 'toString', options: {} }, 'ERR_NOT_GRANTED'],
  ['a grant that is an object', 'save', { model: 1, grant: { path: '/tmp/x' }, options: {} }],
  ['an empty grant', 'save', { model: 1, grant: '', options: {} }],
  ['a path beside the grant', 'save', { model: 1, grant: 'x', path: '/tmp/x', options: {} }],
  ['a format that there is not', 'save', { model: 1, grant: 'x', options: { format: 'exe' } }],
  ['a folder by its path', 'train', { model: 1, data: { folder: '/etc' }, options: fit }, 'ERR_NOT_GRANTED'],
  ...['../secret', '..', '.', 'a/../../secret', '/etc', '..\\secret', 'a\0b', ''].map(
    (name): [string, string, unknown] => [
      `${JSON.stringify(name)} as a class of a granted folder`,
      'evaluate',
      { model: 1, data: { folder: 'pictures', classes: ['a', name] }, options: {} },
    ],
  ),
  ['a folder and arrays at once', 'train', { model: 1, data: { folder: 'x', ...data }, options: fit }],
  ['data that are none', 'train', { model: 1, data: {}, options: fit }],
  ['digits that there are not', 'train', { model: 1, data: { digits: '../train' }, options: fit }],
  ['a checkpoint folder', 'train', { model: 1, data, options: { ...fit, checkpoint: { folder: '/tmp/x' } } }],
  ['callbacks', 'train', { model: 1, data, options: { ...fit, callbacks: [] } }],
  ['a cache without end', 'train', { model: 1, data, options: { ...fit, cacheFeatures: true } }],
  ['epochs without end', 'train', { model: 1, data, options: { ...fit, epochs: 1e300 } }],
  ['a batch of a billion', 'train', { model: 1, data, options: { ...fit, batchSize: 1e9 } }],
  [
    'an augmentation that enlarges without end',
    'train',
    { model: 1, data, options: { ...fit, augment: [{ type: 'randomResizedCrop', size: [60_000, 60_000] }] } },
  ],
  ['an augmentation that there is not', 'train', { model: 1, data, options: { ...fit, augment: [{ type: 'exec' }] } }],
  [
    'an optimizer that there is not',
    'train',
    { model: 1, data, options: { ...fit, trainer: { optimizer: { type: 'x', lr: 1 } } } },
  ],
  [
    'a learning rate that is infinite',
    'train',
    { model: 1, data, options: { ...fit, trainer: { optimizer: { type: 'sgd', lr: Infinity } } } },
  ],
  [
    'a label of no class',
    'train',
    { model: 1, data: { ...data, labels: [0, 1, 2, 0, 1, 99] }, options: fit },
    'ERR_LABEL_OUT_OF_RANGE',
  ],
  ['labels that are too few', 'train', { model: 1, data: { ...data, labels: [0] }, options: fit }],
  [
    'a prefix of no parameter',
    'train',
    { model: 1, data, options: { ...fit, unfreeze: [{ epoch: 1, prefix: 'a.b' }] } },
  ],
  ['a prefix that is an object', 'freeze', { model: 1, prefix: { length: 1 }, options: {} }],
  ['a prefix without end', 'unfreeze', { model: 1, prefix: 'a'.repeat(9999) }],
  ['a key too many in freeze', 'freeze', { model: 1, options: { batchNorm: 'keep', path: '/tmp/x' } }],
  ['the parameters of a model that there is not', 'countTrainable', { model: 99 }, 'ERR_DISPOSED'],
  ['metrics without end', 'evaluate', { model: 1, data, options: { calibrationBins: 1e9 } }],
  ['a model that there is not', 'dispose', { model: 99 }, 'ERR_DISPOSED'],
];

describe('a call with hostile arguments', () => {
  // Of four entries each: jest hands a function in for what a row leaves out.
  const rows = badArguments.map(
    ([what, method, args, code = 'ERR_INVALID_ARGUMENT']) => [what, method, args, code] as const,
  );

  it.each(rows)('%s (%s): is refused, and the host goes on', async (_, method, args, code) => {
    const answer = await host.say(call(method, args));
    expect(answer).toMatchObject({ type: 'error', id: 1, error: { code } });
    await expectLiving(host);
  });
});

describe('a large typed array in the place of an object', () => {
  const large = new Uint8Array(20_000_000);
  const { trainer } = fit;
  const train = (options: object): object => ({ model: 1, data: { digits: 'test' }, options: { ...fit, ...options } });

  it.each<[string, string, unknown]>([
    ['all arguments', 'info', large],
    ['the options', 'createModel', { options: large }],
    ['the options of a prediction', 'predict', { model: 1, images: image, options: large }],
    ['the normalization', 'createModel', { options: { ...tiny, normalization: large } }],
    ['the data', 'train', { model: 1, data: large, options: fit }],
    ['the trainer', 'train', train({ trainer: large })],
    ['swa', 'train', train({ trainer: { ...trainer, swa: large } })],
    ['a group of the optimizer', 'train', train({ trainer: { optimizer: { ...trainer.optimizer, groups: [large] } } })],
    ['earlyStopping', 'train', train({ earlyStopping: large })],
    ['an unfreezing', 'train', train({ unfreeze: [large] })],
    ['an augmentation', 'train', train({ augment: [large] })],
  ])('is refused before its keys are listed, one an element: %s', async (_, method, args) => {
    const answer = await host.say(call(method, args));
    expect(answer).toMatchObject({ error: { message: expect.stringContaining('must be an object') } });
  });
});

describe('a client that wants too much', () => {
  const endless = { ...fit, epochs: 1_000_000 };

  it('gets no more models than it may have', async () => {
    const client = rawClient({ limits: { models: 1 } });
    expect(await client.say(call('createModel', { options: tiny }, 1))).toMatchObject({ type: 'result' });
    expect(await client.say(call('createModel', { options: tiny }, 2))).toMatchObject({ error: { code: 'ERR_BUSY' } });
    await client.say(call('dispose', { model: 1 }, 3));
    expect(await client.say(call('createModel', { options: tiny }, 4))).toMatchObject({ type: 'result' });
  });

  it('gets no model larger than it may have', async () => {
    const client = rawClient({ limits: { modelValues: 1000 } });
    const answer = await client.say(call('createModel', { options: tiny }));
    expect(answer).toMatchObject({
      error: { code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('allows 1000') },
    });
  });

  it('has no more calls waiting, and no more bytes in them, than it may have', async () => {
    const client = rawClient({ limits: { calls: 2, bytes: 8192 } });
    await client.say(call('createModel', { options: tiny }));
    expect(await client.say(call('train', { model: 1, data, options: endless }, 2))).toMatchObject({ type: 'event' });
    const large = { data: new Float32Array(32 * 64), shape: [32, 1, 8, 8] };
    expect(await client.say(call('forward', { model: 1, input: large }, 3))).toMatchObject({
      error: { code: 'ERR_BUSY', message: expect.stringContaining('8192') },
    });
    client.port.postMessage(call('train', { model: 1, data: { digits: 'all' }, options: fit }, 4));
    const answer = await client.say(call('info', {}, 5));
    const refused = [answer, await client.next()].find((one) => one.type === 'error' && one.id === 5);
    expect(refused).toMatchObject({ error: { code: 'ERR_BUSY' } });
  });

  it('cannot use the number of a call that is not answered yet, nor end another by it', async () => {
    const client = await clientWithModel();
    expect(await client.say(call('train', { model: 1, data, options: endless }, 2))).toMatchObject({
      type: 'event',
      id: 2,
    });
    expect(await client.say(call('info', {}, 2))).toMatchObject({ type: 'error', id: null });
    // Not cancelled by it: it goes on until it is.
    expect(await client.say({ type: 'taken', id: 2 })).toMatchObject({ type: 'event', id: 2 });
    let answer = await client.say({ type: 'cancel', id: 2 });
    // What had happened by then may come first.
    while (answer.type === 'event') answer = await client.next();
    expect(answer).toMatchObject({ type: 'error', id: 2, error: { code: 'ABORTED' } });
  });

  it('gets no event before it has taken the one before', async () => {
    const client = await clientWithModel();
    const seen: HostMessage[] = [];
    client.port.on('message', (message: HostMessage) => seen.push(message));
    client.port.postMessage(call('train', { model: 1, data, options: endless }, 2));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(seen).toHaveLength(1);
    client.port.postMessage({ type: 'cancel', id: 2 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(seen.at(-1)).toMatchObject({ type: 'error', error: { code: 'ABORTED' } });
  });

  it('cancels and takes what there is not without effect', async () => {
    const client = await clientWithModel();
    client.port.postMessage({ type: 'cancel', id: 77 });
    client.port.postMessage({ type: 'taken', id: 77 });
    await expectLiving(client);
  });

  it('learns of an error its code and message, and nothing else', async () => {
    const client = await clientWithModel();
    const answer = await client.say(call('predict', { model: 9, images: image, options: {} }));
    expect(answer).toEqual({ type: 'error', id: 1, error: { code: 'ERR_DISPOSED', message: expect.any(String) } });
  });
});

describe('what a message may be made of', () => {
  it('counts the memory that typed arrays look into, each once', () => {
    const memory = new ArrayBuffer(1000);
    expect(
      checkPlain({ a: new Uint8Array(memory, 0, 10), b: [new Float32Array(memory, 0, 4)], c: new Int32Array(2) }),
    ).toBe(1008);
  });

  it('takes plain objects of another realm, and of none', () => {
    expect(checkPlain(runInContext('({ a: [1, { b: 2 }] })', createContext()))).toBe(0);
    expect(checkPlain(Object.assign(Object.create(null), { a: 1 }))).toBe(0);
  });
});
