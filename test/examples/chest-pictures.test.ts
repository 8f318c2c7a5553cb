import { readFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { runNode } from '../child';
import { temporaryFolder } from '../unit/support';

const inFolder = temporaryFolder();
const findings = ['Cardiomegaly', 'Effusion', 'Nodule', 'Pneumothorax'];
const densenet = (args: string[]) => runNode([path.join('dist', 'cli', 'main.js'), ...args]);

test('grey pictures of 16 bits with several findings each are learned, measured by finding, and reported', async () => {
  const made = await runNode([path.join('examples', 'chest-pictures.mjs'), inFolder('chest'), '240']);
  expect(made).toMatchObject({ code: 0, stderr: '' });
  const { depth, channels, width } = await sharp(inFolder('chest/images/00001.png')).metadata();
  expect([depth, channels, width]).toEqual(['ushort', 1, 64]);

  const out = inFolder('run');
  const config = inFolder('chest/run.json');
  const args = ['--config', config, '--epochs', '6', '--decode', 'ahead', '--device', 'cpu', '--out', out];
  expect(await densenet(['train', ...args])).toMatchObject({ code: 0, stderr: '' });
  const { test: found } = JSON.parse(await readFile(path.join(out, 'summary.json'), 'utf8')) as {
    test: { perClass: { label: string; rocAuc: number }[]; rocAuc: number; confusionMatrix: number[][] };
  };
  expect(found.perClass.map(({ label }) => label)).toEqual(findings);
  expect(found.confusionMatrix).toEqual([]);
  expect(found.rocAuc).toBeGreaterThan(0.7);

  expect(await densenet(['report', out, '--device', 'cpu', '--pictures', '8'])).toMatchObject({ code: 0, stderr: '' });
  const page = await readFile(path.join(out, 'report.html'), 'utf8');
  for (const text of [...findings, 'Mean area under ROC', 'Worst mistakes', '.png</small>'])
    expect(page).toContain(text);
  expect(page).not.toContain('Confusions');
  expect(page.match(/class="veil"/g)?.length).toBeGreaterThanOrEqual(8);
  expect(page).toMatch(/<figcaption>(missed|not there): (Cardiomegaly|Effusion|Nodule|Pneumothorax), \d/);
}, 300_000);
