import { findDuplicateKey, findExcess } from '../../lib/weights/json';

const duplicate = (text: string): string | undefined => {
  JSON.parse(text);
  return findDuplicateKey(Buffer.from(text));
};

test.each([
  ['{"a":1,"a":2}', 'a'],
  ['{"a":1,"\\u0061":2}', 'a'],
  ['{"x":{"b":1},"y":{"c":1 , "c"\n:2}}', 'c'],
  ['[{"a":1},{"d":[{"e":1,"e":1}]}]', 'e'],
  ['{"":1,"":2}', ''],
  ['{"\\"":1,"\\"":2}', '"'],
  ['{"ü":1,"ü":2}', 'ü'],
])('%s has a key twice', (text, key) => {
  expect(duplicate(text)).toBe(key);
});

test.each([
  '{"a":{"a":{"a":1}}}',
  '[{"a":1},{"a":1}]',
  '{"a":"a","b":"a"}',
  '{"a":"b\\":","b":1}',
  '{"a\\\\":"","a":""}',
  '["a","a"]',
])('%s has none', (text) => expect(duplicate(text)).toBeUndefined());

test('nesting and the number of values are bounded, those within texts not counted', () => {
  expect(findExcess(Buffer.from('[[[[[[[[]]]]]]]]'))).toBeUndefined();
  expect(findExcess(Buffer.from('[[[[[[[[['))).toMatch(/8 levels/);
  expect(findExcess(Buffer.from(`["${'[{,'.repeat(500_000)}"]`))).toBeUndefined();
  expect(findExcess(Buffer.from(`["\\"${'[{,'.repeat(500_000)}"]`))).toBeUndefined();
  expect(findExcess(Buffer.from(`[${'1,'.repeat(400_000)}1]`))).toMatch(/400000 values/);
});
