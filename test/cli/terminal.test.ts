import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { DenseNet } from '../../lib';
import { printable } from '../../lib/cli/terminal';
import { runNode } from '../child';

test.each([
  ['colours stay', '\x1b[32mcat\x1b[39m', '\x1b[32mcat\x1b[39m'],
  ['tabs and line ends stay', 'a\tb\nc', 'a\tb\nc'],
  ['a title is not set', '\x1b]0;title\x07cat', '\ufffd]0;title\ufffdcat'],
  ['a cursor is not moved', 'cat\x1b[2A\x1b[Kdog\r', 'cat\ufffd[2A\ufffd[Kdog\ufffd'],
  ['nor by the one-byte form', 'cat\x9b2A', 'cat\ufffd2A'],
])('of text for a terminal %s', (_, text, shown) => {
  expect(printable(text)).toBe(shown);
});

test('classes of a file of weights write nothing but their names into the terminal', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'densenet-terminal-'));
  try {
    const [weights, picture] = [path.join(folder, 'weights.safetensors'), path.join(folder, 'picture.png')];
    await using model = await DenseNet.create({
      growthRate: 2,
      blockConfig: [1],
      initChannels: 4,
      stem: 'cifar',
      classes: ['\x1b]0;title\x07cat', '\x1b]0;title\x07dog'],
      imageSize: [8, 8],
      device: 'cpu',
    });
    await model.saveWeights(weights);
    await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } }).toFile(picture);
    const main = path.join('dist', 'cli', 'main.js');
    const { code, stdout } = await runNode([main, 'predict', picture, '--weights', weights, '--device', 'cpu']);
    expect(code).toBe(0);
    expect(stdout).toContain('\ufffd]0;title\ufffdcat');
    expect(stdout).not.toMatch(/[\x1b\x07]/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
