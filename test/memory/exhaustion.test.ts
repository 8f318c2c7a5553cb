import { execFileSync } from 'node:child_process';
import path from 'node:path';
import type { CreateOptions } from '../../lib';
import { runNode } from '../child';

interface Failure {
  code: string;
  message: string;
}

interface Outcome {
  tooLarge: number;
  found: { refused?: Failure; unchanged: boolean; fitting: number; again?: Failure; copied?: Failure }[];
  losses: number[];
  expected: number[];
}

function hasLimits(): boolean {
  try {
    execFileSync('prlimit', ['--version']);
    return process.platform === 'linux';
  } catch {
    return false;
  }
}

const limited = hasLimits();
const network: CreateOptions = { growthRate: 12, blockConfig: [6, 6], stem: 'cifar', inChannels: 3, numClasses: 3 };
const rounds = 5;

async function exhaust(options: CreateOptions, excess: number): Promise<Outcome> {
  const plan = { options: { ...network, ...options }, size: 32, spare: 300e6, excess, rounds };
  const { code, signal, stdout, stderr } = await runNode([path.join(__dirname, 'exhaust.js'), JSON.stringify(plan)]);
  if (code !== 0) throw new Error(`the process ended with ${code ?? signal}: ${stderr}`);
  return JSON.parse(stdout) as Outcome;
}

(limited ? describe : describe.skip)(
  `a process that is limited in its memory${limited ? '' : ' (skipped: this system has no prlimit)'}`,
  () => {
    it.each([
      ['runs out in the middle of a step', { memory: 'fast' }, 1.3],
      ['runs out when the 1×1 convolutions are done again', { memory: 'efficient' }, 1.3],
      ['runs out with dropout in the middle of the network', { memory: 'fast', dropRate: 0.2 }, 1.3],
      ['runs out module by module', { implementation: 'reference' }, 2.6],
      ['is refused a step that can never fit, before it begins', { memory: 'auto' }, 20],
    ] as [string, CreateOptions, number][])(
      '%s, is told a batch that fits, and goes on as if nothing had been',
      async (_, options, excess) => {
        const { tooLarge, found, losses, expected } = await exhaust(options, excess);
        expect(found).toHaveLength(rounds);
        for (const { refused, unchanged, fitting, again, copied } of found) {
          expect(refused?.code).toBe('ERR_OUT_OF_MEMORY');
          expect(refused?.message).toContain(`${tooLarge} images of 32×32`);
          expect(unchanged).toBe(true);
          // Not a batch so small that it fits anywhere, and one that does fit.
          expect(fitting).toBeGreaterThan(tooLarge / excess / 4);
          expect(fitting).toBeLessThan(tooLarge);
          expect(again).toBeUndefined();
          expect(copied?.code).toBe('ERR_OUT_OF_MEMORY');
        }
        expect(losses).toHaveLength(2 * rounds + 1);
        expect(losses).toEqual(expected);
      },
      300_000,
    );
  },
);
