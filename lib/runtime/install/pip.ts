import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { DenseNetError } from '../../errors';
import { lengthOf } from '../download';
import { host, runCommand } from '../fetch';
import { compareVersions } from '../locate';
import { moreRoom } from './bytes';

/** A wheel that pip found. */
export interface Wheel {
  name: string;
  version: string;
  /** The name of its file. */
  file: string;
  /** Where it lies already; for wheels of a folder. */
  place?: string;
  sha256?: string;
  /** Where its server tells. */
  bytes?: number;
}

/** A wheel, and where its server has it. */
type FoundWheel = Wheel & { url?: string };

/** What pip would fetch, and how it is asked for it. */
export interface PipAnswer {
  wheels: Wheel[];
  /** What to add to a `pip download`. */
  way: string[];
}

export interface PipOptions {
  python: string;
  env: NodeJS.ProcessEnv;
  /** For what pip writes on its way. */
  work: string;
  signal?: AbortSignal | undefined;
  report: (line: string) => void;
}

/** A requirement such as `torch==2.11.0`, and where pip looks for it: arguments. */
interface Question {
  requirement: string;
  index: string[];
}

/** Versions of Python whose wheels are asked for where there is none for the Python here: libtorch depends on none. */
const otherPythons = ['3.12', '3.13', '3.11'];

/** The CUDA build that PyTorch's own index is asked for. */
export const usualCuda = 'cu130';

/**
 * Asks pip for libtorch and the NVIDIA libraries that it needs; nothing of it is fetched.
 *
 * @param build Which of the two.
 * @param versions Such as `2.13.0`, or `2.13.0+cu126` for one build; the first that there is. An empty one is any, which
 *   only a folder of wheels is asked for.
 * @param wheels A folder of wheels to take all from, without a network.
 * @throws DenseNetError `ERR_DOWNLOAD` when pip knows none, with its words.
 */
export async function askPip(
  build: 'cpu' | 'cuda',
  versions: readonly string[],
  wheels: string | undefined,
  options: PipOptions,
): Promise<PipAnswer> {
  const pip = await findAskingPip(wheels, options);
  const wrong: string[] = [];
  let last = '';
  for (const question of versions.flatMap((version) => questionsFor(build, version, wheels))) {
    for (const python of [undefined, ...otherPythons]) {
      const way = [...question.index, ...(python === undefined ? [] : ['--python-version', python])];
      const { found, output } = await ask(pip, question.requirement, way, options);
      options.signal?.throwIfAborted();
      if (found !== undefined) {
        if (isCuda(found) === (build === 'cuda')) return { wheels: await measure(found, options), way };
        const { name = 'torch', version = '' } = found[0] ?? {};
        wrong.push(`${name} ${version} is there, but it is no ${build === 'cuda' ? 'CUDA' : 'CPU'} build`);
        last = '';
        break;
      }
      last = output;
      if (output.includes('no such option')) throw tooOld(options.python);
      // Another Python changes something only where pip knows no wheel for this one.
      if (!/No matching distribution found for torch\b/.test(output)) break;
    }
  }
  throw notFound(build, versions, wheels, [...wrong, lastLines(last)].join('\n'));
}

function questionsFor(build: 'cpu' | 'cuda', version: string, wheels: string | undefined): Question[] {
  const local = version.split('+')[1];
  const named = local === undefined ? `${version}+${build === 'cpu' ? 'cpu' : usualCuda}` : version;
  const plain = version === '' ? 'torch' : `torch==${version}`;
  if (wheels !== undefined)
    return [{ requirement: plain, index: ['--no-index', '--find-links', path.resolve(wheels)] }];
  const extra = ['--extra-index-url', `${host}/whl/${named.split('+')[1] ?? ''}`];
  const own = { requirement: `torch==${named}`, index: extra };
  if (local !== undefined) return [{ requirement: plain, index: [] }, own];
  // PyPI's wheel of Linux is a CUDA build, and its CPU build, elsewhere plain, is `+cpu`.
  return build === 'cpu'
    ? [{ requirement: `torch==${named}`, index: [] }, own, { requirement: plain, index: [] }]
    : [{ requirement: plain, index: [] }, own];
}

