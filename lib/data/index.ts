/** Data sets: `datasets` of the package. */
export { fromArrays, type ArrayOptions } from './arrays';
export { cifar10, cifar100, type Cifar100Options, type CifarPart } from './cifar';
export { classCounts, classWeights } from './class-weights';
export { csv, type CsvLabelList, type CsvOptions } from './csv';
export { digits } from './digits';
export {
  imageFolder,
  imageFolders,
  type ImageFolderOptions,
  type ImageFoldersOptions,
  type TrainAndValidation,
} from './folder';
export { idx, type IdxOptions } from './idx';
export { fromIterable, type IterableOptions, type LabelledImage } from './iterable';
export { split, subset } from './parts';
export type { CacheOption } from './picture-cache';
export type { PictureSetOptions } from './picture-options';
export { fromReader, type ReaderOptions } from './reader';
