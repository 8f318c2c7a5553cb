import { failedChecks } from './program';

/**
 * The core's engine against the module-by-module reference, in double precision and with every instruction set that this
 * processor has. The checks are a program of their own (engine_test.cc), since nobody computes in double precision from
 * JavaScript.
 */

describe('the engine', () => {
  const failed = failedChecks('engine_test');

  it('has the gradients, statistics and outputs of the reference in double precision', () => {
    expect(failed(/double precision/, 16)).toEqual([]);
  });

  it('is as near to them in single precision as the reference is, on portable kernels', () => {
    expect(failed(/float, portable/, 16)).toEqual([]);
  });

  it('is as near to them on every instruction set of this processor', () => {
    expect(failed(/: float, /, 16)).toEqual([]);
  });

  it('repeats bit for bit, whether it keeps the 1×1 convolutions or does them again', () => {
    expect(failed(/bit for bit/, 16)).toEqual([]);
  });

  it('gives the same bits on one thread and on several', () => {
    expect(failed(/number of threads/, 16)).toEqual([]);
  });
});
