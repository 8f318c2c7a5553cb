import path from 'node:path';
import { Command } from 'commander';

/** `densenet setup` */
export function setupCommand(): Command {
  return new Command('setup')
    .description('find or fetch libtorch, and build the addon where the one that came along does not fit')
    .addHelpText(
      'after',
      `
libtorch is looked for in LIBTORCH, the user's cache and the torch of the Python on the PATH; where there is none, the
CPU build is fetched into the cache (about 190 MB). A CUDA build is installed by densenet install-libtorch beforehand.
Building needs a C++ compiler and CMake. A second run does nothing.

Examples:
  $ densenet setup
  $ LIBTORCH=/opt/libtorch densenet setup
`,
    )
    .action(async () => {
      // The set-up must run before anything is compiled, so it is a script and no module of this folder.
      // eslint-disable-next-line @typescript-eslint/no-require-imports
      const { setup } = require(path.join(__dirname, '..', '..', 'scripts', 'setup.js')) as {
        setup: () => Promise<unknown>;
      };
      await setup();
    });
}
