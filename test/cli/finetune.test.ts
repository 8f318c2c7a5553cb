import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { datasets, DenseNet } from '../../lib';
import { runNode, type ChildOptions } from '../child';
import { temporaryFolder } from '../unit/support';

const inFolder = temporaryFolder();

/** A model that knows the digits a little; what is tuned begins with it. */
const weights = () => inFolder('weights.safetensors');

const densenet = (args: string[], options?: ChildOptions) =>
  runNode([path.join('dist', 'cli', 'main.js'), ...args], options);

const finetune = (data: string, args: string[] = [], options?: ChildOptions) =>
  densenet(
    [
      ...['finetune', '--data', inFolder(data), '--weights', weights(), '--head-epochs', '2', '--epochs', '1'],
      ...['--device', 'cpu', ...args],
    ],
    options,
  );

interface Line {
  type: string;
  phase?: string;
  epoch?: number;
  step?: number;
  train?: { size: number };
  validation?: { size: number; top1: number };
  interrupted?: boolean;
  weights?: string;
  test?: { loss: number; top1: number; size: number };
  seconds?: number;
}

/** The JSON objects that a command printed, one a line. */
const lines = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

/** Writes so many pictures of each digit, each class under a name of its own, from the `first` of them on. */
async function drawDigits(place: string, names: Record<string, number>, count: number, first = 0): Promise<void> {
  const { images, labels } = await datasets.digits('train');
  for (const [name, digit] of Object.entries(names)) {
    const folder = inFolder(path.join(place, name));
    await mkdir(folder, { recursive: true });
    const indices = [...labels.keys()].filter((index) => labels[index] === digit).slice(first, first + count);
    for (const [number, index] of indices.entries()) {
      const pixels = (images.data as Uint8Array).slice(index * 64, index * 64 + 64);
      await sharp(pixels, { raw: { width: 8, height: 8, channels: 1 } }).toFile(path.join(folder, `${number}.png`));
    }
  }
}

beforeAll(async () => {
  const trained = await densenet(['train', '--epochs', '3', '--out', inFolder('run'), '--device', 'cpu', '--json']);
  expect(trained).toMatchObject({ code: 0, stderr: '' });
  await copyFile(inFolder('run/weights.safetensors'), weights());
  await drawDigits('plain', { seven: 7, one: 1, nought: 0 }, 12);
});

