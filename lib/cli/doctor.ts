import { Command } from 'commander';
import colors from 'picocolors';
import { examine, type Finding } from '../runtime/doctor';
import { jsonOption } from './arguments';

/** `densenet doctor` */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('say what was found on this machine, and how to mend what is missing')
    .addOption(jsonOption())
    .action(async ({ json }: { json: boolean }) => {
      const findings = await examine();
      if (json) console.log(JSON.stringify(findings, undefined, 2));
      else for (const finding of findings) console.log(describe(finding));
      if (findings.some(({ state }) => state === 'fault')) process.exitCode = 1;
    });
}

const marks = { good: colors.green('✔'), note: colors.yellow('•'), fault: colors.red('✘') };

function describe({ state, subject, found, mend }: Finding): string {
  const lines = found.split('\n').join('\n    ');
  return `${marks[state]} ${colors.bold(subject)}: ${lines}${mend ? `\n    ${colors.cyan('mend:')} ${mend}` : ''}`;
}
