import { failedChecks } from './program';

/**
 * Several threads on the core without Node (concurrency_test.cc): what ThreadSanitizer watches in `npm run check:sanitizers`,
 * here for its results.
 */

const linux = process.platform === 'linux';

(linux ? describe : describe.skip)(`the core, with several threads${linux ? '' : ' (skipped: on Linux alone)'}`, () => {
  const failed = failedChecks('concurrency_test');

  it('runs what a model is asked for one after the other, and reading calls in the pauses of a run', () => {
    expect(failed(/worker|pauses|dispose|beside a run|change waits|run that is stopped/, 9)).toEqual([]);
  });

  it('trains models side by side as each alone, and streamed images as those in memory', () => {
    expect(failed(/side by side|streamed images|waits for images|switches|made at once|deterministic/, 7)).toEqual([]);
  });

  it('keeps files whole that several write, and one folder for one run', () => {
    expect(failed(/file that several|folder|checkpoints are whole/, 3)).toEqual([]);
  });

  it('holds in everything else', () => {
    expect(failed(/./, 18)).toEqual([]);
  });
});
