import { readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../child';

const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const sorted = (codes: Iterable<string>): string[] => [...codes].sort();

/** The codes that `ErrorCode` is made of, each with its comment. */
const defined = new Map(
  [...read('lib/errors.ts').matchAll(/\/\*\*\s*([^*]+?)\s*\*\/\s*\|\s*'(ERR_[A-Z_]+)'/g)].map(([, meaning, code]) => [
    code as string,
    meaning as string,
  ]),
);
/** What the guide says, by its headings. */
const sections = read('docs/guides/troubleshooting.md')
  .split(/^#{2,3} /m)
  .slice(1)
  .map((section) => ({ heading: section.slice(0, section.indexOf('\n')), text: section.slice(section.indexOf('\n')) }))
  .filter(({ heading }) => heading.startsWith('ERR_'));

test('every code has a comment that says what it means', () => {
  const [, union = ''] = /export type ErrorCode =([\s\S]+?');/.exec(read('lib/errors.ts')) ?? [];
  expect(sorted(defined.keys())).toEqual(
    sorted([...union.matchAll(/'(ERR_[A-Z_]+)'/g)].map(([, code]) => code as string)),
  );
  expect(defined.size).toBeGreaterThan(20);
});

test('the troubleshooting guide has a section for each code that lib/errors.ts defines, and for no other', () => {
  expect(sorted(sections.map(({ heading }) => heading))).toEqual(sorted(defined.keys()));
});

test.each(sections.map(({ heading, text }) => [heading, text]))(
  'the section of %s says enough to act on',
  (_, text) => {
    expect(text.trim().split(/\s+/).length).toBeGreaterThan(20);
  },
);

test('the codes of native code are among them', () => {
  const native = [...read('native/core/error.h').matchAll(/"(ERR_[A-Z_]+)"/g)].map(([, code]) => code as string);
  expect(native.length).toBeGreaterThan(10);
  expect(native.filter((code) => !defined.has(code))).toEqual([]);
});
