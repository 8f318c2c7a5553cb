import { mkdir } from 'node:fs/promises';
import { datasets } from '../../lib';
import { firstPixels, pictureFolder, small } from './picture-folder';
import { expectRefusal } from './support';

const { inFolder, paint } = pictureFolder();

describe('imageFolders', () => {
  it('takes train and val as they are, with the classes of train', async () => {
    await paint('parts/train/a/1.png', 1);
    await paint('parts/train/b/2.png', 2);
    await paint('parts/val/b/3.png', 3);
    await paint('parts/val/a/4.png', 4);
    await paint('parts/ignored/c/5.png', 5);
    const { train, validation } = await datasets.imageFolders(inFolder('parts'), small);
    expect([train, validation].map((data) => [data.classes, [...data.labels], firstPixels(data)])).toEqual([
      [
        ['a', 'b'],
        [0, 1],
        [1, 2],
      ],
      [
        ['a', 'b'],
        [0, 1],
        [4, 3],
      ],
    ]);
  });

  it('refuses a class that one of the two has not', async () => {
    await paint('uneven/train/a/1.png', 1);
    await paint('uneven/train/b/2.png', 2);
    await paint('uneven/test/a/3.png', 3);
    await expectRefusal(() => datasets.imageFolders(inFolder('uneven'), small), 'ERR_DATASET', 'uneven/test/b');
  });

  it('splits each class by a seed, always alike, where there are no such folders', async () => {
    for (let n = 0; n < 10; n += 1)
      for (const name of ['a', 'b']) await paint(`whole/${name}/${n}.png`, n + (name === 'a' ? 0 : 100));
    const read = (options: object = {}) => datasets.imageFolders(inFolder('whole'), { ...small, ...options });
    const { train, validation } = await read({ holdOut: 0.3 });
    expect([[...train.labels], [...validation.labels]].map((labels) => labels.join(''))).toEqual([
      '00000001111111',
      '000111',
    ]);
    expect([...firstPixels(train), ...firstPixels(validation)].sort((x, y) => x - y)).toEqual(
      [0, 100].flatMap((start) => Array.from({ length: 10 }, (_, n) => start + n)),
    );
    expect(firstPixels((await read({ holdOut: 0.3 })).validation)).toEqual(firstPixels(validation));
    expect(firstPixels((await read({ holdOut: 0.3, seed: 8 })).validation)).not.toEqual(firstPixels(validation));
    expect((await read()).validation.size).toBe(4);
  });

  it('tells what is wrong once, whichever part it would be in', async () => {
    for (let n = 0; n < 5; n += 1) await paint(`wrong/a/${n}.png`, n);
    await mkdir(inFolder('wrong/b'), { recursive: true });
    await expectRefusal(() => datasets.imageFolders(inFolder('wrong'), small), 'ERR_DATASET', '1 fault:', 'wrong/b');
  });

  it.each<[object, string]>([
    [{ holdOut: 0 }, 'one of the two data sets empty'],
    [{ holdOut: 1 }, 'holdOut'],
    [{ holdOut: '0.2' }, 'holdOut'],
    [{ seed: -1 }, 'seed'],
    [{ holdout: 0.2 }, 'Did you mean "holdOut"'],
  ])('refuses %j', async (options, text) => {
    const call = () => datasets.imageFolders(inFolder('whole'), { ...small, ...options });
    await expectRefusal(call, 'ERR_INVALID_ARGUMENT', text);
  });
});
