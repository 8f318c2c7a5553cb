import { DenseNetError } from '../../lib';
import { goodFiles, hostileFiles } from '../hostile/checkpoint-corpus';
import { SLOW_MS } from '../hostile/slow';
import { readBytes } from './read';

const corpus = hostileFiles();

test('the corpus has at least 60 files, each with a name of its own', () => {
  expect(new Set(corpus.map(({ name }) => name)).size).toBe(corpus.length);
  expect(corpus.length).toBeGreaterThanOrEqual(60);
});

test.each(goodFiles())('the file that the corpus is made from is read, $name', async ({ bytes }) => {
  const { entries } = await readBytes(bytes);
  expect(entries.map(({ name, shape, bytes: length }) => ({ name, shape, length }))).toEqual([
    { name: 'w', shape: [2, 3], length: 24 },
  ]);
});

test.each(corpus)('refuses $name', async ({ bytes, why }) => {
  const before = process.cpuUsage();
  const error: unknown = await readBytes(bytes).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  // Of the processor's time: the machine may have other work.
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1000).toBeLessThan(SLOW_MS);
  expect(error).toBeInstanceOf(DenseNetError);
  expect((error as DenseNetError).code).toBe('ERR_FILE_FORMAT');
  expect((error as DenseNetError).message).toMatch(why);
});

test.each(goodFiles())('refuses $name cut short at every byte', async ({ bytes }) => {
  for (let length = 0; length < bytes.length; length += 1)
    expect([length, await codeOf(bytes.subarray(0, length))]).toEqual([length, 'ERR_FILE_FORMAT']);
});

async function codeOf(bytes: Buffer): Promise<string> {
  try {
    await readBytes(bytes);
    return 'read';
  } catch (error) {
    return error instanceof DenseNetError ? error.code : String(error);
  }
}

test('nothing that a hostile file says reaches the prototype of objects', () => {
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});
