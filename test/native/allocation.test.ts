import { failedChecks } from './program';

/**
 * Memory that runs out at every single place of a call (allocation_test.cc), which no limit of the system could bring about:
 * the call fails with ERR_OUT_OF_MEMORY and leaves everything as it was, and the next one works.
 */

const linux = process.platform === 'linux';

(linux ? describe : describe.skip)(
  `memory that runs out at any place${linux ? '' : ' (skipped: on Linux alone)'}`,
  () => {
    const failed = failedChecks('allocation_test');

    it('leaves weights, statistics, optimizer and generators as they were before a step', () => {
      expect(failed(/step that is refused memory/, 16)).toEqual([]);
    });

    it('leaves the model as it was in every other call', () => {
      expect(failed(/^an? (prediction|state|heat map|evaluation|new classifier|load|run) that is refused/, 7)).toEqual(
        [],
      );
    });

    it('is told from other errors of libraries', () => {
      expect(failed(/^the (code of|words for) /, 18)).toEqual([]);
    });

    it('leaves no file, whole or unfinished', () => {
      expect(failed(/no file|unfinished/, 2)).toEqual([]);
    });
  },
);
