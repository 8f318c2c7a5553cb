import { readFileSync } from 'node:fs';
import path from 'node:path';
import { root, runNode } from '../child';

/** What `npm run docs:api` checks, without the pages: see typedoc.json. */
test('everything public has a docstring, every type in it is exported, and no link in it leads nowhere', async () => {
  const typedoc = path.join(root, 'node_modules', 'typedoc', 'bin', 'typedoc');
  const { code, signal, stdout, stderr } = await runNode([typedoc, '--emit', 'none']);
  expect({ code, signal, said: stdout + stderr }).toMatchObject({ code: 0, signal: null });
}, 180_000);

test('every entry of the package is in the reference', () => {
  const read = (name: string): unknown => JSON.parse(readFileSync(path.join(root, name), 'utf8'));
  const { exports: entries } = read('package.json') as {
    exports: Record<string, string | { require: { default: string } }>;
  };
  const sources = Object.values(entries).flatMap((entry) =>
    typeof entry === 'string' ? [] : [entry.require.default.replace(/^\.\/dist\/(.+)\.js$/, 'lib/$1.ts')],
  );
  expect((read('typedoc.json') as { entryPoints: string[] }).entryPoints).toEqual(sources);
});
