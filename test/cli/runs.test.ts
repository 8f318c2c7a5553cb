import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { datasets } from '../../lib';
import { browser } from '../browser';
import { runNode, type ChildOptions } from '../child';
import { temporaryFolder } from '../unit/support';

const inFolder = temporaryFolder();

const densenet = (args: string[], options?: ChildOptions) =>
  runNode([path.join('dist', 'cli', 'main.js'), ...args], options);

const readJson = async (file: string) => JSON.parse(await readFile(inFolder(file), 'utf8')) as Record<string, unknown>;

/** A folder of classes, drawn from the digits, and a list of them in CSV with several labels a picture. */
beforeAll(async () => {
  const { images, labels } = await datasets.digits('train');
  const lines = ['path,round,straight'];
  for (const [name, digit] of Object.entries({ nought: 0, one: 1, seven: 7 })) {
    await mkdir(inFolder(`digits/${name}`), { recursive: true });
    const indices = [...labels.keys()].filter((index) => labels[index] === digit).slice(0, 40);
    for (const [number, index] of indices.entries()) {
      const pixels = (images.data as Uint8Array).slice(index * 64, index * 64 + 64);
      const file = inFolder(`digits/${name}/${number}.png`);
      await sharp(pixels, { raw: { width: 8, height: 8, channels: 1 } }).toFile(file);
      lines.push(`digits/${name}/${number}.png,${Number(digit === 0)},${Number(digit !== 0)}`);
    }
  }
  await writeFile(inFolder('labels.csv'), `${lines.join('\n')}\n`);
  const network = {
    growthRate: 8,
    blockConfig: [3, 3],
    initChannels: 16,
    stem: 'cifar',
    normalization: { mean: [0.3], std: [0.4] },
  };
  await writeFile(
    inFolder('run.json'),
    JSON.stringify({
      data: { path: inFolder('digits'), imageSize: [8, 8], channels: 1, holdOut: 0.25 },
      model: network,
      trainer: { labelSmoothing: 0.05 },
      augment: ['rotate:10', { type: 'randomCrop', padding: 1 }],
      epochs: 12,
      batchSize: 16,
      lr: 0.05,
      device: 'cpu',
      out: inFolder('run'),
    }),
  );
  await writeFile(
    inFolder('several.json'),
    JSON.stringify({
      data: {
        path: inFolder('labels.csv'),
        labels: ['round', 'straight'],
        imageSize: [8, 8],
        channels: 1,
        decode: 'ahead',
      },
      model: network,
      epochs: 6,
      batchSize: 16,
      device: 'cpu',
    }),
  );
});

describe('densenet train --config', () => {
  it('trains on a folder of pictures and leaves configuration, versions, log and summary', async () => {
    const { code, stdout, stderr } = await densenet(['train', '--config', inFolder('run.json'), '--seed', '2']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/on 90 images of 3 classes, testing on 30 others/);
    expect(await readJson('run/config.json')).toMatchObject({
      command: 'train',
      epochs: 12,
      seed: 2,
      data: { path: inFolder('digits') },
      augment: [
        { type: 'randomAffine', degrees: 10 },
        { type: 'randomCrop', padding: 1 },
      ],
    });
    expect(await readJson('run/run.json')).toMatchObject({ device: 'cpu', versions: { node: process.version } });
    const log = (await readFile(inFolder('run/log.jsonl'), 'utf8')).trim().split('\n');
    const events = log.map((line) => JSON.parse(line) as { type: string });
    expect(events.filter(({ type }) => type === 'epoch')).toHaveLength(12);
    expect(events.filter(({ type }) => type === 'step').length).toBeGreaterThan(0);
    const { test } = (await readJson('run/summary.json')) as { test: { top1: number; size: number } };
    expect(test.size).toBe(30);
    expect(test.top1).toBeGreaterThan(0.8);
    expect(await readdir(inFolder('run/tensorboard'))).toEqual([expect.stringMatching(/^events\.out\.tfevents\./)]);
    expect(existsSync(inFolder('run/run.lock'))).toBe(false);
  });

  it('is overruled by the command line', async () => {
    const args = ['--epochs', '1', '--augment', 'none', '--out', inFolder('short'), '--balanced', '--decode', 'ahead'];
    const { code, stdout } = await densenet(['train', '--config', inFolder('run.json'), ...args]);
    expect(code).toBe(0);
    expect(stdout).toContain('epoch 1/1');
    expect(await readJson('short/config.json')).toMatchObject({
      epochs: 1,
      augment: [],
      balanced: true,
      data: { decode: 'ahead' },
    });
  });

  it.each<[string, unknown, string[]]>([
    [
      'unknown keys, with the nearest',
      { epoch: 3, data: { path: 'x', chanels: 1 } },
      ['"epoch"', 'Did you mean "epochs"', 'Did you mean "channels"'],
    ],
    ['an unknown part of the model', { model: { growthrate: 3 } }, ['model has no key', 'Did you mean "growthRate"']],
    [
      'a value of the wrong kind',
      { epochs: 'many', batchSize: 0 },
      ['epochs must be integer', 'batchSize must be >= 1'],
    ],
    ['an unknown word', { data: { path: 'x', decode: 'later' } }, ['data.decode must be one of "now", "ahead"']],
    ['a list', [], ['the file must be object']],
    ['an unknown transform', { augment: ['flop'] }, ['Did you mean "flip"']],
    ['an unknown trainer option', { trainer: { labelSmoothin: 0.1 } }, ['Did you mean "labelSmoothing"']],
  ])('refuses %s', async (_, content, texts) => {
    await writeFile(inFolder('bad.json'), JSON.stringify(content));
    const { code, stderr } = await densenet(['train', '--config', inFolder('bad.json'), '--out', inFolder('bad')]);
    expect(code).toBe(1);
    for (const text of ['ERR_INVALID_ARGUMENT', ...texts]) expect(stderr).toContain(text);
  });

  it('refuses a file that is no JSON, or not there, and data that are not there', async () => {
    await writeFile(inFolder('bad.json'), '{ epochs: 3 }');
    for (const file of ['bad.json', 'none.json']) {
      const { code, stderr } = await densenet(['train', '--config', inFolder(file)]);
      expect([code, stderr]).toEqual([1, expect.stringContaining('ERR_FILE')]);
    }
    const { code, stderr } = await densenet(['train', '--data', 'digit']);
    expect([code, stderr]).toEqual([1, expect.stringContaining('Did you mean "digits"')]);
  });

  it('refuses a folder that another run writes to, and takes one that a killed run left', async () => {
    const out = inFolder('locked');
    await mkdir(out);
    await writeFile(path.join(out, 'run.lock'), String(process.pid));
    const args = ['train', '--config', inFolder('run.json'), '--epochs', '1', '--out', out];
    const refused = await densenet(args);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('ERR_LOCKED')]);
    expect(await readFile(path.join(out, 'run.lock'), 'utf8')).toBe(String(process.pid));
    await writeFile(path.join(out, 'run.lock'), '999999999');
    expect((await densenet(args)).code).toBe(0);
  });
});

