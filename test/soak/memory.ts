import { execFileSync } from 'node:child_process';
import path from 'node:path';
import type { CreateOptions } from '../../lib';
import { runNode, type Ended } from '../child';
import type { Dose, Outcome } from './check';

/** Processes that are limited in their memory, and run out of it again and again: `npm run soak -- memory`. */

interface Failure {
  code: string;
  message: string;
}

/** What exhaust.js prints: of each round, what its calls were refused with. */
interface Found {
  tooLarge: number;
  found: {
    refused?: Failure;
    unchanged: boolean;
    fitting: number;
    again?: Failure;
    copied?: Failure;
    evaluated?: Failure;
  }[];
  losses: number[];
  expected: number[];
}

/** A way to run out of memory. */
export interface Exhaustion {
  name: string;
  options: CreateOptions;
  /** How many times the memory that there is, a step takes. */
  excess: number;
  /**
   * Whether libtorch's oneDNN keeps all kernels that it compiles, 1,024 at most: see `few`. They leave V8 nothing, which then
   * ends about three of ten processes within five rounds. So this is for the long dose alone.
   */
  keepsKernels?: true;
}

export const exhaustions: readonly Exhaustion[] = [
  { name: 'runs out in the middle of a step', options: { memory: 'fast' }, excess: 1.3 },
  { name: 'runs out when the 1×1 convolutions are done again', options: { memory: 'efficient' }, excess: 1.3 },
  {
    name: 'runs out with dropout in the middle of the network',
    options: { memory: 'fast', dropRate: 0.2 },
    excess: 1.3,
  },
  { name: 'runs out module by module', options: { implementation: 'reference' }, excess: 2.6 },
  {
    name: 'runs out module by module, with every kernel kept',
    options: { implementation: 'reference' },
    excess: 2.6,
    keepsKernels: true,
  },
  { name: 'is refused a step that can never fit, before it begins', options: { memory: 'auto' }, excess: 20 },
];

const network: CreateOptions = { growthRate: 12, blockConfig: [6, 6], stem: 'cifar', inChannels: 3, numClasses: 3 };

/**
 * libtorch's own convolutions compile a kernel for each layer and each shape, of about 1 MB, and oneDNN keeps the last 1,024.
 * Here, where each round has a batch of its own, they would soon be all the memory that there is: then nothing but a batch
 * that was seen before has a chance, and no advice is to be had. So but for one check it keeps few.
 */
const few = { ONEDNN_PRIMITIVE_CACHE_CAPACITY: '4' };

/** Whether this system can limit a process. */
export function hasLimits(): boolean {
  try {
    execFileSync('prlimit', ['--version']);
    return process.platform === 'linux';
  } catch {
    return false;
  }
}

/**
 * In each round a step and a copy of images are refused for want of memory, and so may be a prediction for as many images
 * (which takes less); a step of the size that the message tells and a small one have to work, and to give what they give a
 * process with all the memory there is. Returns what was otherwise.
 */
export async function exhaust({ options, excess, keepsKernels }: Exhaustion, rounds: number): Promise<string[]> {
  const plan = { options: { ...network, ...options }, size: 32, spare: 300e6, excess, rounds };
  const program = path.join(__dirname, '..', 'memory', 'exhaust.js');
  const env = keepsKernels ? {} : few;
  let ended = await runNode([program, JSON.stringify(plan)], { env });
  // Where V8 itself asks for memory while a step has it all, V8 ends the process: nobody's fault here, and rare. Its garbage
  // collector does not look whether it got memory for its lists, and ends with SIGSEGV where the memory stays full. Three such
  // ends in a row are said all the same.
  const endedByV8 = ({ signal, stderr }: Ended): boolean =>
    /FATAL ERROR: .*out of memory/.test(stderr) || (keepsKernels === true && signal === 'SIGSEGV');
  for (let more = 0; more < 2 && endedByV8(ended); more += 1)
    ended = await runNode([program, JSON.stringify(plan)], { env });
  const { code, signal, stdout, stderr } = ended;
  if (code !== 0) return [`the process ended with ${code ?? signal}: ${stderr}`];
  const { tooLarge, found, losses, expected } = JSON.parse(stdout) as Found;
  const faults: string[] = [];
  const expectThat = (holds: boolean, round: number, fault: string): void => {
    if (!holds) faults.push(`round ${round + 1}: ${fault}`);
  };
  const noMemory = (failure?: Failure): boolean => failure?.code === 'ERR_OUT_OF_MEMORY';
  for (const [round, { refused, unchanged, fitting, again, evaluated, copied }] of found.entries()) {
    expectThat(noMemory(refused), round, `the step was answered with ${JSON.stringify(refused)}`);
    expectThat(refused?.message.includes(`${tooLarge} images of 32×32`) ?? false, round, String(refused?.message));
    expectThat(unchanged, round, 'the step that was refused left traces');
    // Not a batch so small that it fits anywhere, and one that does fit.
    const sound = fitting < tooLarge && fitting > (keepsKernels ? -1 : tooLarge / excess / 4);
    expectThat(sound, round, `a batch of ${fitting} was said to fit, where ${tooLarge} is too large`);
    const fitted = again === undefined || (keepsKernels === true && noMemory(again));
    expectThat(fitted, round, `the batch that was said to fit was answered with ${JSON.stringify(again)}`);
    const evaluable = evaluated === undefined || noMemory(evaluated);
    expectThat(evaluable, round, `a prediction was answered with ${JSON.stringify(evaluated)}`);
    expectThat(noMemory(copied), round, `the copy was answered with ${JSON.stringify(copied)}`);
  }
  const refusedAgain = found.filter(({ again, fitting }) => again !== undefined || fitting === 0).length;
  if (found.length !== rounds || losses.length !== 2 * rounds + 1 - refusedAgain)
    faults.push(`${found.length} rounds and ${losses.length} steps were done of ${rounds} and ${2 * rounds + 1}`);
  if (JSON.stringify(losses) !== JSON.stringify(expected)) faults.push('the losses are not those of enough memory');
  return faults;
}

/** So many rounds, shared among all ways to run out of memory. */
export async function exhaustMemory(dose: Dose): Promise<Outcome> {
  const each = Math.ceil(dose.times / exhaustions.length);
  const faults: string[] = [];
  let done = 0;
  for (const exhaustion of exhaustions) {
    // Memory that is full of kernels stays full, and V8 has a share of it at the start alone.
    const rounds = exhaustion.keepsKernels ? Math.min(each, 3) : each;
    const found = await exhaust(exhaustion, rounds);
    faults.push(...found.map((fault) => `a process ${exhaustion.name}: ${fault}`));
    done += rounds;
    dose.progress?.(done);
  }
  return { done, faults, figures: { 'refused calls': 2 * done } };
}
