import { copyFile, readdir, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { addonFolders } from '../../lib/runtime/cores';
import { findDamage } from '../../lib/runtime/damage';
import { root } from '../child';
import { temporaryFolder } from './fakes';

const folder = temporaryFolder();
const at = (name: string) => path.join(folder(), name);

/** Libraries as compilers and `strip` leave them. */
async function libraries(): Promise<string[]> {
  const found: string[] = [];
  for (const place of addonFolders(root))
    for (const name of await readdir(place).catch(() => []))
      if (/\.(so|node)$/.test(name)) found.push(path.join(place, name));
  return found;
}

test('libraries that are whole have no fault', async () => {
  const found = await libraries();
  expect(found.length).toBeGreaterThanOrEqual(2);
  for (const file of found) expect(await findDamage(file)).toBeUndefined();
});

test.each([6, 63, 64, 500, 4096, 0.5, -64, -1])(
  'a library of which %p bytes are left is named with both sizes',
  async (left) => {
    for (const file of await libraries()) {
      const { size } = await stat(file);
      const kept = left < 0 ? size + left : left < 1 ? Math.floor(size * left) : left;
      await copyFile(file, at('cut'));
      await truncate(at('cut'), kept);
      const fault = await findDamage(at('cut'));
      expect(fault).toMatch(new RegExp(`cut was cut short: it has ${kept} of at least \\d+ bytes$`));
      expect(Number(/(\d+) bytes$/.exec(fault as string)?.[1])).toBeGreaterThan(kept);
    }
  },
);

test.each([
  ['an empty file', ''],
  ['text', 'this is no library'],
  ['the beginning of its first word', '\x7fELF'],
])('%s is left to the system, which says what it is not', async (_, text) => {
  await writeFile(at('other'), text, 'latin1');
  expect(await findDamage(at('other'))).toBeUndefined();
});

test('a header whose numbers are beyond all sense does no harm', async () => {
  const header = Buffer.alloc(64, 0xff);
  header.write('\x7fELF\x02\x01', 'latin1');
  await writeFile(at('odd'), header);
  expect(await findDamage(at('odd'))).toMatch(/was cut short: it has 64 of at least \d+ bytes/);
});

test('a file that is not there has no fault of this kind', async () => {
  expect(await findDamage(at('nowhere'))).toBeUndefined();
});