/** The part of pip's report that is read here. */
interface Report {
  install: {
    download_info: { url: string; archive_info?: { hashes?: { sha256?: string } } };
    metadata: { name: string; version: string };
  }[];
}

/** Older versions fetch all wheels in a dry run, to throw them away. */
const oldestAsking = '25.3';

/**
 * A pip that can say what it would fetch without fetching it: the one that is there, or a newer one, fetched by it into
 * the work folder (2 MB) and run from its wheel.
 *
 * @returns What goes before pip's arguments.
 */
async function findAskingPip(
  wheels: string | undefined,
  { python, env, work, signal, report }: PipOptions,
): Promise<string[]> {
  const own = ['-m', 'pip'];
  const { output } = await runCommand(python, [...own, '--version'], env);
  const version = /^pip (\d[\d.]*)/m.exec(output)?.[1] ?? oldestAsking;
  // What lies in a folder is looked at there.
  if (wheels !== undefined || compareVersions(version, oldestAsking) >= 0) return own;
  report(`fetching a newer pip to ask, since pip ${version} would fetch all that it is asked about`);
  const folder = path.join(work, 'pip');
  const args = [
    ...own,
    'download',
    '--no-deps',
    '--only-binary=:all:',
    '--progress-bar=off',
    '-d',
    folder,
    `pip>=${oldestAsking}`,
  ];
  const { code } = await runCommand(python, args, { ...env, TMPDIR: work }, undefined, signal);
  const wheel = code === 0 ? (await readdir(folder)).find((name) => name.endsWith('.whl')) : undefined;
  if (wheel !== undefined) return [path.join(folder, wheel, 'pip')];
  report(`there is no newer pip, so pip ${version} fetches the wheels to look into them`);
  return own;
}

async function ask(
  pip: string[],
  requirement: string,
  way: string[],
  { python, env, work, signal, report }: PipOptions,
): Promise<{ found?: FoundWheel[]; output: string }> {
  const file = path.join(work, 'report.json');
  const args = [
    ...[...pip, 'install', '--dry-run', '--ignore-installed', '--quiet', '--only-binary=:all:', '--report', file],
    // Older versions of pip take a foreign --python-version only with a place for it.
    ...(way.includes('--python-version') ? ['--target', path.join(work, 'target')] : []),
    ...way,
    requirement,
  ];
  report(`asking pip for ${[requirement, ...way].join(' ')}`);
  const { code, output } = await runCommand(python, args, { ...env, TMPDIR: work }, undefined, signal);
  if (code !== 0) return { output };
  const { install } = JSON.parse(await readFile(file, 'utf8')) as Report;
  const found = install
    .map(({ download_info: { url, archive_info }, metadata: { name, version } }) => ({
      name: name.toLowerCase().replaceAll('_', '-'),
      version,
      url: new URL(url),
      sha256: archive_info?.hashes?.sha256,
    }))
    // What else torch's package needs, Python alone needs.
    .filter(({ name }) => name === 'torch' || name.startsWith('nvidia-'))
    .sort((a, b) => Number(b.name === 'torch') - Number(a.name === 'torch') || a.name.localeCompare(b.name))
    .map(({ url, sha256, ...rest }) => ({
      ...rest,
      file: decodeURIComponent(path.posix.basename(url.pathname)),
      ...(url.protocol === 'file:' ? { place: fileURLToPath(url) } : { url: url.href }),
      ...(sha256 === undefined ? {} : { sha256 }),
    }));
  return { found, output };
}

/** Whether wheels make a CUDA build: by the name of the version, or by the NVIDIA libraries that it asks for. */
function isCuda(wheels: Wheel[]): boolean {
  return wheels.some(({ name, version }) => name.startsWith('nvidia-') || /\+cu\d/.test(version));
}

/** Asks for the sizes, past pip, which does not tell them; through its proxy, as far as that is known. */
async function measure(wheels: FoundWheel[], options: PipOptions): Promise<Wheel[]> {
  const proxy = wheels.some(({ url }) => url !== undefined) ? await proxyOfPip(options) : undefined;
  const env = proxy === undefined ? options.env : { ...options.env, HTTPS_PROXY: proxy, HTTP_PROXY: proxy };
  return Promise.all(
    wheels.map(async ({ url, ...wheel }) => {
      const bytes = wheel.place !== undefined ? (await stat(wheel.place)).size : await lengthOf(url as string, { env });
      return { ...wheel, ...(bytes === undefined ? {} : { bytes }) };
    }),
  );
}

