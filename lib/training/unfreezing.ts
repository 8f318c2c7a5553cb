import type { DenseNet } from '../model/densenet';
import { stagesOf } from '../model/stages';
import { checkInteger, checkOptions, checkString, invalidArgument } from '../validate';

/** A part of the network that begins to learn in the course of a run. */
export interface Unfreezing {
  /** The epoch at whose start it does, from 1. */
  epoch: number;
  /** The dotted name of the part. */
  prefix: string;
}

/**
 * Gradual unfreezing (Howard and Ruder, 2018): the classifier alone learns first, then from stage to stage, back to the
 * stem, one more learns with it. Freeze `features` before the run.
 *
 * @param model Whose blocks they are.
 * @param options `every`: epochs between two stages, default 1. `from`: the epoch of the first, default 1 + `every`.
 * @returns The `unfreeze` option of `Trainer.fit`.
 * @throws DenseNetError `ERR_INVALID_ARGUMENT`.
 */
export function gradualUnfreezing(model: DenseNet, options?: { every?: number; from?: number }): Unfreezing[] {
  const given = checkOptions('options', options, ['every', 'from']);
  const every = checkInteger('every', given.every ?? 1, 1);
  const from = checkInteger('from', given.from ?? 1 + every, 1);
  const [, ...stages] = stagesOf(model.config);
  return stages.flatMap((prefixes, stage) => prefixes.map((prefix) => ({ epoch: from + stage * every, prefix })));
}

/** Checks the `unfreeze` option of a run. */
export function checkUnfreezing(value: unknown, checkPrefix: (prefix: string) => void): Unfreezing[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalidArgument('unfreeze', 'an array of { epoch, prefix }', value);
  return value.map((item: Unfreezing, index) => {
    const name = `unfreeze[${index}]`;
    const { epoch, prefix } = checkOptions(name, item, ['epoch', 'prefix']);
    checkPrefix(checkString(`${name}.prefix`, prefix));
    return { epoch: checkInteger(`${name}.epoch`, epoch, 1), prefix };
  });
}
