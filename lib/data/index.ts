/** Data sets: `datasets` of the package. */
export { fromArrays, split, subset, type ArrayOptions } from './arrays';
export { digits } from './digits';
export { imageFolder, type ImageFolderOptions } from './folder';
