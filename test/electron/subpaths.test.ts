import { readFileSync } from 'node:fs';
import path from 'node:path';
import { root, runNode } from '../child';

// By the package's own name, as users have it.

const calls = {
  electron: 'HostProcess',
  'electron/host': 'serveHost',
  'electron/client': 'connect',
};

test.each(Object.entries(calls))('libtorch-densenet/%s gives %s to require and to import', async (subpath, call) => {
  const name = `libtorch-densenet/${subpath}`;
  const show = `console.log(typeof library.${call}, typeof library.DenseNetError)`;
  const required = await runNode(['-e', `const library = require('${name}'); ${show}`]);
  const imported = await runNode(['--input-type=module', '-e', `import * as library from '${name}'; ${show}`]);
  for (const ended of [required, imported])
    expect(ended).toEqual({ code: 0, signal: null, stdout: 'function function\n', stderr: '' });
});

test('the client for pages is one module that imports nothing', () => {
  const text = readFileSync(path.join(root, 'dist', 'electron', 'client.mjs'), 'utf8');
  expect(text).toContain('export {');
  expect(text).not.toMatch(/^import |\brequire\(|\bimport\(/m);
  expect(text).not.toMatch(/\bprocess\.(?!connected|send|disconnect|on\()|\bBuffer\b|__dirname/);
});

test("the main process's part loads no part of the library that is native or large", async () => {
  const program =
    "require('libtorch-densenet/electron'); console.log(Object.keys(require.cache).filter((file) => /load\\.js|sharp|densenet\\.js|ajv/.test(file)).length)";
  expect((await runNode(['-e', program])).stdout).toBe('0\n');
});
