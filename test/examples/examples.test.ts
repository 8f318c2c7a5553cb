import { readdirSync } from 'node:fs';
import path from 'node:path';
import { root, runNode } from '../child';

// The Electron app is run by test/electron/example.test.ts.
test('every example is run here or beside this file', () => {
  expect(readdirSync(path.join(root, 'examples'))).toEqual([
    'chest-pictures.mjs',
    'digits-folder.mjs',
    'electron',
    'server',
    'transfer-digits.mjs',
  ]);
});

test('fine-tuning on ten images a class beats training from scratch on them', async () => {
  const { code, stdout } = await runNode([path.join('examples', 'transfer-digits.mjs'), '2']);
  expect(code).toBe(0);
  const rows = [...stdout.matchAll(/(\d+) epochs: fine-tuned ([\d.]+) %.*from scratch ([\d.]+) %/g)];
  expect(rows.map(([, epochs]) => Number(epochs))).toEqual([10, 20, 40]);
  const [first] = rows.map(([, , tuned, scratch]) => Number(tuned) - Number(scratch));
  expect(first).toBeGreaterThan(5);
});
