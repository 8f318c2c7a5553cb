import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { datasets, type ArrayDataset } from '../../lib';
import { expectRefusal, refusal, temporaryFolder, wrong } from './support';

const inFolder = temporaryFolder();
const small = { imageSize: [2, 2] as [number, number], channels: 1 as const };

beforeAll(async () => {
  await mkdir(inFolder('pictures'));
  for (const grey of [10, 20, 30, 40])
    await sharp({ create: { width: 2, height: 2, channels: 3, background: { r: grey, g: grey, b: grey } } }).toFile(
      inFolder(`pictures/${grey}.png`),
    );
});

let tables = 0;

async function table(...lines: string[]): Promise<string> {
  const file = inFolder(`pictures/${(tables += 1)}.csv`);
  await writeFile(file, `${lines.join('\n')}\n`);
  return file;
}

const pixels = ({ size, images }: ArrayDataset) => Array.from({ length: size }, (_, image) => images.data[image * 4]);

describe('datasets.csv with one label a picture', () => {
  it('reads paths beside the file and sorts the classes', async () => {
    const data = await datasets.csv(await table('path,label', '30.png,dog', '10.png,cat', '20.png,dog'), small);
    expect([pixels(data), [...data.labels], data.classes]).toEqual([
      [30, 10, 20],
      [1, 0, 1],
      ['cat', 'dog'],
    ]);
  });

  it('takes other columns, folders, classes and delimiters', async () => {
    const file = await table('\ufeffid;species;file', '1;"owl; barn";10.png', '2;wren;./20.png');
    const data = await datasets.csv(file, {
      ...small,
      path: 'file',
      label: 'species',
      folder: inFolder('pictures'),
      classes: ['wren', 'duck', 'owl; barn'],
      delimiter: ';',
    });
    expect([pixels(data), [...data.labels], data.classes]).toEqual([
      [10, 20],
      [2, 0],
      ['wren', 'duck', 'owl; barn'],
    ]);
  });
});

describe('datasets.csv with several labels a picture', () => {
  it('reads columns of 0 and 1, which are the classes', async () => {
    const file = await table('path,age,Mass,Edema', '10.png,60,1,0', '20.png,51,1.0,1', '30.png,44,,');
    const data = await datasets.csv(file, { ...small, labels: ['Edema', 'Mass'] });
    expect([data.classes, Object.prototype.toString.call(data.labels)]).toEqual([
      ['Edema', 'Mass'],
      '[object Float32Array]',
    ]);
    expect([...data.labels]).toEqual([0, 1, 1, 1, 0, 0]);
    expect(datasets.classCounts(data)).toEqual([1, 2]);
  });

  it('reads a column that lists them, with a word for none', async () => {
    const file = await table('Image Index,Finding Labels', '10.png,Mass|Edema', '20.png,No Finding', '30.png,Edema');
    const data = await datasets.csv(file, { ...small, labels: { column: 'Finding Labels', none: 'No Finding' } });
    expect([data.classes, [...data.labels]]).toEqual([
      ['Edema', 'Mass'],
      [1, 1, 0, 0, 1, 0],
    ]);
  });

  it('gives what split and subset divide, label by label', async () => {
    const file = await table('path,a,b', '10.png,1,0', '20.png,0,1', '30.png,1,1', '40.png,0,0');
    const data = await datasets.csv(file, { ...small, labels: ['a', 'b'] });
    const chosen = datasets.subset(data, [2, 0]);
    expect([pixels(chosen), [...chosen.labels]]).toEqual([
      [30, 10],
      [1, 1, 1, 0],
    ]);
    const [first, second] = datasets.split(data, 0.5, { seed: 3 });
    expect([...pixels(first), ...pixels(second)].sort()).toEqual([10, 20, 30, 40]);
    expect([first.labels.length, second.labels.length]).toEqual([4, 4]);
  });
});

