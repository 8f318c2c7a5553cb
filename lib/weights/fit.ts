import { adaptInput, hasOtherClasses, isClassifier, type Target } from './adapt';
import type { TensorEntry } from './tensor-entry';

/** What became of each tensor. The four lists share no name. */
export interface LoadReport {
  /** Names that were taken from the file as they are. */
  matched: string[];
  /** Names of the model that the file does not have, or has in another shape; they stayed as they were. */
  missing: string[];
  /** The file's own names of what the model does not have, or has in another shape. */
  unexpected: string[];
  /**
   * Names that were made to fit: filters summed or repeated by `adaptInput`; the classifier, which `adaptClassifier` left
   * as the model has it; batch norms' `num_batches_tracked`, which old files do not have and which is then 0.
   */
  adapted: string[];
}

/** Which tensors a model takes from a file, and what becomes of the others. */
export interface Fit {
  report: LoadReport;
  /** What is read, under the model's names. */
  taken: TensorEntry[];
  /** The model's names of counters that are set to 0. */
  zeros: string[];
  /** Sentences about tensors of another shape. */
  misfits: string[];
}

export interface FitOptions {
  adaptInput: boolean;
  adaptClassifier: boolean;
}

/** A batch norm's count of batches; it decides nothing in evaluation, and with a momentum nothing in training. */
const counter = '.num_batches_tracked';

/**
 * Matches a file's tensors with a model's, by name and shape.
 *
 * @param own The model's tensors, in order.
 * @param entries The file's, under the file's names.
 * @param names The model's name of each of the file's.
 */
export function fitTensors(
  own: readonly Target[],
  entries: readonly TensorEntry[],
  names: ReadonlyMap<string, string>,
  options: FitOptions,
): Fit {
  const targets = new Map(own.map((target) => [target.name, target]));
  const found = new Map<string, TensorEntry>();
  const unexpected: string[] = [];
  const misfits: string[] = [];
  const adapted = new Set<string>();
  const keepClassifier = options.adaptClassifier && needsOwnClassifier(targets, entries, names);
  if (keepClassifier) for (const { name } of own) if (isClassifier(name)) adapted.add(name);
  for (const original of entries) {
    const entry = { ...original, name: names.get(original.name) ?? original.name };
    const target = targets.get(entry.name);
    if (target === undefined) {
      unexpected.push(original.name);
    } else if (keepClassifier && isClassifier(entry.name)) {
      continue;
    } else if (target.shape.join() === entry.shape.join()) {
      found.set(entry.name, entry);
    } else {
      const changed = options.adaptInput ? adaptInput(entry, target) : undefined;
      if (changed === undefined) {
        unexpected.push(original.name);
        misfits.push(
          `${entry.name} is [${entry.shape.join(', ')}] in the file, but [${target.shape.join(', ')}] in the model`,
        );
      } else {
        found.set(entry.name, changed);
        adapted.add(entry.name);
      }
    }
  }
  const zeros = missingCounters(own, found);
  for (const name of zeros) adapted.add(name);
  const matched = own.filter(({ name }) => found.has(name) && !adapted.has(name)).map(({ name }) => name);
  const missing = own.filter(({ name }) => !found.has(name) && !adapted.has(name)).map(({ name }) => name);
  return {
    report: { matched, missing, unexpected, adapted: [...adapted] },
    taken: [...found.values()],
    zeros,
    misfits,
  };
}

/** Whether the file's classifier is for other classes, or is not there. */
function needsOwnClassifier(
  targets: ReadonlyMap<string, Target>,
  entries: readonly TensorEntry[],
  names: ReadonlyMap<string, string>,
): boolean {
  const heads = entries
    .map((entry) => ({ ...entry, name: names.get(entry.name) ?? entry.name }))
    .filter(({ name }) => isClassifier(name));
  return (
    heads.length === 0 ||
    heads.some((entry) => {
      const target = targets.get(entry.name);
      return target !== undefined && hasOtherClasses(entry, target);
    })
  );
}

/** Counters that the file does not have of batch norms that it has. */
function missingCounters(own: readonly Target[], found: ReadonlyMap<string, TensorEntry>): string[] {
  return own
    .map(({ name }) => name)
    .filter(
      (name) =>
        name.endsWith(counter) && !found.has(name) && found.has(`${name.slice(0, -counter.length)}.running_mean`),
    );
}
