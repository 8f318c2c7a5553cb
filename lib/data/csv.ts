import path from 'node:path';
import { parse } from 'csv-parse/sync';
import { DenseNetError, reasonOf } from '../errors';
import { checkNames, checkOptions, checkPath, checkString, didYouMean, invalidArgument, show } from '../validate';
import type { ArrayDataset, Dataset, StreamedDataset } from './dataset';
import { checkPictureSet, checkSetOptions, checkWantedClasses, type PictureSetOptions } from './picture-options';
import type { PictureList } from './picture-list';
import { readList } from './read-list';
import { readWhole } from './read-file';

/** Options of {@link csv}. */
export interface CsvOptions extends PictureSetOptions {
  /** The column with the pictures' paths, default the first. */
  path?: string;
  /** What the paths are relative to, default the folder of the CSV file. */
  folder?: string;
  /** The column with the one class of each picture, default `label`. Not beside `labels`. */
  label?: string;
  /**
   * Several labels a picture, or none: columns of their own, each 0 or 1 (empty is 0), whose names are the classes; or
   * one column that lists classes.
   */
  labels?: string[] | CsvLabelList;
  /** The classes in the order of their indices; default: all that occur, sorted. Not where `labels` names columns. */
  classes?: string[];
  /** What stands between two fields, default `,`. */
  delimiter?: string;
}

/** A column that lists the classes of a picture. */
export interface CsvLabelList {
  /** Its name. */
  column: string;
  /** What stands between two of them, default `|`. */
  separator?: string;
  /** What stands for no class at all, such as `No Finding`; so does an empty field. Default none. */
  none?: string;
}

const ownKeys = ['path', 'folder', 'label', 'labels', 'classes', 'delimiter'] as const;

/**
 * A data set from a CSV file (RFC 4180, UTF-8, with a header) that lists pictures and their labels. Pictures are
 * decoded as {@link imageFolder} does it.
 *
 * @param file A line a picture.
 * @throws DenseNetError `ERR_FILE`, `ERR_FILE_FORMAT` where it is no CSV, `ERR_DATASET` with every fault of its lines and
 *   pictures that was found, `ERR_OUT_OF_MEMORY`.
 */
export async function csv(file: string, options: CsvOptions & { decode: 'ahead' }): Promise<StreamedDataset>;
export async function csv(file: string, options?: CsvOptions & { decode?: 'now' }): Promise<ArrayDataset>;
export async function csv(file: string, options?: CsvOptions): Promise<Dataset>;
export async function csv(file: string, options?: CsvOptions): Promise<Dataset> {
  checkPath('file', file);
  const given = checkSetOptions(options, ownKeys);
  const plan = checkPictureSet(given);
  checkColumns(given);
  return readList(listCsv(file, (await readWhole(file)).toString('utf8'), given), plan);
}

function checkColumns({ path: column, folder, label, labels, delimiter, classes }: CsvOptions): void {
  if (column !== undefined) checkString('path', column);
  if (folder !== undefined) checkPath('folder', folder);
  if (label !== undefined) checkString('label', label);
  if (delimiter !== undefined) checkString('delimiter', delimiter);
  if (label !== undefined && labels !== undefined)
    throw new DenseNetError('ERR_INVALID_ARGUMENT', 'label and labels exclude each other: give one of them.');
  if (Array.isArray(labels)) {
    checkNames('labels', labels);
    if (classes !== undefined)
      throw new DenseNetError('ERR_INVALID_ARGUMENT', 'the columns of labels are the classes: leave classes out.');
  } else if (labels !== undefined) {
    const { column: list, separator, none } = checkOptions('labels', labels, ['column', 'separator', 'none']);
    checkString('labels.column', list);
    if (separator !== undefined) checkString('labels.separator', separator);
    if (none !== undefined && typeof none !== 'string') throw invalidArgument('labels.none', 'a string', none);
  }
}

interface Row {
  line: number;
  fields: Record<string, string>;
}

