import path from 'node:path';
import { root, runNode } from '../child';

/** What `npm run docs:api` checks, without the pages: see typedoc.json. */
test('everything public has a docstring, every type in it is exported, and no link in it leads nowhere', async () => {
  const typedoc = path.join(root, 'node_modules', 'typedoc', 'bin', 'typedoc');
  const { code, signal, stdout, stderr } = await runNode([typedoc, '--emit', 'none']);
  expect({ code, signal, said: stdout + stderr }).toMatchObject({ code: 0, signal: null });
}, 180_000);
