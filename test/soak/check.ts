import type * as library from '../../lib';

/** The package as the checks take it: a script has it compiled, a test as source. */
export type Package = typeof library;

/** How much of a check is done. */
export interface Dose {
  times: number;
  /** Decides whatever is random. */
  seed: number;
  /** Told how much has been done. */
  progress?: (done: number) => void;
}

/** What a check came to. */
export interface Outcome {
  /** What was tried, in the check's own unit. */
  done: number;
  /** Sentences on what was not as it should be; none is the aim. */
  faults: string[];
  /** What was measured or counted, by what it is called. */
  figures: Record<string, number | string>;
}

/** A row of docs/reliability.md: `npm run soak -- NAME`. */
export interface Check {
  name: string;
  /** What it does, in one sentence. */
  about: string;
  /** The long dose, which the page is about. */
  times: number;
  /** What `times` counts. */
  unit: string;
  run(library: Package, dose: Dose): Promise<Outcome>;
}

/** Numbers from 0 to below 1, by a linear congruential generator. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}

/** One of a list. */
export function pick<Value>(random: () => number, list: readonly Value[]): Value {
  return list[Math.floor(random() * list.length)] as Value;
}

/** Does work for each number from 0 to below `times`, so many side by side. */
export async function sideBySide(times: number, width: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const go = async (): Promise<void> => {
    while (next < times) await work(next++);
  };
  await Promise.all(Array.from({ length: width }, go));
}