describe('datasets.csv refuses', () => {
  it('all faults of lines and pictures at once, each with its line or file', async () => {
    const file = await table('path,label', '10.png,', ',cat', '20.png,cat', '20.png,dog', 'gone.png,dog');
    const { code, message } = await refusal(() => datasets.csv(file, small));
    expect(code).toBe('ERR_DATASET');
    for (const text of ['line 2: the label is empty', 'line 3: the path', 'line 5: 20.png was named before, in line 4'])
      expect(message).toContain(text);
    expect(message).toContain(`${inFolder('pictures/gone.png')} cannot be read`);
  });

  it('columns that are not there, with the nearest', async () => {
    const file = await table('path,lable', '10.png,cat');
    await expectRefusal(() => datasets.csv(file, small), 'ERR_DATASET', 'no column "label"', 'Did you mean "lable"');
    await expectRefusal(() => datasets.csv(file, { ...small, path: 'file', label: 'lable' }), 'ERR_DATASET', '"file"');
  });

  it('a class that is not among those given, and a value other than 0 and 1', async () => {
    const named = await table('path,label', '10.png,cat', '20.png,dgo');
    await expectRefusal(
      () => datasets.csv(named, { ...small, classes: ['cat', 'dog'] }),
      'ERR_DATASET',
      'line 3: "dgo"',
      'Did you mean "dog"',
    );
    const counted = await table('path,a', '10.png,1', '20.png,-1', '30.png,x');
    await expectRefusal(
      () => datasets.csv(counted, { ...small, labels: ['a'] }),
      'ERR_DATASET',
      'line 3: "a" is "-1"',
      'line 4: "a" is "x"',
    );
  });

  it.each<[string, string[], string, string]>([
    ['quotes that are never closed', ['path,label', '"10.png,cat'], 'ERR_FILE_FORMAT', 'CSV'],
    ['a line of too many fields', ['path,label', '10.png,cat,dog'], 'ERR_FILE_FORMAT', 'CSV'],
    ['a header alone', ['path,label'], 'ERR_DATASET', 'a line for each picture'],
    ['nothing', [], 'ERR_DATASET', 'a line for each picture'],
    ['lists in which no class is named', ['path,label', '10.png,'], 'ERR_DATASET', 'no picture has a label'],
  ])('%s', async (_, lines, code, text) => {
    const labels = lines[1] === '10.png,' ? { labels: { column: 'label' } } : {};
    await expectRefusal(async () => datasets.csv(await table(...lines), { ...small, ...labels }), wrong(code), text);
  });

  it.each<[unknown, string]>([
    [{ foldr: 'a' }, 'Did you mean "folder"'],
    [{ label: 'a', labels: ['b'] }, 'exclude each other'],
    [{ labels: ['a'], classes: ['a'] }, 'leave classes out'],
    [{ labels: [] }, 'labels'],
    [{ labels: { column: 'a', seperator: ',' } }, 'Did you mean "separator"'],
    [{ labels: 'a' }, 'labels'],
    [{ delimiter: '' }, 'delimiter'],
    [{ folder: 3 }, 'folder'],
    [{ limitInputPixels: 0 }, 'limitInputPixels'],
  ])('the options %j', async (options, text) => {
    const file = await table('path,label', '10.png,cat');
    await expectRefusal(
      () => datasets.csv(file, wrong({ ...small, ...(options as object) })),
      'ERR_INVALID_ARGUMENT',
      text,
    );
  });

  it('a file that is not there, is a folder, or has a zero byte in its path', async () => {
    await expectRefusal(() => datasets.csv(inFolder('none.csv')), 'ERR_FILE', inFolder('none.csv'));
    await expectRefusal(() => datasets.csv(inFolder('pictures')), 'ERR_FILE', 'regular file');
    await expectRefusal(() => datasets.csv('a\0'), 'ERR_INVALID_ARGUMENT', 'zero bytes');
  });

  it('a picture beyond limitInputPixels, which broken: skip counts instead', async () => {
    await sharp({ create: { width: 50, height: 40, channels: 3, background: 'white' } }).toFile(
      path.join(inFolder('pictures'), 'large.png'),
    );
    const file = await table('path,label', '10.png,a', 'large.png,b');
    const options = { ...small, limitInputPixels: 1999 };
    await expectRefusal(() => datasets.csv(file, options), 'ERR_DATASET', 'ERR_IMAGE_TOO_LARGE', '50×40 (0.0 MP)');
    const data = await datasets.csv(file, { ...options, broken: 'skip' });
    expect([data.size, [...data.labels], data.skipped?.length]).toEqual([1, [0], 1]);
    expect(data.skipped?.[0]).toContain('large.png is 50×40');
  });
});