describe('densenet finetune', () => {
  it('teaches the classes of a folder, tests on a fifth of each, and ends with a table and the line to run next', async () => {
    const out = inFolder('tuned');
    const { code, stdout, stderr } = await finetune('plain', ['--head-epochs', '8', '--epochs', '2', '--out', out]);
    expect([code, stderr]).toEqual([0, '']);
    const saved = path.join(out, 'weights.safetensors');
    // Four fifths of 12 are 9, rounded down.
    expect(stdout).toMatch(/3 classes on 27 pictures, testing on 9 others/);
    expect(stdout).toMatch(/epoch 8\/8: loss \d/);
    expect(stdout).toMatch(/epoch 2\/2: loss \d/);
    expect(stdout).toMatch(/Test accuracy\s*│ [\d.]+ % of 9 pictures that it never saw/);
    expect(stdout).toMatch(/Time\s*│ [\d.]+ s/);
    expect(stdout).toContain(`npx densenet predict PICTURE --weights ${saved}`);
    expect(stdout).not.toMatch(/\x1b/);
    await using model = await DenseNet.load(saved, { device: 'cpu' });
    expect(model.config).toMatchObject({ classes: ['nought', 'one', 'seven'], numClasses: 3, imageSize: [8, 8] });
  });

  it('saves what `densenet predict` names pictures with', async () => {
    const pictures = ['nought', 'one', 'seven'].map((name) => inFolder(`plain/${name}/3.png`));
    const saved = inFolder('tuned/weights.safetensors');
    const ended = await densenet(['predict', ...pictures, '--weights', saved, '--json', '--device', 'cpu']);
    expect(ended.code).toBe(0);
    const labels = ended.stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { label: string }).label);
    expect(labels).toEqual(['nought', 'one', 'seven']);
  });

  it('--json prints an event a line: those of the classifier, those of the whole network, and the result', async () => {
    const out = inFolder('json');
    const { code, stdout } = await finetune('plain', ['--json', '--out', out]);
    expect(code).toBe(0);
    const all = lines(stdout);
    expect(all.filter(({ type }) => type === 'epoch').map(({ epoch }) => epoch)).toEqual([1, 2, 1]);
    expect(all.filter(({ type }) => type === 'epoch').map(({ validation }) => validation?.size)).toEqual([9, 9, 9]);
    expect(all.filter(({ type }) => !['step', 'epoch', 'checkpoint', 'result'].includes(type))).toEqual([]);
    const result = all.at(-1);
    expect(result).toMatchObject({
      type: 'result',
      interrupted: false,
      weights: path.join(out, 'weights.safetensors'),
    });
    expect(result?.test?.size).toBe(9);
    const epochs = all.filter(({ type }) => type === 'epoch');
    expect(epochs.map(({ phase }) => phase)).toEqual(['head', 'head', 'whole']);
    expect(result?.test?.top1).toEqual(epochs.at(-1)?.validation?.top1);
    expect(result?.seconds).toBeGreaterThan(0);
  });

  it.each(['val', 'valid', 'validation', 'test'])(
    'tests on the folder %s where there is one beside train',
    async (name) => {
      const place = `parts-${name}`;
      await drawDigits(path.join(place, 'train'), { one: 1, two: 2 }, 12);
      await drawDigits(path.join(place, name), { one: 1, two: 2 }, 5, 12);
      const out = inFolder(`${place}/out`);
      const { stdout } = await finetune(place, ['--json', '--out', out]);
      const [epoch] = lines(stdout).filter(({ type }) => type === 'epoch');
      expect([epoch?.train?.size, epoch?.validation?.size]).toEqual([24, 10]);
      await using model = await DenseNet.load(path.join(out, 'weights.safetensors'), { device: 'cpu' });
      expect(model.config.classes).toEqual(['one', 'two']);
    },
  );

  it('with a folder train and none to test on, splits the train folder', async () => {
    await drawDigits('lone/train', { one: 1, two: 2 }, 10);
    const { stdout, stderr } = await finetune('lone', ['--json', '--out', inFolder('lone/out')]);
    expect(stderr).toBe('');
    const [epoch] = lines(stdout).filter(({ type }) => type === 'epoch');
    expect([epoch?.train?.size, epoch?.validation?.size]).toEqual([16, 4]);
    await using model = await DenseNet.load(inFolder('lone/out/weights.safetensors'), { device: 'cpu' });
    expect(model.config.classes).toEqual(['one', 'two']);
  });

  it('the same seed gives the same weights, and another seed another classifier to begin with', async () => {
    const untrained = ['--head-epochs', '0', '--epochs', '0', '--json'];
    const runs: [string, string[]][] = [
      ['seed-a', ['--seed', '5', '--json']],
      ['seed-b', ['--seed', '5', '--json']],
      ['seed-c', ['--seed', '5', ...untrained]],
      ['seed-d', ['--seed', '6', ...untrained]],
    ];
    const files: Buffer[] = [];
    for (const [name, args] of runs) {
      const { code } = await finetune('plain', [...args, '--out', inFolder(name)]);
      expect(code).toBe(0);
      files.push(await readFile(inFolder(`${name}/weights.safetensors`)));
    }
    const [a, b, c, d] = files as [Buffer, Buffer, Buffer, Buffer];
    expect(a.equals(b)).toBe(true);
    expect(c.equals(d)).toBe(false);
  });

  it('--head-epochs 0 trains the whole network from the start, --epochs 0 the classifier alone', async () => {
    const before = await stateOf(weights());
    const changed = async (name: string, args: string[]): Promise<string[]> => {
      expect((await finetune('plain', ['--json', '--out', inFolder(name), ...args])).code).toBe(0);
      const after = await stateOf(inFolder(`${name}/weights.safetensors`));
      return [...after].filter(([key, bytes]) => !bytes.equals(before.get(key) as Buffer)).map(([key]) => key);
    };
    expect(await changed('head', ['--epochs', '0'])).toEqual(['classifier.weight', 'classifier.bias']);
    const whole = await changed('whole', ['--head-epochs', '0']);
    expect(whole).toContain('features.conv0.weight');
    expect(whole).toContain('features.denseblock1.denselayer1.norm1.running_mean');
  });

  it('takes a .pth file with --variant', async () => {
    const model = await DenseNet.create({ variant: 'cifar-40-12', numClasses: 4, device: 'cpu', seed: 1 });
    await model.saveWeights(inFolder('mine.pth'), { format: 'pth' });
    await model.dispose();
    const args = ['--weights', inFolder('mine.pth'), '--variant', 'cifar-40-12', '--out', inFolder('pth-out')];
    const { code, stderr } = await finetune('plain', args);
    // The file fits the network, which then lacks the size of pictures that it is for.
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/ERR_INVALID_ARGUMENT: .*mine\.pth does not say what size/),
    ]);
  });
});

