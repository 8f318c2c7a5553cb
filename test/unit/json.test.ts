import { findDuplicateKey } from '../../lib/weights/json';

const duplicateOf = (text: string): string | undefined => findDuplicateKey(Buffer.from(text));

test.each([
  ['{}'],
  ['[]'],
  ['7'],
  ['{"a":1,"b":2}'],
  ['{"a":{"a":1},"b":{"a":2}}'],
  ['[{"a":1},{"a":2}]'],
  ['{"a":["a","a"],"b":"a"}'],
  ['{"a":"a","b":"{\\"a\\":1,\\"a\\":2}"}'],
  ['{"A":1,"a":2," a":3}'],
  ['{"a\\"":1,"a":2,"a\\\\":3}'],
  ['{"":1,"x":""}'],
  ['{"__proto__":1,"constructor":2,"toString":3}'],
])('%s has no key twice', (text) => {
  expect(duplicateOf(text)).toBeUndefined();
  expect(() => JSON.parse(text) as unknown).not.toThrow();
});

test.each([
  ['{"a":1,"a":1}', 'a'],
  ['{"a":1,"b":2,"a":3}', 'a'],
  ['{"x":{"y":{"a":1,"a":2}}}', 'a'],
  ['[1,[{"a":1,"a":2}]]', 'a'],
  ['{"a":{"b":1},"a":2}', 'a'],
  ['{"a":[{"b":1}],"c":1,"a":2}', 'a'],
  ['{"a":1,"\\u0061":2}', 'a'],
  ['{"a/b":1,"a\\/b":2}', 'a/b'],
  ['{"":1,"":2}', ''],
  ['{"é":1,"\\u00e9":2}', 'é'],
  ['{"__proto__":1,"__proto__":2}', '__proto__'],
  ['{ "a" \n:\t1 ,\r\n "a" : 2 }', 'a'],
  ['{"a":"}","a":"{"}', 'a'],
  ['{"a\\"b":1,"a\\"b":2}', 'a"b'],
])('%s has a key twice', (text, key) => {
  expect(duplicateOf(text)).toBe(key);
  expect(() => JSON.parse(text) as unknown).not.toThrow();
});

test('the space between a key and its colon may be of any length', () => {
  const space = ' '.repeat(1000);
  expect(duplicateOf(`{"a"${space}:1,"a"${space}:2}`)).toBe('a');
  expect(duplicateOf(`{"a"${space}:1,"b"${space}:2}`)).toBeUndefined();
});

test('a text within it may be of any length', () => {
  const long = 'x'.repeat(20_000_000);
  expect(duplicateOf(`{"note":"${long}","a":1,"a":2}`)).toBe('a');
});

test('it may be nested to any depth', () => {
  const depth = 100_000;
  expect(duplicateOf(`{"x":${'['.repeat(depth)}{"a":1,"a":2}${']'.repeat(depth)}}`)).toBe('a');
});
