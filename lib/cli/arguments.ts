import { InvalidArgumentError, Option } from 'commander';

/** A parser of whole numbers of at least `min`, for commander. */
export function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < min)
      throw new InvalidArgumentError(`It must be a whole number of at least ${min}.`);
    return value;
  };
}

/** A parser of numbers above 0, for commander. */
export function positiveNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError('It must be a number above 0.');
  return value;
}

export function deviceOption(): Option {
  return new Option('--device <name>', 'where to compute: auto, cpu, cuda or cuda:N').default('auto');
}

export function jsonOption(): Option {
  return new Option('--json', 'print JSON for other programs').default(false);
}

/** The data sets that a name stands for. */
export function dataOption(): Option {
  return new Option('--data <name>', 'what to work on; digits ships with the package')
    .choices(['digits'])
    .default('digits');
}