describe('Ctrl-C', () => {
  it.each([
    ['the classifier learns', ['--head-epochs', '100000'], '"epoch":2'],
    ['the whole network learns', ['--head-epochs', '0', '--epochs', '100000'], '"epoch":2'],
  ])('while %s ends the run after its step, with the weights saved', async (_, args, when) => {
    const out = inFolder(`interrupted${args.length}`);
    let sent = false;
    const { code, stdout } = await finetune('plain', ['--json', '--out', out, ...args], {
      onOutput: (text, kill) => {
        if (sent || !text.includes(when)) return;
        sent = true;
        kill('SIGINT');
      },
    });
    expect(code).toBe(130);
    expect(lines(stdout).at(-1)).toMatchObject({ type: 'result', interrupted: true });
    await using model = await DenseNet.load(path.join(out, 'weights.safetensors'), { device: 'cpu' });
    expect(model.config.classes).toEqual(['nought', 'one', 'seven']);
  });

  it('is said in the table', async () => {
    const out = inFolder('interrupted-table');
    let sent = false;
    const { code, stdout } = await finetune('plain', ['--out', out, '--head-epochs', '100000'], {
      onOutput: (text, kill) => {
        if (sent || !text.includes('epoch 2/')) return;
        sent = true;
        kill('SIGTERM');
      },
    });
    expect(code).toBe(130);
    expect(stdout).toMatch(/Time\s*│ interrupted; the weights are those of the last whole step/);
    expect(stdout).toContain(`npx densenet finetune --resume ${out}`);
  });
});

