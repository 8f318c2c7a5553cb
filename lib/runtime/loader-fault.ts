import { mendDriver } from './driver';
import type { Libtorch } from './locate';

/** What the system's loader meant, and the one command that mends it. */
export interface LoaderFault {
  text: string;
  mend: string;
}

/**
 * Explains why the system's loader refused a libtorch or the addon.
 *
 * @param reason Its words.
 * @returns Nothing where they are as clear as can be.
 */
export function explainLoaderFault(reason: string, { build, path, source }: Libtorch): LoaderFault | undefined {
  // LIBTORCH goes before what is installed.
  const unset = source === 'LIBTORCH' ? 'unset LIBTORCH; ' : '';
  const install = `${unset}npx densenet install-libtorch ${build === 'cpu' ? '--cpu' : '--cuda'}`;
  const missing = /^(lib[^/:\s]+): cannot open shared object file/.exec(reason)?.[1];
  if (missing === undefined) {
    if (!/file too short|invalid ELF header/.test(reason) || !reason.startsWith(path)) return undefined;
    if (source !== 'cache' && source !== 'installed') return undefined;
    return { text: `The libtorch in ${path} is damaged; delete that folder and install it anew.`, mend: install };
  }
  if (/^lib(torch_cuda|c10_cuda)\b/.test(missing) && build === 'cpu')
    return {
      text: 'The addon was built against a CUDA build of libtorch, and this one is a CPU build.',
      mend: 'npx densenet setup',
    };
  if (/^lib(torch|c10)/.test(missing))
    return { text: `The libtorch in ${path} lacks its own ${missing}, so it is half of one.`, mend: install };
  if (missing.startsWith('libcuda.so'))
    return { text: `${missing} belongs to NVIDIA's driver, which is not installed.`, mend: mendDriver };
  if (/^lib(cu|nv|nccl)/.test(missing))
    return {
      text:
        `${missing} is one of NVIDIA's libraries, which a CUDA build of libtorch needs beside it and ${path} does not have. ` +
        'Install libtorch together with them.',
      mend: install,
    };
  return undefined;
}
