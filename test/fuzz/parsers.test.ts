import { mutate, Random } from './mutate';
import { fuzz, fuzzTargets } from './parsers';

const targets = fuzzTargets();

test.each(targets)(
  '2,000 random files for the parser of $name: taken or refused with a code, each within 1 s',
  async (target) => {
    const { faults, taken, refused } = await fuzz(target, 1, 2000);
    expect(faults).toEqual([]);
    expect(taken + Object.values(refused).reduce((sum, count) => sum + count, 0)).toBe(2000);
    // A fuzzer whose every file is refused at its first byte, or none at all, would test nothing.
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThan(1900);
  },
);

test('one seed and number always make the same file', () => {
  const seeds = targets[0]!.seeds;
  const make = (index: number) => mutate(new Random(7, index), seeds).toString('hex');
  expect(make(3)).toBe(make(3));
  expect(new Set(Array.from({ length: 50 }, (_, index) => make(index))).size).toBeGreaterThan(45);
});
