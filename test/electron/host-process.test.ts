import { EventEmitter } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { checkSender, HostProcess, type HostExit } from '../../lib/electron';
import { connect, overMessagePortMain, type DenseNetClient } from '../../lib/electron/client';
import { serveHost } from '../../lib/electron/host';
import { root } from '../child';
import { tinyBatch, tinyOptions } from '../tiny';
import { expectRefusal, temporaryFolder, wrong } from '../unit/support';
import { MessageChannelMain } from './fake-electron/ports';
import { forkUtility } from './fake-electron/utility';

const inFolder = temporaryFolder();
const tiny = tinyOptions();
const trainer = { optimizer: { type: 'sgd', lr: 0.05 }, seed: 1 } as const;

let process_: ReturnType<typeof forkUtility>;
let started = 0;
const exits: HostExit[] = [];
const host = new HostProcess(
  () => {
    started += 1;
    process_ = forkUtility(inFolder('host.js'));
    return process_;
  },
  { onGone: (exit) => exits.push(exit) },
);

beforeAll(() =>
  writeFile(
    inFolder('host.js'),
    `require(${JSON.stringify(path.join(root, 'dist', 'electron', 'host.js'))}).serveHost();`,
  ),
);
afterAll(() => host.stop());

function open(): { client: DenseNetClient; connection: ReturnType<HostProcess['connect']> } {
  const { port1, port2 } = new MessageChannelMain();
  return { connection: host.connect(port1), client: connect(overMessagePortMain(port2)) };
}

test('two pages share the process, and nothing in it', async () => {
  const [one, two] = [open(), open()];
  expect([host.running, started]).toEqual([true, 1]);
  const model = await one.client.createModel(tiny);
  const grant = await one.connection.grant(inFolder('one.safetensors'), 'write');
  expect(grant).toMatch(/^[0-9a-f-]{36}$/);
  await model.save(grant);
  expect(existsSync(inFolder('one.safetensors'))).toBe(true);
  const stranger = await two.client.createModel(tiny);
  await expectRefusal(() => stranger.save(grant), 'ERR_NOT_GRANTED');
  one.connection.revoke(grant);
  await expectRefusal(() => model.save(grant), 'ERR_NOT_GRANTED');
  one.connection.disconnect();
  expect(await one.client.gone).toMatchObject({ code: 'ERR_HOST_GONE' });
  expect((await stranger.evaluate(tinyBatch())).size).toBe(6);
  two.client.close();
});

test('a process that is killed in the middle of training takes its calls with it, and another is started', async () => {
  const { client, connection } = open();
  const model = await client.createModel(tiny);
  const run = model.train(tinyBatch(12), { trainer, epochs: 1_000_000, batchSize: 4 });
  const lost = expectRefusal(() => run, 'ERR_HOST_GONE', 'Start it again');
  await run[Symbol.asyncIterator]().next();
  process.kill(process_.pid as number, 'SIGKILL');
  await lost;
  await expectRefusal(() => model.evaluate(tinyBatch()), 'ERR_HOST_GONE');
  await expectRefusal(() => connection.grant('/tmp/x', 'read'), 'ERR_HOST_GONE');
  expect(exits).toEqual([{ code: 9, stopped: false }]);
  expect(host.running).toBe(false);
  const again = open();
  expect(started).toBe(2);
  expect((await (await again.client.createModel(tiny)).evaluate(tinyBatch())).size).toBe(6);
});

test('a process that is stopped says that it was', async () => {
  const { client } = open();
  await client.info();
  await host.stop();
  await host.stop();
  expect(exits.at(-1)).toMatchObject({ stopped: true });
  expect(await client.gone).toMatchObject({ code: 'ERR_HOST_GONE' });
});