async function proxyOfPip({ python, env }: PipOptions): Promise<string | undefined> {
  const { output } = await runCommand(python, ['-m', 'pip', 'config', 'list'], env);
  for (const section of [':env:', 'install', 'global']) {
    const value = new RegExp(`^${section}\\.proxy='(.+)'$`, 'm').exec(output)?.[1];
    if (value !== undefined) return value;
  }
  return undefined;
}

/**
 * Lets pip fetch one wheel, with all its settings: index, proxy, certificates, credentials.
 *
 * @param progress Gets how many bytes of it are there.
 * @returns Its file.
 */
export async function fetchWheel(
  { name, version, file }: Wheel,
  way: string[],
  progress: (bytes: number) => void,
  { python, env, work, signal }: PipOptions,
): Promise<string> {
  const folder = path.join(work, 'wheel');
  const unfinished = path.join(work, 'unfinished');
  await mkdir(unfinished, { recursive: true });
  const args = [
    ...['-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '--progress-bar=off', '--no-cache-dir'],
    ...['-d', folder, ...way, `${name}==${version}`],
  ];
  const watch = setInterval(() => void bytesIn(unfinished).then(progress), 250);
  try {
    // pip's cache is passed by: it would keep every gigabyte once more.
    const { code, output } = await runCommand(python, args, { ...env, TMPDIR: unfinished }, undefined, signal);
    signal?.throwIfAborted();
    if (code !== 0) throw failedFetch(`${name}==${version}`, output);
  } finally {
    clearInterval(watch);
  }
  const arrived = (await readdir(folder)).find((one) => one.endsWith('.whl'));
  if (arrived === undefined)
    throw new DenseNetError('ERR_DOWNLOAD', `pip said that it downloaded ${file}, but there is no wheel`);
  return path.join(folder, arrived);
}

async function bytesIn(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true }).catch(() => []);
  const sizes = await Promise.all(
    entries.map((name) =>
      stat(path.join(folder, name)).then(
        (found) => (found.isFile() ? found.size : 0),
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

function failedFetch(requirement: string, output: string): DenseNetError {
  if (/No space left on device|Errno 28/.test(output))
    return new DenseNetError('ERR_FILE', `the disk became full while pip fetched ${requirement}. ${moreRoom}`);
  return new DenseNetError(
    'ERR_DOWNLOAD',
    `pip cannot download ${requirement}. It said:\n${lastLines(output)}\n` +
      'The wheels that have arrived are kept: run the same command again to go on from there.',
  );
}

function tooOld(python: string): DenseNetError {
  return new DenseNetError(
    'ERR_DOWNLOAD',
    `the pip of ${python} cannot say what it would fetch; that takes pip 22.2 or newer. Mend it with: ${python} -m pip install --upgrade pip`,
    { mend: `${python} -m pip install --upgrade pip` },
  );
}

function notFound(
  build: 'cpu' | 'cuda',
  versions: readonly string[],
  wheels: string | undefined,
  said: string,
): DenseNetError {
  const what = `${build === 'cuda' ? 'CUDA' : 'CPU'} build of torch ${versions.filter(Boolean).join(' or ')}`;
  const advice =
    wheels === undefined
      ? 'Check the network and pip (a proxy? HTTPS_PROXY), or fetch it elsewhere and use --from or --wheels.'
      : `The folder must hold the wheel of torch and every wheel that it needs, for this system: \`pip download torch==${versions[0] ?? ''} -d FOLDER\` on a machine like this one with a network makes such a folder.`;
  return new DenseNetError(
    'ERR_DOWNLOAD',
    `pip finds no ${what}${wheels === undefined ? '' : ` in ${path.resolve(wheels)}`}. It said:\n${said}\n${advice}`,
  );
}

function lastLines(output: string): string {
  return output.trim().split('\n').slice(-5).join('\n');
}
