import type { Choose } from './unpack';

/** What is taken of wheels and archives: libraries, headers, and the files that say what it is. */

const torchParts = ['torch/lib/', 'torch/include/', 'torch/share/cmake/'];
const licence = /\.dist-info\/(?:.*\/)?(?:licen[cs]e|notice)[^/]*$/i;

/** Of a wheel of torch or of NVIDIA: side by side, as in Python's own folder, so that they find one another. */
export const chooseOfWheel: Choose = (name) => {
  if (name.startsWith('nvidia/')) return name.endsWith('.py') ? undefined : name;
  if (name.startsWith('torch/lib/libtorch_python')) return undefined;
  if (name === 'torch/version.py' || torchParts.some((part) => name.startsWith(part)) || licence.test(name))
    return name;
  return undefined;
};

/** Of the official archive, whose one folder is libtorch: all. */
export const chooseOfArchive: Choose = (name) => (name.startsWith('libtorch/') ? name : undefined);

/** Of a file of which nobody has said which of the two it is. */
export const chooseOfFile: Choose = (name) => chooseOfArchive(name) ?? chooseOfWheel(name);
