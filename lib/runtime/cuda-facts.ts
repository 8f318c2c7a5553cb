import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Libtorch } from './locate';

/** The CUDA version that a libtorch was built for, such as `13.0`; nothing for a CPU build, or where nothing tells. */
export async function cudaVersionOf({ build, path: root }: Libtorch): Promise<string | undefined> {
  const digits = /^cu(\d+)(\d)$/.exec(build);
  if (digits) return `${digits[1]}.${digits[2]}`;
  if (build === 'cpu') return undefined;
  const text = await readFile(path.join(root, 'version.py'), 'utf8').catch(() => '');
  return /^cuda\b[^=]*=\s*['"](\d+\.\d+)/m.exec(text)?.[1];
}

/**
 * The version of the cuDNN that lies beside a libtorch, as precisely as its files tell: `9.15.1` where its header is
 * there, `9` by the name of the library alone; nothing where there is none.
 */
export async function cudnnVersionOf({ path: root }: Libtorch): Promise<string | undefined> {
  const wheel = path.join(root, '..', 'nvidia', 'cudnn');
  for (const folder of [path.join(wheel, 'include'), path.join(root, 'include')]) {
    const header = await readFile(path.join(folder, 'cudnn_version.h'), 'utf8').catch(() => '');
    const numbers = ['MAJOR', 'MINOR', 'PATCHLEVEL'].map(
      (part) => new RegExp(`#define CUDNN_${part} (\\d+)`).exec(header)?.[1],
    );
    if (!numbers.includes(undefined)) return numbers.join('.');
  }
  for (const folder of [path.join(wheel, 'lib'), path.join(root, 'lib')])
    for (const name of await readdir(folder).catch(() => [])) {
      const version = /^libcudnn\.so\.([\d.]+)$/.exec(name)?.[1];
      if (version !== undefined) return version;
    }
  return undefined;
}