describe('with the weights of that run', () => {
  it('evaluate measures on what was kept to test on', async () => {
    const { test } = (await readJson('run/summary.json')) as { test: { top1: number } };
    const weights = inFolder('run/weights.safetensors');
    const args = ['--config', inFolder('run.json'), '--weights', weights, '--seed', '2', '--json'];
    const { code, stdout } = await densenet(['evaluate', ...args]);
    expect(code).toBe(0);
    const { top1, size } = JSON.parse(stdout) as { top1: number; size: number };
    expect([top1, size]).toEqual([test.top1, 30]);
  });
});

describe('densenet report', () => {
  it('makes one page with curves, confusions, classes, mistakes and heat maps, that needs no other file', async () => {
    const { code, stdout } = await densenet(['report', inFolder('run'), '--device', 'cpu', '--pictures', '6']);
    expect(code).toBe(0);
    expect(stdout).toContain(inFolder('run/report.html'));
    const page = await readFile(inFolder('run/report.html'), 'utf8');
    for (const text of ['Confusions', 'Worst mistakes', 'learning rate', '<th scope="row">nought</th>', 'class="veil"'])
      expect(page).toContain(text);
    expect(page).not.toMatch(/(src|href)="(?!data:)/);
    expect(page.match(/class="veil"/g)?.length).toBeGreaterThanOrEqual(6);
  });

  it('is drawn by a browser, without an error', async () => {
    if (browser === undefined) {
      console.log('skipped: there is no Chromium here');
      return;
    }
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--dump-dom', '--virtual-time-budget=5000'];
    const { stdout } = await promisify(execFile)(browser, [...flags, `file://${inFolder('run/report.html')}`], {
      maxBuffer: 1e8,
    });
    expect(stdout).toContain('data-drawn="yes"');
    expect(stdout.match(/<canvas/g)).toHaveLength(3);
  });

  it('tells of areas under the ROC where pictures have several labels', async () => {
    const out = inFolder('several');
    const trained = await densenet(['train', '--config', inFolder('several.json'), '--out', out]);
    expect([trained.code, trained.stderr]).toEqual([0, '']);
    expect((await densenet(['report', out, '--device', 'cpu'])).code).toBe(0);
    const page = await readFile(path.join(out, 'report.html'), 'utf8');
    expect(page).toContain('Mean area under ROC');
    expect(page).toContain('have a label wrong');
    expect(page).not.toContain('Confusions');
    expect(page).toContain('class="veil"');
    const { test } = (await readJson('several/summary.json')) as { test: { rocAuc: number } };
    expect(test.rocAuc).toBeGreaterThan(0.9);
  });

  it('escapes what comes from names', async () => {
    const name = '<img src=x onerror=alert(1)>';
    const record = await readJson('run/summary.json');
    const test = record['test'] as { perClass: { label: string }[] };
    test.perClass[0]!.label = name;
    await mkdir(inFolder('evil'));
    for (const file of ['config.json', 'run.json', 'log.jsonl', 'weights.safetensors'])
      await writeFile(inFolder(`evil/${file}`), await readFile(inFolder(`run/${file}`)));
    await writeFile(inFolder('evil/summary.json'), JSON.stringify(record));
    expect((await densenet(['report', inFolder('evil'), '--device', 'cpu'])).code).toBe(0);
    expect(await readFile(inFolder('evil/report.html'), 'utf8')).not.toContain('<img src=x');
  });

  it('refuses a folder that is no run’s, and a damaged one', async () => {
    const nowhere = await densenet(['report', inFolder('nowhere')]);
    expect([nowhere.code, nowhere.stderr]).toEqual([1, expect.stringContaining('ERR_FILE')]);
    await writeFile(inFolder('evil/summary.json'), '{');
    const damaged = await densenet(['report', inFolder('evil')]);
    expect([damaged.code, damaged.stderr]).toEqual([1, expect.stringContaining('ERR_FILE_FORMAT')]);
  });
});
