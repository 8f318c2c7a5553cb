#!/usr/bin/env node
import { Command } from 'commander';
import colors from 'picocolors';
import { toDenseNetError } from '../errors';
import { doctorCommand } from './doctor';
import { evaluateCommand } from './evaluate';
import { finetuneCommand } from './finetune';
import { installLibtorchCommand } from './install-libtorch';
import { predictCommand } from './predict';
import { reportCommand } from './report';
import { setupCommand } from './setup';
import { summaryCommand } from './summary';
import { printable } from './terminal';
import { trainCommand } from './train';

// eslint-disable-next-line @typescript-eslint/no-require-imports -- from dist/cli and from lib/cli alike
const { version } = require('../../package.json') as { version: string };

const program = new Command('densenet')
  .description('DenseNet on libtorch: train, predict and evaluate on the CPU or CUDA')
  .version(version)
  .showHelpAfterError('(run with --help for the options)')
  .addCommand(trainCommand())
  .addCommand(finetuneCommand())
  .addCommand(predictCommand())
  .addCommand(reportCommand())
  .addCommand(evaluateCommand())
  .addCommand(summaryCommand())
  .addCommand(doctorCommand())
  .addCommand(setupCommand())
  .addCommand(installLibtorchCommand());

// A reader that has seen enough, such as `head`, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

program.parseAsync().catch((error: unknown) => {
  console.error(colors.red(printable(toDenseNetError(error).message)));
  if (process.env['DEBUG'] !== undefined) console.error(error);
  process.exitCode = 1;
});
