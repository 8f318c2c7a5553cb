import { InvalidArgumentError, Option, type Command } from 'commander';

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

/** Where data come from. */
export function dataOption(): Option {
  return new Option(
    '--data <place>',
    'digits, which ship with the package; a folder with a folder of pictures for each class, or with CIFAR or MNIST files; or a CSV file',
  );
}

/** A size such as 224 or 224x180, height first. */
export function imageSize(text: string): [number, number] {
  const lengths = text.split('x').map(Number);
  const [height = NaN, width = height] = lengths;
  if (lengths.length > 2 || ![height, width].every((length) => Number.isSafeInteger(length) && length > 0))
    throw new InvalidArgumentError('It must be a size such as 224 or 224x180, height first.');
  return [height, width];
}

/** How pictures are read; for every command that takes data. */
export function pictureOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--decode <when>', 'pictures: all now, into memory; or ahead of each step').choices(['now', 'ahead']),
    )
    .option('--cache <place>', 'keep decoded pictures for later epochs: memory, or a folder')
    .addOption(
      new Option('--broken <what>', 'what becomes of pictures that cannot be read').choices(['refuse', 'skip']),
    )
    .option('--config <file>', 'a JSON file of options; those on the command line go first');
}
