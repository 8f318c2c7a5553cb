import { readFile, readdir, readlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { unpack, unpackedBytes } from '../../lib/runtime/install/unpack';
import { expectRefusal, temporaryFolder } from '../unit/support';
import { zip, type EntryParts } from '../weights/build-zip';

const inFolder = temporaryFolder();
let archives = 0;

/** An archive as made on Unix, whose entries of these names are links to what they hold. */
async function write(entries: EntryParts[], links: string[] = []): Promise<{ file: string; folder: string }> {
  const bytes = zip(entries);
  for (let at = bytes.indexOf('PK\x01\x02'); at >= 0; at = bytes.indexOf('PK\x01\x02', at + 1)) {
    const name = bytes.toString('utf8', at + 46, at + 46 + bytes.readUInt16LE(at + 28));
    bytes.writeUInt16LE((3 << 8) | 20, at + 4);
    bytes.writeUInt32LE(((links.includes(name) ? 0o120777 : 0o100644) << 16) >>> 0, at + 38);
  }
  const file = inFolder(`${(archives += 1)}.zip`);
  await writeFile(file, bytes);
  return { file, folder: inFolder(`out${archives}`) };
}

const entry = (name: string, content: string): EntryParts => ({ name, content: Buffer.from(content) });
const all = (name: string): string => name;

test('files, folders and links inside are unpacked, and what is not chosen is left out', async () => {
  const entries = [
    entry('lib/', ''),
    entry('lib/a.so.1', 'library'),
    entry('lib/a.so', 'a.so.1'),
    entry('share/x', 'no'),
  ];
  const { file, folder } = await write(entries, ['lib/a.so']);
  const choose = (name: string): string | undefined => (name.startsWith('lib/') ? name : undefined);
  let written = 0;
  await unpack(file, folder, choose, { progress: (bytes) => (written += bytes) });
  expect((await readdir(folder, { recursive: true })).sort()).toEqual(['lib', 'lib/a.so', 'lib/a.so.1']);
  expect(await readlink(path.join(folder, 'lib/a.so'))).toBe('a.so.1');
  expect(await readFile(path.join(folder, 'lib/a.so'), 'utf8')).toBe('library');
  expect(written).toBe(13);
  expect(await unpackedBytes(file, choose)).toBe(13);
});

test.each(['/etc/passwd', '../../outside', 'sub\\..\\..\\outside'])(
  'a link that leads out of its folder is refused: %s',
  async (target) => {
    const { file, folder } = await write([entry('lib/a.so', target)], ['lib/a.so']);
    await expectRefusal(() => unpack(file, folder, all), 'ERR_FILE_FORMAT', 'leads out of its folder');
    expect(await readdir(path.join(folder, 'lib'))).toEqual([]);
  },
);

test('a name that leads out of the folder is refused', async () => {
  const { file, folder } = await write([entry('../outside', 'x')]);
  await expectRefusal(() => unpack(file, folder, all), 'ERR_FILE_FORMAT', '../outside');
});

test('an entry without the checksum that it gives is refused', async () => {
  const { file, folder } = await write([{ ...entry('a', 'content'), central: { crc: 7 }, local: { crc: 7 } }]);
  await expectRefusal(() => unpack(file, folder, all), 'ERR_FILE_FORMAT', 'does not have the checksum');
});

test('what is in the way of a folder is ERR_FILE', async () => {
  const { file, folder } = await write([entry('lib/a', 'x')]);
  await writeFile(folder, 'a file');
  await expectRefusal(() => unpack(file, folder, all), 'ERR_FILE', 'cannot be unpacked');
});

test('it ends when it is told to', async () => {
  const { file, folder } = await write([entry('a', 'x')]);
  await expect(unpack(file, folder, all, { signal: AbortSignal.abort() })).rejects.toMatchObject({
    name: 'AbortError',
  });
});
