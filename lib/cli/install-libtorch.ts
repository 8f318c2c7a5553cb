import { createInterface } from 'node:readline/promises';
import { Command, Option } from 'commander';
import colors from 'picocolors';
import { DenseNetError } from '../errors';
import { addonVersions } from '../runtime/addon-versions';
import { formatBytes } from '../runtime/install/bytes';
import { carryOut } from '../runtime/install/install';
import { checkRoom, planInstall, type InstallOptions, type InstallPlan } from '../runtime/install/plan';
import type { Libtorch } from '../runtime/locate';
import { ByteProgress } from './byte-progress';

interface InstallFlags {
  cuda?: boolean;
  cpu?: boolean;
  torch?: string;
  from?: string;
  wheels?: string;
  sha256?: string;
  yes: boolean;
  dryRun: boolean;
}

/** `densenet install-libtorch` */
export function installLibtorchCommand(): Command {
  return new Command('install-libtorch')
    .description('install a CPU or CUDA build of libtorch into the cache, and use it from then on')
    .addOption(
      new Option(
        '--cuda',
        "the CUDA build, with NVIDIA's libraries; default where there is an NVIDIA driver",
      ).conflicts('cpu'),
    )
    .option('--cpu', 'the CPU build; default where there is no NVIDIA driver')
    .option(
      '--torch <version>',
      'such as 2.11.0, or 2.11.0+cu126; default the version that the addon was built against',
    )
    .option(
      '--from <place>',
      "the official archive, torch's wheel, or a folder that holds libtorch; nothing is fetched",
    )
    .option('--wheels <folder>', 'a folder of wheels to take all from; nothing is fetched')
    .option('--sha256 <hex>', 'what the archive must have')
    .option('--yes', 'do not ask', false)
    .option('--dry-run', 'say what would be done, with its sizes, and do nothing', false)
    .addHelpText(
      'after',
      `
Wheels are found and fetched by the pip of the Python on the PATH, with its own settings (index, proxy, certificates);
without Python the official archive is fetched, through HTTPS_PROXY where it is set. Sizes are shown before anything is
fetched. What an interrupted installation has fetched is kept: the same command goes on from there.

A folder given by --from is used where it lies; everything else goes into the cache (LIBTORCH_DENSENET_CACHE). What was
installed last is used, before anything else but LIBTORCH; what is in the cache already is only chosen.

Examples:
  $ densenet install-libtorch --cuda
  $ densenet install-libtorch --cuda --wheels /media/usb/wheels
  $ densenet install-libtorch --from libtorch-shared-with-deps-2.13.0+cpu.zip
  $ densenet install-libtorch --cpu --dry-run
`,
    )
    .action(install);
}

async function install({ cuda, cpu, torch, dryRun, yes, ...flags }: InstallFlags): Promise<void> {
  const stop = new AbortController();
  const interrupt = (): void =>
    stop.abort(new DenseNetError('ERR_DOWNLOAD', 'interrupted; run it again to go on from here.'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupt);
  const progress = new ByteProgress();
  const options: InstallOptions = {
    ...flags,
    version: torch,
    build: cuda === true ? 'cuda' : cpu === true ? 'cpu' : undefined,
    signal: stop.signal,
    report: (line) => progress.begin(line),
    progress: (done, total) => progress.update(done, total),
  };
  try {
    const plan = await planInstall(options);
    progress.stop();
    show(plan);
    if (dryRun) return;
    checkRoom(plan.neededBytes, plan.freeBytes, plan.folder);
    if (plan.fetches && !yes && !(await agrees(stop.signal))) {
      console.log('Nothing was done.');
      return;
    }
    const libtorch = await carryOut(plan, options);
    progress.stop();
    await conclude(libtorch, plan);
  } finally {
    progress.stop();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupt);
  }
}

function show({ source, build, version, parts, fetches, neededBytes, freeBytes, folder, notes }: InstallPlan): void {
  const name = `libtorch ${version.split('+')[0] ?? ''}, ${build === 'cuda' ? 'CUDA' : 'CPU'} build`;
  if (source.type === 'there') console.log(`${name}, is in the cache already: ${source.place}`);
  else if (source.type === 'folder') console.log(`${name}, is used where it lies: ${source.place}`);
  else {
    const sizes = parts.map(({ bytes }) => bytes);
    const total = sizes.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0);
    const width = Math.max(...parts.map((part) => part.name.length));
    console.log(source.type === 'file' ? 'libtorch, from a file:' : `${name}:`);
    for (const part of parts)
      console.log(
        `  ${part.name.padEnd(width)}  ${part.bytes === undefined ? 'size unknown' : formatBytes(part.bytes).padStart(8)}`,
      );
    const unknown = sizes.filter((bytes) => bytes === undefined).length;
    const sum = `${formatBytes(total)}${unknown > 0 ? ` and ${unknown} of unknown size` : ''}`;
    console.log(`${unknown === parts.length ? 'Of unknown size' : sum} to ${fetches ? 'fetch' : 'unpack'}.`);
    console.log(
      `Takes ${fetches ? 'about ' : ''}${formatBytes(neededBytes)} in ${folder} while it is being installed; ${formatBytes(freeBytes)} are free.`,
    );
  }
  for (const note of notes) console.log(colors.yellow(note));
}

async function agrees(signal: AbortSignal): Promise<boolean> {
  if (!process.stdin.isTTY)
    throw new DenseNetError('ERR_INVALID_ARGUMENT', 'there is no terminal to ask whether to fetch this. Add --yes.');
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await terminal.question('Fetch it? [y/N] ', { signal })).trim());
  } finally {
    terminal.close();
  }
}

async function conclude({ version, build, path }: Libtorch, { folder }: InstallPlan): Promise<void> {
  const where = path.startsWith(folder) ? 'in the cache' : 'recorded in the cache, not copied';
  console.log(`${colors.green('✔')} libtorch ${version} (${build}) is used from now on: ${path} (${where})`);
  const fits = (await addonVersions()).includes(version);
  console.log(
    fits
      ? `Look at it with: ${colors.cyan('npx densenet doctor')}`
      : `The addon was not built against libtorch ${version} yet. Build it with: ${colors.cyan('npx densenet setup')}`,
  );
}
