import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { datasets, DenseNet } from '../../lib';
import { runNode, type ChildOptions } from '../child';

let folder: string;
beforeAll(async () => (folder = await mkdtemp(path.join(os.tmpdir(), 'densenet-cli-'))));
afterAll(() => rm(folder, { recursive: true, force: true }));

const densenet = (args: string[], options?: ChildOptions) =>
  runNode([path.join('dist', 'cli', 'main.js'), ...args], options);
const weights = () => path.join(folder, 'run', 'weights.safetensors');

/** The JSON objects that a command printed, one a line. */
const lines = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('train', () => {
  it('trains, saves weights and a sample picture, and ends with a table and the line to run next', async () => {
    const out = path.join(folder, 'run');
    const { code, stdout } = await densenet(['train', '--epochs', '8', '--out', out, '--seed', '1', '--device', 'cpu']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/epoch 8\/8: loss 0\.\d+/);
    expect(stdout).toMatch(/Test accuracy\s*│ [\d.]+ % of 364 digits/);
    expect(stdout).toContain(`npx densenet predict ${path.join(out, 'sample.png')} --weights ${weights()}`);
    // No colours where there is no terminal.
    expect(stdout).not.toMatch(/\x1b/);
  });

  it('--json prints an event a line and the result last', async () => {
    const out = path.join(folder, 'json');
    const { stdout } = await densenet(['train', '--epochs', '1', '--out', out, '--json', '--device', 'cpu']);
    const events = lines(stdout);
    expect(events.at(-1)).toMatchObject({
      type: 'result',
      interrupted: false,
      weights: path.join(out, 'weights.safetensors'),
    });
    expect(events.filter(({ type }) => type === 'epoch')).toHaveLength(1);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('%s ends it after its step, with the weights saved', async (signal) => {
    const out = path.join(folder, signal);
    let sent = false;
    const { code, stdout } = await densenet(['train', '--epochs', '10000', '--out', out, '--json', '--device', 'cpu'], {
      onOutput: (text, kill) => {
        if (sent || !text.includes('"epoch":2')) return;
        sent = true;
        kill(signal);
      },
    });
    expect(code).toBe(130);
    expect(lines(stdout).at(-1)).toMatchObject({ type: 'result', interrupted: true });
    await using model = await DenseNet.load(path.join(out, 'weights.safetensors'), { device: 'cpu' });
    expect(model.config.numClasses).toBe(10);
  });

  it.each(['SIGINT', 'SIGKILL'] as const)(
    '--resume goes on after %s, and ends where the run would have ended',
    async (signal) => {
      const [whole, broken] = [path.join(folder, `whole-${signal}`), path.join(folder, `broken-${signal}`)];
      const args = ['train', '--epochs', '6', '--seed', '3', '--device', 'cpu', '--json'];
      await densenet([...args, '--out', whole]);
      let sent = false;
      const first = await densenet([...args, '--out', broken], {
        onOutput: (text, kill) => {
          if (sent || !text.includes('"type":"checkpoint"')) return;
          sent = true;
          kill(signal);
        },
      });
      expect(first.code === 130 || first.signal === 'SIGKILL').toBe(true);
      // Begun anew it would write over what is there to go on from.
      const again = await densenet([...args, '--out', broken]);
      expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining(`--resume ${broken}`) as unknown });
      const mixed = await densenet(['train', '--resume', broken, '--epochs', '9']);
      expect(mixed).toMatchObject({ code: 1, stderr: expect.stringContaining('leave --epochs out') as unknown });
      const second = await densenet(['train', '--resume', broken, '--device', 'cpu', '--json']);
      expect({ code: second.code, stderr: second.stderr }).toEqual({ code: 0, stderr: '' });
      const last = lines(second.stdout).at(-1);
      expect(last).toMatchObject({ type: 'result', interrupted: false });
      const [expected, found] = await Promise.all(
        [whole, broken].map((out) => readFile(path.join(out, 'weights.safetensors'))),
      );
      expect(found?.equals(expected as Buffer)).toBe(true);
      const log = lines(await readFile(path.join(broken, 'log.jsonl'), 'utf8'));
      const epochs = log.filter(({ type }) => type === 'epoch').map(({ epoch }) => epoch);
      expect(epochs).toEqual([1, 2, 3, 4, 5, 6]);
      const steps = log
        .filter(({ type }) => type === 'step')
        .map(({ epoch, step }) => `${String(epoch)}.${String(step)}`);
      expect(new Set(steps).size).toBe(steps.length);
      expect(await readdir(path.join(broken, 'tensorboard'))).toHaveLength(2);
      const nothing = await densenet(['train', '--resume', broken]);
      expect(nothing).toMatchObject({ code: 1, stderr: expect.stringContaining('ERR_FILE') as unknown });
    },
  );

  it('--resume refuses a folder that is no run’s', async () => {
    const { code, stderr } = await densenet(['train', '--resume', path.join(folder, 'nowhere')]);
    expect(code).toBe(1);
    expect(stderr).toContain('ERR_FILE');
    expect(stderr).toContain('config.json');
  });

  it('a second signal ends it at once', async () => {
    const out = path.join(folder, 'twice');
    let sent = false;
    const { code, signal } = await densenet(
      ['train', '--epochs', '100000', '--out', out, '--json', '--device', 'cpu'],
      {
        onOutput: (text, kill) => {
          if (sent || !text.includes('"epoch":2')) return;
          sent = true;
          kill('SIGINT');
          kill('SIGTERM');
        },
      },
    );
    // By one of the two signals itself, which shells show as 130 or 143: nothing waits for the step that is going on.
    expect(code).toBeNull();
    expect(['SIGINT', 'SIGTERM']).toContain(signal);
  });

  it('the same seed gives the same weights', async () => {
    const files = [];
    for (const name of ['first', 'second']) {
      const out = path.join(folder, name);
      await densenet(['train', '--epochs', '1', '--out', out, '--seed', '5', '--device', 'cpu']);
      files.push(await readFile(path.join(out, 'weights.safetensors')));
    }
    expect(files[0]?.equals(files[1] as Buffer)).toBe(true);
  });

  it.each([
    [['train', '--epochs', '0'], /at least 1/],
    [['train', '--epochs', 'many'], /whole number/],
    [['train', '--lr', '-1'], /above 0/],
    [['train', '--data', 'cats'], /digits/],
    [['train', '--device', 'gpu'], /device must be/],
    [['trian'], /train/],
    [['predict'], /pictures|weights/],
  ])('%j is refused with a word on what is allowed', async (args, expected) => {
    const { code, stderr } = await densenet([...args, ...(args.length > 1 ? ['--out', path.join(folder, 'bad')] : [])]);
    expect(code).toBe(1);
    expect(stderr).toMatch(expected);
  });
});