test('what the main process passes is checked', async () => {
  expect(() => new HostProcess(wrong('host.js'))).toThrow(/start must be a function/);
  expect(
    () =>
      new HostProcess(
        wrong(() => undefined),
        wrong({ onExit: 1 }),
      ),
  ).toThrow(/no option "onExit"/);
  expect(() => host.connect(wrong(undefined))).toThrow(/MessagePortMain/);
  const { connection } = open();
  await expectRefusal(() => connection.grant('a\0b', 'read'), 'ERR_INVALID_ARGUMENT', 'zero bytes');
  await expectRefusal(() => connection.grant('a', wrong('all')), 'ERR_INVALID_ARGUMENT', '"read"');
});

/** A process that does what the test says. */
function puppet() {
  const sent: { grant?: string }[] = [];
  const process = Object.assign(new EventEmitter(), {
    postMessage: (message: unknown) => void sent.push(message as { grant?: string }),
    kill: () => true,
  });
  return { process, sent };
}

test('no page is handed to a process that is being stopped', async () => {
  const puppets = [puppet(), puppet()];
  let next = 0;
  const host = new HostProcess(() => wrong(puppets[next++]?.process));
  host.connect({});
  const stopped = host.stop();
  await expectRefusal(() => host.connect({}), 'ERR_HOST_GONE', 'it is being stopped');
  expect(puppets[0]?.sent).toHaveLength(1);
  puppets[0]?.process.emit('exit', 0);
  await stopped;
  host.connect({});
  expect(puppets[1]?.sent).toHaveLength(1);
});

describe("messages of the app's own beside the bridge's", () => {
  const strangers = [undefined, null, 7, 'granted', [], {}, { type: 'granted' }, { type: 'connect' }, { session: 1 }];

  it('are passed over by the main process', async () => {
    const { process, sent } = puppet();
    const connection = new HostProcess(() => wrong(process)).connect({});
    const granted = connection.grant('a', 'read');
    for (const message of strangers) process.emit('message', message);
    process.emit('message', { type: 'granted', grant: sent.at(-1)?.grant });
    expect(await granted).toBe(sent.at(-1)?.grant);
  });

  it('are passed over by the host', async () => {
    const parentPort = Object.assign(new EventEmitter(), { postMessage: () => undefined });
    serveHost(wrong(parentPort));
    const { port1, port2 } = new MessageChannelMain();
    for (const data of [...strangers, { type: 'connect', session: 1 }]) parentPort.emit('message', { data, ports: [] });
    parentPort.emit('message', { data: { type: 'connect', session: 1 }, ports: [port1] });
    const client = connect(overMessagePortMain(port2));
    expect((await client.info()).threads).toBeGreaterThan(0);
    client.close();
  });

  it('with a port connect nobody', () => {
    const parentPort = Object.assign(new EventEmitter(), { postMessage: () => undefined });
    serveHost(wrong(parentPort));
    const { port1 } = new MessageChannelMain();
    parentPort.emit('message', { data: { type: 'connect' }, ports: [port1] });
    expect(port1.eventNames()).toEqual([]);
  });
});

describe('checkSender', () => {
  const frame = (url: string, parent: object | null = null) => ({ senderFrame: { url, parent } });

  it.each(['app://digits/', 'app://digits/page?x#y'])('lets %s pass', (url) => {
    expect(() => checkSender(frame(url), ['app://digits'])).not.toThrow();
  });

  it.each([
    'app://digits.evil/',
    'app://other/',
    'https://digits/',
    'file:///app://digits',
    'about:blank',
    '',
    'app:digits',
  ])('refuses %s', (url) => {
    expect(() => checkSender(frame(url), ['app://digits'])).toThrow(/ERR_UNTRUSTED_SENDER/);
  });

  it('refuses frames within the page, frames that are gone, and origins that are none', () => {
    expect(() => checkSender(frame('app://digits/', {}), ['app://digits'])).toThrow(/a frame within a page/);
    expect(() => checkSender({ senderFrame: null }, ['app://digits'])).toThrow(/the frame is gone/);
    for (const origins of [[], ['digits'], ['app://digits/page'], wrong('app://digits')])
      expect(() => checkSender(frame('app://digits/'), origins)).toThrow(/origins must be/);
  });
});
