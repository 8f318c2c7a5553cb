import { mkdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { runCommand } from '../../lib/runtime/fetch';
import { root } from '../child';
import { makeLibtorch, put, type FakeLibtorch } from './fakes';
import { sha256, type Answer } from './server';

/** A library that the system's loader opens, and that does nothing by that: it passes for libtorch. */
export const loadable = path.join(root, 'build', 'Release', 'libtorch_densenet.node');

/** Packs a folder's entries into a ZIP; CMake does it, which every test machine has. */
export async function zip(folder: string, names: string[], file: string): Promise<string> {
  await mkdir(path.dirname(file), { recursive: true });
  const { code, output } = await runCommand(
    'cmake',
    ['-E', 'tar', 'cf', file, '--format=zip', ...names],
    process.env,
    folder,
  );
  if (code !== 0) throw new Error(output);
  return file;
}

export interface FakeWheel {
  name: string;
  version: string;
  requires?: string[];
}

/** Packs what lies in a folder as a wheel that every pip takes. */
async function packWheel(
  stage: string,
  names: string[],
  { name, version, requires = [] }: FakeWheel,
  folder: string,
): Promise<string> {
  const info = `${name.replaceAll('-', '_')}-${version}.dist-info`;
  const metadata = ['Metadata-Version: 2.1', `Name: ${name}`, `Version: ${version}`];
  await put(
    path.join(stage, info, 'METADATA'),
    [...metadata, ...requires.map((one) => `Requires-Dist: ${one}`), ''].join('\n'),
  );
  await put(
    path.join(stage, info, 'WHEEL'),
    'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
  );
  await put(path.join(stage, info, 'RECORD'), '');
  await put(path.join(stage, info, 'licenses', 'LICENSE'), `of ${name}`);
  return zip(stage, [...names, info], path.join(folder, `${name.replaceAll('-', '_')}-${version}-py3-none-any.whl`));
}

/** Libraries that stand for NVIDIA's, and one package that Python alone needs. */
export const nvidia: FakeWheel[] = [
  { name: 'nvidia-cuda-runtime', version: '13.0.48' },
  { name: 'nvidia-cudnn-cu13', version: '9.1.0' },
];
const sympy: FakeWheel = { name: 'sympy', version: '1.14.0' };

/** Fills a folder with the wheel of torch and all that it needs, each of some 100 kB. */
export async function makeWheels(folder: string, libtorch: FakeLibtorch = {}): Promise<string[]> {
  const stage = path.join(folder, '..', 'stage');
  const { version = '2.11.0+cu130' } = libtorch;
  const torch = path.join(stage, 'torch');
  await makeLibtorch(path.join(torch, 'torch'), { told: ['version.py'], library: loadable, ...libtorch, version });
  await put(path.join(torch, 'torch', '__init__.py'), '');
  const needs = version.includes('+cu') ? nvidia : [];
  const requires = [...needs, sympy].map(({ name, version: own }) => `${name}==${own}; platform_system == "Linux"`);
  // PyPI's CUDA wheel has no build in the version of its package.
  const plain = version.replace('+cu130', '');
  const files = [await packWheel(torch, ['torch'], { name: 'torch', version: plain, requires }, folder)];
  for (const wheel of [...needs, sympy]) {
    const place = path.join(stage, wheel.name);
    const inner =
      wheel === sympy ? 'sympy/sympy.py' : `nvidia/${wheel.name.split('-')[1] as string}/lib/lib${wheel.name}.so.9`;
    await put(path.join(place, ...inner.split('/')), Buffer.alloc(100_000, wheel.name));
    files.push(await packWheel(place, [inner.split('/')[0] as string], wheel, folder));
  }
  return files;
}

/**
 * An index of wheels as PyPI is one: pages with hashes, metadata beside the wheels, files. The paths of files that are
 * asked for, HEAD aside, go into `fetched`; those of `missing` are not there.
 */
export function wheelIndex(files: string[], fetched: string[] = [], missing = new Set<string>()): Answer {
  return async (request, response) => {
    const url = new URL(request.url ?? '', 'http://index.invalid');
    const page = /^\/simple\/([^/]+)\/$/.exec(url.pathname)?.[1];
    if (page !== undefined) {
      const wanted = files.filter((file) => path.basename(file).startsWith(`${page.replaceAll('-', '_')}-`));
      const links = await Promise.all(wanted.map(link));
      response.writeHead(links.length > 0 ? 200 : 404, { 'content-type': 'text/html' }).end(links.join('\n'));
      return;
    }
    const name = decodeURIComponent(path.posix.basename(url.pathname));
    const file = files.find((one) => path.basename(one) === name.replace(/\.metadata$/, ''));
    if (file === undefined || missing.has(name)) {
      response.writeHead(404).end();
      return;
    }
    if (name.endsWith('.metadata')) {
      response.end(await metadataOf(file));
      return;
    }
    const { size } = await stat(file);
    response.writeHead(200, { 'content-length': size });
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    fetched.push(name);
    response.end(await readFile(file));
  };
}

async function link(file: string): Promise<string> {
  const name = path.basename(file);
  const hash = sha256(await readFile(file));
  const own = sha256(await metadataOf(file));
  return `<a href="/files/${encodeURIComponent(name)}#sha256=${hash}" data-dist-info-metadata="sha256=${own}" data-core-metadata="sha256=${own}">${name}</a>`;
}

/** The METADATA that the wheel was packed from. */
async function metadataOf(file: string): Promise<Buffer> {
  const [name = '', version = ''] = path.basename(file).split('-');
  const stage = path.join(path.dirname(file), '..', 'stage', name === 'torch' ? 'torch' : name.replaceAll('_', '-'));
  return readFile(path.join(stage, `${name}-${version}.dist-info`, 'METADATA'));
}

/** An environment in which the Python of this machine asks an index of ours alone. */
export function pipEnvironment(cache: string, index?: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: cache,
    LIBTORCH_DENSENET_CACHE: cache,
    PIP_CONFIG_FILE: '/dev/null',
    PIP_RETRIES: '0',
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    ...(index !== undefined && { PIP_INDEX_URL: index }),
  };
}
