import path from 'node:path';
import { runNode } from '../child';
import { exhaust, exhaustions, hasLimits } from '../soak/memory';

const limited = hasLimits();

/** Where every kernel is kept, V8 may end the process itself: that one is tried by `npm run soak -- memory` alone. */
const sure = exhaustions.filter(({ keepsKernels }) => keepsKernels !== true);

(limited ? describe : describe.skip)(
  `a process that is limited in its memory${limited ? '' : ' (skipped: this system has no prlimit)'}`,
  () => {
    it.each(sure.map((one) => [one.name, one] as const))(
      '%s, is told a batch that fits, and goes on as if nothing had been',
      async (_, exhaustion) => expect(await exhaust(exhaustion, 5)).toEqual([]),
      300_000,
    );

    it('whose results leave no memory for another is told so, and goes on once they are let go', async () => {
      const { code, signal, stdout, stderr } = await runNode(['--expose-gc', path.join(__dirname, 'hoard.js')]);
      if (code !== 0) throw new Error(`the process ended with ${code ?? signal}: ${stderr}`);
      expect(JSON.parse(stdout)).toEqual({ refused: 'ERR_OUT_OF_MEMORY', lengths: [1e6], again: 1e6 });
    });
  },
);