describe('--resume', () => {
  const args = ['--head-epochs', '4', '--epochs', '3', '--seed', '4', '--json'];
  const records = async (out: string, name = 'log.jsonl') => lines(await readFile(path.join(out, name), 'utf8'));
  let expected: Buffer;
  beforeAll(async () => {
    expect((await finetune('plain', [...args, '--out', inFolder('unbroken')])).code).toBe(0);
    expected = await readFile(inFolder('unbroken/weights.safetensors'));
  });

  it.each<[string, 'SIGINT' | 'SIGKILL', RegExp]>([
    ['the classifier learns', 'SIGINT', /"phase":"head","type":"checkpoint"/],
    ['the classifier learns', 'SIGKILL', /"phase":"head","type":"checkpoint"/],
    ['the whole network learns', 'SIGINT', /"phase":"whole","type":"step"/],
    ['the whole network learns', 'SIGKILL', /"phase":"whole","type":"epoch","epoch":2/],
  ])(
    'goes on with a run that was ended while %s, by %s, and ends as it would have ended',
    async (what, signal, when) => {
      const out = inFolder(`resumed-${what.length}-${signal}`);
      let sent = false;
      const first = await finetune('plain', [...args, '--out', out], {
        onOutput: (text, kill) => {
          if (sent || !when.test(text)) return;
          sent = true;
          kill(signal);
        },
      });
      expect(first.code === 130 || first.signal === 'SIGKILL').toBe(true);
      // The weights that it began with are not needed any longer.
      const second = await densenet(['finetune', '--resume', out, '--json']);
      expect({ code: second.code, stderr: second.stderr }).toEqual({ code: 0, stderr: '' });
      expect(lines(second.stdout).at(-1)).toMatchObject({ type: 'result', interrupted: false });
      expect((await readFile(path.join(out, 'weights.safetensors'))).equals(expected)).toBe(true);
      // One log of the whole run, each epoch and each step at most once.
      const log = await records(out);
      const of = (type: string) =>
        log.filter((line) => line.type === type).map(({ phase, epoch, step }) => `${phase} ${epoch} ${step}`);
      expect(of('epoch')).toEqual(
        [1, 2, 3, 4]
          .map((epoch) => `head ${epoch} undefined`)
          .concat([1, 2, 3].map((epoch) => `whole ${epoch} undefined`)),
      );
      expect(new Set(of('step')).size).toBe(of('step').length);
      expect(await readdir(out)).not.toContain('checkpoints');
      for (const phase of ['head', 'whole'])
        expect((await readdir(path.join(out, 'tensorboard', phase))).length).toBeGreaterThan(0);
      const { resumed } = JSON.parse(await readFile(path.join(out, 'run.json'), 'utf8')) as { resumed: object[] };
      expect(resumed).toEqual([expect.objectContaining({ phase: expect.stringMatching(/head|whole/) as unknown })]);
    },
  );

  it('refuses settings beside it, a run that is over, and a run of another command', async () => {
    const out = inFolder('unbroken');
    const mixed = await densenet(['finetune', '--resume', out, '--epochs', '9']);
    expect(mixed).toMatchObject({ code: 1, stderr: expect.stringContaining('leave --epochs out') as unknown });
    const over = await densenet(['finetune', '--resume', out]);
    expect(over).toMatchObject({ code: 1, stderr: expect.stringMatching(/ERR_FILE: .*the run has ended/) as unknown });
    const other = await densenet(['finetune', '--resume', inFolder('run')]);
    expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining('a run of `densenet train`') as unknown });
    const nowhere = await densenet(['finetune', '--resume', inFolder('nowhere')]);
    expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringContaining('config.json') as unknown });
  });
});

