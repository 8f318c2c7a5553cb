import { spawn } from 'node:child_process';
import nodeGypBuild from 'node-gyp-build';
import { packageRoot } from '../addon-versions';
import type { Libtorch } from '../locate';

/** What the loader says of the last library of a list where it was opened: it takes that one for the core. */
const opened = 'is not a core library of libtorch-densenet';

/**
 * Lets the system's loader open a libtorch, in a process of its own, since what is loaded stays, and what is broken may
 * end the process.
 *
 * @returns The loader's words where it will not; nothing where it does, or where there is no addon yet to try it with.
 */
export async function tryLoad({ libraries }: Libtorch): Promise<string | undefined> {
  let loader: string;
  try {
    loader = nodeGypBuild.path(packageRoot);
  } catch {
    return undefined;
  }
  const program = `
    const { open } = require(${JSON.stringify(loader)});
    console.log('begun');
    open(${JSON.stringify(libraries)}).catch((error) => console.log(error.message)).then(() => process.exit());`;
  const { output, signal } = await run(program);
  const [begun, ...words] = output.trim().split('\n');
  if (begun !== 'begun') return undefined; // the addon's own loader is broken, which says nothing of libtorch
  const said = words.join('\n');
  if (said.endsWith(opened)) return undefined;
  return said === '' ? `opening it ended the process (${signal ?? 'without a word'})` : said;
}

function run(program: string): Promise<{ output: string; signal: NodeJS.Signals | null }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'ignore'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('error', reject);
    child.on('close', (_, signal) => resolve({ output, signal }));
  });
}
