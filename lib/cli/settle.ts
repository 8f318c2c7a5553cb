import type { Command } from 'commander';
import { DenseNetError } from '../errors';
import type { Device } from '../model/run-options';
import { withConfigFile } from './config-file';
import { readConfig } from './run-folder';

/** What the options of every command that trains have. */
export interface RunOptions {
  resume?: string;
  config?: string;
  out?: string;
  device: Device;
  json: boolean;
}

/** Those that a run may be gone on with by. */
const free = ['resume', 'device', 'json'];

/**
 * The options of the run that is gone on with; or those that were given, over those of the configuration file.
 *
 * @throws DenseNetError `ERR_INVALID_ARGUMENT` where others are given beside `--resume`; as {@link readConfig} and
 *   {@link withConfigFile}.
 */
export async function settle<Options extends RunOptions>(command: Command, given: Options): Promise<Options> {
  const { resume, device, json } = given;
  if (resume === undefined) return withConfigFile(command, given);
  for (const option of command.options) {
    const key = option.attributeName();
    if (free.includes(key) || command.getOptionValueSource(key) !== 'cli') continue;
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `--resume goes on with the run's own settings; leave ${option.long} out, or begin a new run.`,
    );
  }
  const own = (await readConfig(resume, command.name())) as unknown as Options;
  const asked = command.getOptionValueSource('device') === 'cli' ? { device } : {};
  return { ...own, ...asked, json, resume, out: resume };
}
