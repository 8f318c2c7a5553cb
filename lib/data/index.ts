/** Data sets: `datasets` of the package. */
export { fromArrays, split, subset, type ArrayOptions } from './arrays';
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
export type { PictureSetOptions } from './picture-options';
