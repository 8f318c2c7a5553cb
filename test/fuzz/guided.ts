import { fuzzTargets, isRight, outcomeOf } from './parsers';

// What a coverage-guided fuzzer runs: scripts/fuzz-guided.js bundles it, and names the parser in PARSER.

const target = fuzzTargets().find(({ name }) => name === process.env['PARSER']);

/** Throws where the parser did what it may not. */
export async function fuzz(bytes: Buffer): Promise<void> {
  if (target === undefined) throw new Error(`There is no parser ${process.env['PARSER']}.`);
  const outcome = await outcomeOf(target, bytes);
  if (!isRight(outcome)) throw new Error(outcome);
}