describe('with the weights that train saved', () => {
  it('predict names the digit of the sample picture', async () => {
    const sample = path.join(folder, 'run', 'sample.png');
    const { code, stdout } = await densenet(['predict', sample, '--weights', weights(), '--device', 'cpu']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/sample\.png\s*│ 7 /);
  });

  it('predict recognises digits in dark ink on white paper, of any size', async () => {
    const test = await datasets.digits('test');
    let right = 0;
    const files: string[] = [];
    for (let digit = 0; digit < 10; digit += 1) {
      const place = test.labels.indexOf(digit);
      const pixels = (test.images.data as Uint8Array).slice(place * 64, place * 64 + 64).map((value) => 255 - value);
      const file = path.join(folder, `${digit}.jpg`);
      await sharp(pixels, { raw: { width: 8, height: 8, channels: 1 } })
        .resize(120, 120)
        .jpeg()
        .toFile(file);
      files.push(file);
    }
    const { stdout } = await densenet(['predict', ...files, '--weights', weights(), '--json', '--device', 'cpu']);
    for (const [digit, result] of lines(stdout).entries()) {
      expect(result).toMatchObject({ picture: files[digit], inverted: true });
      if (result['label'] === String(digit)) right += 1;
    }
    expect(right).toBeGreaterThanOrEqual(8);
  });

  it('evaluate measures them on the test digits', async () => {
    const { code, stdout } = await densenet(['evaluate', '--weights', weights(), '--json', '--device', 'cpu']);
    expect(code).toBe(0);
    const { size, top1, perClass } = JSON.parse(stdout) as { size: number; top1: number; perClass: unknown[] };
    expect(size).toBe(364);
    expect(top1).toBeGreaterThan(0.8);
    expect(perClass).toHaveLength(10);
    expect((await densenet(['evaluate', '--weights', weights(), '--device', 'cpu'])).stdout).toMatch(/Recall/);
  });

  it.each([
    ['a picture that is not there', ['nowhere.png'], 'ERR_FILE'],
    ['a file that is no picture', ['package.json'], 'ERR_FILE_FORMAT'],
  ])('predict refuses %s with its code', async (_, pictures, code) => {
    const ended = await densenet(['predict', ...pictures, '--weights', weights(), '--device', 'cpu']);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain(`${code}: ${pictures[0]}`);
  });
});

test('weights that are damaged are refused with their code', async () => {
  const file = path.join(folder, 'damaged.safetensors');
  await writeFile(file, 'nothing of the kind');
  const ended = await densenet(['predict', 'package.json', '--weights', file]);
  expect(ended).toMatchObject({ code: 1, stderr: expect.stringContaining(`ERR_FILE_FORMAT: ${file}`) as unknown });
});

test.each(['', 'train', 'predict', 'evaluate', 'doctor', 'setup', 'install-libtorch'])(
  '%s --help says what it does',
  async (command) => {
    const { code, stdout } = await densenet([...(command ? [command] : []), '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Usage: densenet/);
    expect(stdout.length).toBeGreaterThan(150);
  },
);

describe('summary', () => {
  it('is a table of a known network', async () => {
    const { code, stdout } = await densenet(['summary', '--variant', 'densenet169', '--device', 'cpu']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/denseblock4 +│ 1×1664×7×7 /);
    expect(stdout).toContain('Parameters 14,149,480\n');
  });

  it('is of a file, frozen and as JSON, where that is asked for', async () => {
    const { stdout } = await densenet([
      ...['summary', '--weights', weights(), '--freeze', 'features', '--batch', '3', '--json', '--device', 'cpu'],
    ]);
    const [summary] = lines(stdout);
    expect(summary).toMatchObject({ inputShape: [3, 1, 8, 8], trainableParameters: 10 * (84 + 1) });
  });

  it('of a size that leaves nothing is refused', async () => {
    const { code, stderr } = await densenet(['summary', '--size', '20', '--device', 'cpu']);
    expect([code, stderr]).toEqual([1, expect.stringContaining('ERR_INPUT_TOO_SMALL')]);
  });
});
