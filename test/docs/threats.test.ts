import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../child';

const text = readFileSync(path.join(root, 'docs', 'threats.md'), 'utf8');

/** The rows of the table of limits: what, the limit, the constant's name, its file. */
const rows = [...text.matchAll(/^\| ([^|]+?) +\| ([\d,]+) +\| `([\w.]+)` +\| `([^`]+)` +\|$/gm)].map(
  ([, what, limit, name, file]) => ({ what, limit: Number(limit?.replaceAll(',', '')), name, file }) as Limit,
);

interface Limit {
  what: string;
  limit: number;
  name: string;
  file: string;
}

/** The number that a constant, or a field of one, has in a source. */
function valueOf(source: string, name: string): number | undefined {
  const [outer = '', field] = name.split('.');
  const start = source.search(new RegExp(`\\bconst ${outer}\\b`));
  const place = field ?? outer;
  const [, product] =
    new RegExp(`\\b${place}\\s*[=:]\\s*([\\d_]+(?:\\s*\\*\\s*[\\d_]+)*)`).exec(source.slice(start)) ?? [];
  return product?.split('*').reduce((value, factor) => value * Number(factor.replaceAll('_', '')), 1);
}

test.each(rows.map((row) => [row.what, row] as const))('the limit on %s is the one in the sources', (_, row) => {
  expect(valueOf(readFileSync(path.join(root, row.file), 'utf8'), row.name)).toBe(row.limit);
});

test('every limit that a parser of weights has is in the table', () => {
  expect(rows.length).toBeGreaterThan(20);
  const named = rows.map(({ name }) => name.replace('pickleLimits.', ''));
  const source = readFileSync(path.join(root, 'lib', 'weights', 'pickle.ts'), 'utf8');
  const [, limits = ''] = /pickleLimits = \{([^}]+)\}/.exec(source) ?? [];
  const fields = [...limits.matchAll(/^ {2}(\w+):/gm)].map(([, field]) => field as string);
  expect(fields.length).toBeGreaterThan(5);
  expect(fields.filter((field) => !named.includes(field))).toEqual([]);
});

test('the files that the threat page names are there', () => {
  const named = [...text.matchAll(/`((?:lib|native|test)\/[\w./-]+)`/g)].map(([, file]) => file as string);
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((file) => !existsSync(path.join(root, file)))).toEqual([]);
});
