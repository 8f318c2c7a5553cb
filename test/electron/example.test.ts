import { fork, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import { DenseNet } from '../../lib';
import { browser } from '../browser';
import { root } from '../child';
import { temporaryFolder } from '../unit/support';

// The example as it is: its main process in a process of Node's, its utility process in another, its page in headless
// Chromium. Electron alone is stood in for, by fake-electron.

const inFolder = temporaryFolder();
let app: ChildProcess;
let output = '';
const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
let next = 1;

/** Has the stand-in do something, see fake-electron/index.js. */
function tell<Value = unknown>(name: string, ...args: unknown[]): Promise<Value> {
  const id = next++;
  app.send({ id, name, args });
  return new Promise((resolve, reject) => waiting.set(id, { resolve: resolve, reject }));
}

const evaluate = <Value>(code: string): Promise<Value> => tell<Value>('evaluate', code);
const textOf = (id: string): Promise<string> => evaluate<string>(`document.getElementById('${id}').textContent`);
const click = (id: string): Promise<unknown> => tell('click', `#${id}`);

/** Waits until an expression of the page is true. */
async function until(what: string, seconds = 240): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!(await evaluate<boolean>(`Boolean(${what})`))) {
    if (Date.now() > end) throw new Error(`in vain: ${what}\n${await textOf('progress')}\n${output}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const state = (kind: string): string => `document.getElementById('state').dataset.kind === '${kind}'`;

/** Keeps a picture of the window where DENSENET_SCREENSHOTS says. */
async function picture(name: string): Promise<void> {
  const folder = process.env['DENSENET_SCREENSHOTS'];
  if (folder !== undefined) await tell('screenshot', path.join(folder, `${name}.png`));
}

async function train(epochs: number): Promise<void> {
  await tell('fill', '#epochs', String(epochs));
  await click('train');
  await until(state('training'));
}

const circle = Array.from({ length: 25 }, (_, part): [number, number] => [
  0.5 + 0.2 * Math.sin((part / 24) * 2 * Math.PI),
  0.5 - 0.32 * Math.cos((part / 24) * 2 * Math.PI),
]);

const digitsDrawn: [string, [number, number][]][] = [
  ['0', circle],
  ['1', [[0.42, 0.3], [0.55, 0.15], [0.55, 0.85]]], // prettier-ignore
  ['7', [[0.28, 0.2], [0.72, 0.2], [0.6, 0.45], [0.45, 0.85]]], // prettier-ignore
];

/** Enough to read what is drawn here. */
const epochs = 10;

const suite = browser === undefined ? describe.skip : describe;
if (browser === undefined) console.log('skipped: there is no Chromium here');

// The network learns here; how fast, the machine decides.
jest.setTimeout(300_000);

suite('the example, with a stand-in for Electron', () => {
  beforeAll(async () => {
    await cp(path.join(root, 'examples', 'electron'), inFolder('app'), { recursive: true });
    await mkdir(inFolder('app/node_modules'));
    for (const [name, place] of Object.entries({
      'libtorch-densenet': root,
      uplot: path.join(root, 'node_modules', 'uplot'),
      electron: path.join(__dirname, 'fake-electron'),
    }))
      await symlink(place, inFolder(`app/node_modules/${name}`), 'junction');
    app = fork(inFolder('app/main.js'), [], {
      env: { ...process.env, CHROMIUM: browser, OMP_NUM_THREADS: '1' },
      execArgv: [],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    for (const stream of [app.stdout, app.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
    await new Promise<void>((resolve, reject) => {
      app.on('exit', (code) => reject(new Error(`the app ended with ${code}\n${output}`)));
      app.on('message', ({ id, value, error }: { id: number; value?: unknown; error?: string }) => {
        if (id === 0) resolve();
        else if (error === undefined) waiting.get(id)?.resolve(value);
        else waiting.get(id)?.reject(new Error(error));
        waiting.delete(id);
      });
    });
    await until(state('ready'));
  }, 120_000);
  afterAll(() => app.kill('SIGKILL'));

  it('opens a window that has neither Node nor more of Electron than four functions', async () => {
    expect(await evaluate('[typeof require, typeof process, typeof module].join()')).toBe(
      'undefined,undefined,undefined',
    );
    expect(await evaluate('Object.keys(window.digitsApp)')).toEqual([
      'connect',
      'chooseWeights',
      'chooseTarget',
      'onHostGone',
    ]);
    await tell('prevent');
    expect(await tell('seen')).toEqual({
      privileged: [{ scheme: 'app', privileges: { standard: true, secure: true } }],
      sandboxed: true,
      preferences: {
        preload: expect.stringContaining('preload.js') as unknown,
        contextIsolation: true,
        sandbox: true,
        nodeIntegration: false,
        webviewTag: false,
      },
      permission: false,
      popup: { action: 'deny' },
      prevented: ['will-navigate', 'will-attach-webview'],
      quit: false,
    });
  });

  it('runs nothing but its own files, and reaches nothing else', async () => {
    await evaluate(
      `document.head.append(Object.assign(document.createElement('script'), { textContent: 'window.injected = 1' }))`,
    );
    expect(await evaluate('window.injected')).toBeUndefined();
    expect(await evaluate(`fetch('/app.mjs').then(() => 'fetched', () => 'refused')`)).toBe('refused');
    expect(
      await evaluate(`new Promise((resolve) => { const frame = document.createElement('iframe'); frame.src = '/';
      frame.onload = () => { try { resolve(frame.contentDocument?.getElementById('pad') ? 'shown' : 'refused'); } catch { resolve('refused'); } };
      document.body.append(frame); setTimeout(() => resolve('refused'), 500); })`),
    ).toBe('refused');
    await evaluate(`document.querySelector('iframe').remove()`);
  });

  it('answers the top frame of its own page alone', async () => {
    for (const [url, inside] of [
      ['https://example.org/', false],
      ['app://other/', false],
      ['file:///etc/passwd', false],
      ['about:blank', false],
      ['app://digits/', true],
    ])
      for (const channel of ['host:connect', 'weights:open', 'weights:save'])
        expect(await tell('invokeFrom', url, inside, channel)).toEqual({
          error: expect.stringContaining('ERR_UNTRUSTED_SENDER') as unknown,
        });
  });

  it('says what the host runs on, and classifies what is drawn before it has learned anything', async () => {
    expect(await textOf('facts')).toMatch(/DenseNet of [\d,]+ parameters.*libtorch 2\.\d+/);
    await tell('draw', circle);
    await until(`document.getElementById('sure').textContent.endsWith('sure')`);
    const shares = await evaluate<number[]>(
      `[...document.querySelectorAll('#bars li')].map((item) => parseFloat(item.lastChild.textContent))`,
    );
    expect(shares).toHaveLength(10);
    expect(shares.reduce((sum, share) => sum + share)).toBeCloseTo(100, 0);
    await picture('untrained');
  });

  it('trains, with curves as it goes', async () => {
    await train(epochs);
    await until(`Number(document.getElementById('loss-curve').dataset.points) >= 3`);
    await picture('training');
    await until(state('ready'), 800);
    expect(await textOf('progress')).toMatch(new RegExp(`^Done: ${epochs} epochs`));
    expect(parseFloat(await textOf('accuracy'))).toBeGreaterThan(90);
    expect(await evaluate(`document.getElementById('accuracy-curve').dataset.points`)).toBe(String(epochs));
    expect(await evaluate(`document.querySelectorAll('.charts canvas').length`)).toBe(2);
  }, 1_000_000);

  it('reads digits that are drawn', async () => {
    const read: string[] = [];
    for (const [digit, points] of digitsDrawn) {
      await click('clear');
      await until(`document.getElementById('digit').textContent === '?'`);
      await tell('draw', points);
      // A first part of it may have been read meanwhile.
      await until(`/^\\d$/.test(document.getElementById('digit').textContent)`);
      await until(`document.getElementById('digit').ariaBusy === 'false'`);
      read.push(await textOf('digit'));
      await picture(`drawn-${digit}`);
    }
    // What is drawn here is no handwriting, and each training ends elsewhere: one may be taken for another.
    expect(read.filter((digit, index) => digit === digitsDrawn[index]?.[0]).length).toBeGreaterThan(1);
  });

  it('saves where a person chose, and opens what a person chose', async () => {
    const file = inFolder('digits.safetensors');
    const read = await textOf('digit');
    await tell('choose', null);
    await click('save');
    await tell('choose', file);
    await click('save');
    await until(`document.getElementById('progress').textContent === 'Saved.'`);
    expect(existsSync(file)).toBe(true);
    await using saved = await DenseNet.load(file, { device: 'cpu' });
    expect(saved.config.numClasses).toBe(10);
    await click('reset');
    await until(`document.getElementById('accuracy').textContent === '–'`);
    await tell('choose', file);
    await click('open');
    await until(`document.getElementById('progress').textContent === 'Opened.'`);
    await until(`document.getElementById('digit').textContent === '${read}'`);
  });

  it('stops when it is told to', async () => {
    await train(500);
    await until(`document.getElementById('progress').textContent.startsWith('Epoch')`);
    await click('stop');
    await until(state('ready'));
    expect(await textOf('progress')).toMatch(/^Stopped/);
  });

  it('outlives a host that is killed in the middle of training, says so, and starts another', async () => {
    await train(500);
    await until(`document.getElementById('progress').textContent.startsWith('Epoch')`);
    await tell('killHost');
    await until(state('gone'));
    expect(await evaluate(`document.getElementById('gone').hidden`)).toBe(false);
    expect(await textOf('why')).toMatch(/the process that holds the models is gone.*Start it again/);
    await picture('gone');
    await click('restart');
    await until(state('ready'));
    expect(await tell('hosts')).toBe(2);
    expect(await evaluate(`document.getElementById('gone').hidden`)).toBe(true);
    await train(2);
    await until(state('ready'));
    expect(await textOf('progress')).toMatch(/^Done: 2 epochs/);
  }, 600_000);

  it('wrote no error to the console but those that were provoked', () => {
    const errors = output.split('\n').filter((line) => line.includes('page: error'));
    expect(errors.filter((line) => !/Content Security Policy|Failed to load resource|fram/i.test(line))).toEqual([]);
  });
});
