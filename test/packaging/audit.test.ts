import { readFileSync } from 'node:fs';
import path from 'node:path';
import { faultsOf, readAnswer } from '../../scripts/audit';
import { root } from '../child';

type Manifest = Parameters<typeof faultsOf>[0];
type Lock = Parameters<typeof faultsOf>[1];

const read = (name: string): unknown => JSON.parse(readFileSync(path.join(root, name), 'utf8'));
const pinned: Manifest = { scripts: { test: 'jest' }, dependencies: { sharp: '0.35.5' } };
const locked: Lock = { packages: { '': {}, 'node_modules/sharp': { version: '0.35.5', integrity: 'sha512-…' } } };

test('the packages of this one are pinned, have their hashes, and run no script at installation', () => {
  expect(faultsOf(read('package.json') as Manifest, read('package-lock.json') as Lock)).toEqual([]);
});

describe('a fault is', () => {
  test.each<[string, Manifest, Lock, string]>([
    [
      'a range of versions',
      { dependencies: { sharp: '^0.35.5' } },
      locked,
      'sharp is not pinned to one version: ^0.35.5',
    ],
    ['a development package from anywhere', { devDependencies: { jest: 'latest' } }, locked, 'jest is not pinned'],
    ['a script of our own', { scripts: { postinstall: 'node x' } }, locked, 'has a script "postinstall"'],
    ['a package without a hash', pinned, { packages: { 'node_modules/a': {} } }, 'node_modules/a has no hash'],
    [
      'a script of a package that a user gets',
      pinned,
      { packages: { 'node_modules/a': { integrity: 'x', hasInstallScript: true } } },
      'node_modules/a runs a script',
    ],
  ])('%s', (_, manifest, lock, fault) => {
    expect(faultsOf(manifest, lock)).toEqual([expect.stringContaining(fault)]);
  });

  test('not a script of a development package, or a link', () => {
    const others = {
      'node_modules/a': { integrity: 'x', dev: true, hasInstallScript: true },
      'node_modules/b': { link: true },
    };
    expect(faultsOf(pinned, { packages: { ...locked.packages, ...others } })).toEqual([]);
  });
});

describe('what npm answers is', () => {
  test('no advisory', () => {
    expect(readAnswer('{"auditReportVersion":2,"vulnerabilities":{},"metadata":{}}')).toEqual({ advisories: [] });
  });

  test('an advisory, by its package', () => {
    const vulnerabilities = { a: { name: 'a', severity: 'high', range: '<1.2.0' } };
    expect(readAnswer(JSON.stringify({ vulnerabilities }))).toEqual({ advisories: ['a <1.2.0: high'] });
  });

  test.each([
    ['an error', '{"error":{"code":"ENOAUDIT","summary":"This registry has none"}}', 'This registry has none'],
    ['a message', '{"message":"404 Not Found - POST","statusCode":404}', '404 Not Found - POST'],
    ['something that is no JSON', 'npm ERR! code X\nnpm ERR! network down', 'npm ERR! network down'],
    ['nothing', '', 'npm said nothing'],
  ])('no answer, where it is %s', (_, output, unanswered) => {
    expect(readAnswer(output)).toEqual({ unanswered });
  });
});