describe('refused with a word on what to do is', () => {
  const out = () => ['--out', inFolder('refused')];
  afterEach(async () => {
    const written = await readdir(inFolder('refused')).catch(() => []);
    await rm(inFolder('refused'), { recursive: true, force: true });
    expect(written).toEqual([]);
  });

  it('a folder that is not there', async () => {
    const { code, stderr } = await finetune('nowhere', out());
    expect([code, stderr]).toEqual([1, expect.stringContaining(`ERR_FILE: ${inFolder('nowhere')} cannot be read`)]);
  });

  it('a class without pictures, by name', async () => {
    await drawDigits('empty', { one: 1, two: 2 }, 3);
    await mkdir(inFolder('empty/three'));
    const { code, stderr } = await finetune('empty', out());
    expect(code).toBe(1);
    expect(stderr).toContain('ERR_DATASET');
    expect(stderr).toContain(`${inFolder('empty/three')} holds no picture`);
    expect(stderr).not.toContain(inFolder('empty/one'));
  });

  it('pictures that cannot be read, all of them by name', async () => {
    await drawDigits('broken', { one: 1, two: 2 }, 3);
    const files = ['broken/one/bad.png', 'broken/two/worse.jpg'].map(inFolder);
    for (const file of files) await writeFile(file, 'no picture');
    const { code, stderr } = await finetune('broken', out());
    expect(code).toBe(1);
    for (const file of files) expect(stderr).toContain(file);
    expect(stderr).toContain('ERR_DATASET');
  });

  it('a class of the training pictures that the test pictures lack, said once', async () => {
    await drawDigits('lacking/train', { one: 1, two: 2 }, 4);
    await drawDigits('lacking/val', { one: 1 }, 4);
    const { code, stderr } = await finetune('lacking', out());
    expect(code).toBe(1);
    expect(stderr).toContain(inFolder('lacking/val/two'));
    expect(stderr).toContain('has 1 fault:');
  });

  it('a class of one picture, which can be trained on or tested on and not both', async () => {
    await drawDigits('one-picture', { one: 1, two: 2 }, 4);
    await drawDigits('one-picture', { rare: 3 }, 1);
    const { code, stderr } = await finetune('one-picture', out());
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/ERR_DATASET: .* of rare\. Each class needs at least two/),
    ]);
  });

  it('a folder of one class', async () => {
    await drawDigits('one-class', { one: 1 }, 8);
    const { code, stderr } = await finetune('one-class', out());
    expect([code, stderr]).toEqual([1, expect.stringMatching(/ERR_DATASET: .* one class alone, one,/)]);
  });

  it.each<[string, string[], RegExp]>([
    [
      'weights that are not there',
      ['--weights', 'nowhere.safetensors'],
      /ERR_FILE: nowhere\.safetensors cannot be read/,
    ],
    ['a name that no pretrained weights have', ['--weights', 'densenet999'], /ERR_FILE: densenet999 cannot be read/],
    ['a file that holds no weights', ['--weights', 'package.json'], /ERR_FILE_FORMAT: package\.json/],
    [
      'weights that do not say what network they are of',
      ['--weights', path.join('test', 'weights', 'fixtures', 'plain.pth')],
      /ERR_FILE_FORMAT: .*plain\.pth holds weights but no configuration/,
    ],
    [
      'weights of another network than was said',
      ['--weights', path.join('test', 'weights', 'fixtures', 'plain.pth'), '--variant', 'cifar-40-12'],
      /ERR_WEIGHTS_MISMATCH: .*plain\.pth does not fit/,
    ],
    ['a network that there is not', ['--variant', 'densenet122'], /densenet121/],
    ['a rate of 0', ['--lr', '0'], /above 0/],
    ['part of an epoch', ['--epochs', '1.5'], /whole number/],
    ['a layer decay above 1', ['--layer-decay', '2'], /layerDecay/],
    ['a device that there is not', ['--device', 'gpu'], /device must be/],
  ])('%s', async (_, args, expected) => {
    const { code, stderr } = await finetune('plain', [...out(), ...args]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(expected)]);
  });

  it.each(['--data', '--weights'])('a call without %s', async (missing) => {
    const given = missing === '--data' ? ['--weights', 'densenet121'] : ['--data', inFolder('plain')];
    const { code, stderr } = await densenet(['finetune', ...given]);
    expect([code, stderr]).toEqual([1, expect.stringContaining(missing)]);
  });
});

test('--help says how folders are laid out', async () => {
  const { code, stdout } = await densenet(['finetune', '--help']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/Usage: densenet finetune/);
  expect(stdout).toContain('"train"');
});

async function stateOf(file: string): Promise<Map<string, Buffer>> {
  await using model = await DenseNet.load(file, { device: 'cpu' });
  return new Map(
    [...(await model.stateDict())].map(([name, { data }]) => [
      name,
      Buffer.from(data.buffer, data.byteOffset, data.byteLength),
    ]),
  );
}
