import { failedChecks } from './program';

/**
 * The CUDA part where there is no GPU: each kernel, compiled for the host and run thread by thread, against the same in
 * plain ATen; and the dense block's operator on both, against the module-by-module reference.
 */
describe('the CUDA engine without a GPU', () => {
  const failed = failedChecks('cuda_test', 900_000);

  const kernels = ['append', 'correct', 'norm_relu', 'norm_relu_backward', 'prepare_norm'];
  it.each([...kernels, 'norm_relu_pool', 'norm_relu_pool_backward'])(
    'computes in the kernel %s what plain ATen does, in float, bfloat16 and half',
    (kernel) => {
      for (const type of ['Float', 'BFloat16', 'Half'])
        expect(failed(new RegExp(`^kernel ${kernel}\\b.*, ${type}$`), 7)).toEqual([]);
    },
  );

  it('keeps a small variance beside a large mean', () => {
    expect(failed(/far from zero/, 2)).toEqual([]);
  });

  it('gives the same bits whichever thread of a block has the first turn, so that no barrier is missing', () => {
    expect(failed(/^order of threads/, 200)).toEqual([]);
  });

  it('has the gradients, statistics and outputs of the reference in double precision', () => {
    expect(failed(/operator in double precision/, 40)).toEqual([]);
  });

  it('is as near to them on the kernels themselves as the reference is', () => {
    expect(failed(/operator on the kernels/, 20)).toEqual([]);
  });

  it('repeats bit for bit, whether it keeps the 1×1 convolutions or does them again', () => {
    expect(failed(/operator repeats/, 20)).toEqual([]);
  });

  it('brings batches ahead of time in their order, and reads its switches', () => {
    expect(failed(/^prefetch|^switches/, 5)).toEqual([]);
  });

  it('checks itself: sound kernels pass, and a fault is named', () => {
    expect(failed(/^self-check passes/, 3)).toEqual([]);
    expect(failed(/^self-check names a fault: \w/, 3)).toEqual([]);
  });
});