function listCsv(file: string, text: string, options: CsvOptions): PictureList {
  const { rows, columns } = readRows(file, text, options.delimiter ?? ',');
  const [firstColumn = ''] = columns;
  const pathColumn = options.path ?? firstColumn;
  const wanted = [pathColumn, ...labelColumns(options)];
  const missing = wanted.filter((name) => !columns.includes(name));
  const faults = missing.map((name) => `there is no column ${show(name)}.${didYouMean(name, columns)}`);
  const files: string[] = [];
  const found: string[][] = [];
  const lines = new Map<string, number>();
  const folder = options.folder ?? path.dirname(file);
  for (const { line, fields } of missing.length > 0 ? [] : rows) {
    const written = (fields[pathColumn] ?? '').trim();
    const place = path.resolve(folder, written);
    const earlier = lines.get(place);
    if (written === '' || written.includes('\0')) faults.push(`line ${line}: the path is empty or holds a zero byte`);
    else if (earlier !== undefined) faults.push(`line ${line}: ${written} was named before, in line ${earlier}`);
    lines.set(place, line);
    files.push(place);
    found.push(readLabels(fields, options, (fault) => faults.push(`line ${line}: ${fault}`)));
  }
  const classes = classesOf(options, found);
  for (const [index, names] of found.entries())
    for (const name of names)
      if (!classes.includes(name))
        faults.push(`line ${rows[index]?.line}: ${show(name)} is not among the classes.${didYouMean(name, classes)}`);
  if (missing.length === 0 && classes.length === 0) faults.push('no picture has a label');
  const labels = toLabels(found, classes, options.labels !== undefined);
  return { place: file, files, labels, classes, faults, broken: [] };
}

function labelColumns({ label, labels }: CsvOptions): string[] {
  return Array.isArray(labels) ? labels : [labels?.column ?? label ?? 'label'];
}

/** The rows with the numbers of the lines that they begin on. */
function readRows(file: string, text: string, delimiter: string): { rows: Row[]; columns: string[] } {
  let records: { info: { lines: number }; record: string[] }[];
  try {
    records = parse(text, { bom: true, delimiter, info: true, skip_empty_lines: true }) as unknown as typeof records;
  } catch (error) {
    const reason = reasonOf(error);
    throw new DenseNetError('ERR_FILE_FORMAT', `${file} cannot be read as CSV: ${reason}.`, { cause: error });
  }
  const [head, ...rest] = records;
  if (head === undefined || rest.length === 0)
    throw new DenseNetError('ERR_DATASET', `${file} needs a line of column names and a line for each picture.`);
  const columns = head.record.map((name) => name.trim());
  const rows = rest.map(({ record, info }) => ({
    line: info.lines,
    fields: Object.fromEntries(columns.map((name, index) => [name, record[index] ?? ''])),
  }));
  return { rows, columns };
}

/** The classes that a line names. */
function readLabels(fields: Row['fields'], { label = 'label', labels }: CsvOptions, fault: (text: string) => void) {
  if (labels === undefined) {
    const name = (fields[label] ?? '').trim();
    if (name === '') fault(`the label is empty`);
    return [name];
  }
  if (!Array.isArray(labels)) {
    const { column, separator = '|', none = '' } = labels;
    const names = (fields[column] ?? '').split(separator).map((name) => name.trim());
    return names.filter((name) => name !== '' && name !== none);
  }
  return labels.filter((name) => {
    const value = (fields[name] ?? '').trim();
    const number = value === '' ? 0 : Number(value);
    if (number !== 0 && number !== 1) fault(`${show(name)} is ${show(value)}, which must be 0, 1 or empty`);
    return number === 1;
  });
}

function classesOf({ labels, classes }: CsvOptions, found: readonly string[][]): string[] {
  if (Array.isArray(labels)) return [...labels];
  const names = new Set(found.flat().filter((name) => name !== ''));
  return checkWantedClasses(classes, 'of classes') ?? [...names].sort((a, b) => (a < b ? -1 : 1));
}

function toLabels(found: readonly string[][], classes: readonly string[], several: boolean): PictureList['labels'] {
  const index = new Map(classes.map((name, place) => [name, place]));
  if (!several) return Int32Array.from(found, ([name]) => index.get(name as string) ?? 0);
  const targets = new Float32Array(found.length * classes.length);
  for (const [image, names] of found.entries())
    for (const name of names) targets[image * classes.length + (index.get(name) ?? 0)] = 1;
  return targets;
}
