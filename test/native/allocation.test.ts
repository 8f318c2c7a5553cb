import { buildAndRun, type Check } from './program';

/**
 * Memory that runs out at every single place of a call (allocation_test.cc), which no limit of the system could bring about:
 * the call fails with ERR_OUT_OF_MEMORY and leaves everything as it was, and the next one works.
 */

const linux = process.platform === 'linux';

(linux ? describe : describe.skip)('memory that runs out at any place', () => {
  let all: Check[];
  beforeAll(async () => (all = await buildAndRun('allocation_test')), 600_000);

  const failed = (pattern: RegExp, atLeast: number) => {
    const chosen = all.filter(({ check }) => pattern.test(check));
    expect(chosen.length).toBeGreaterThanOrEqual(atLeast);
    return chosen.filter(({ held }) => !held);
  };

  it('leaves weights, statistics, optimizer and generators as they were before a step', () => {
    expect(failed(/step that is refused memory/, 16)).toEqual([]);
  });

  it('leaves the model as it was in every other call', () => {
    expect(failed(/^an? (prediction|state|heat map|evaluation|new classifier|load|run) that is refused/, 7)).toEqual(
      [],
    );
  });

  it('leaves no file, whole or unfinished', () => {
    expect(failed(/no file|unfinished/, 2)).toEqual([]);
  });
});
