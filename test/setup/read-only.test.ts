import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { findPretrained } from '../../lib/weights/hub';
import { isDenseNetError } from '../../lib/errors';
import { fetchLibtorch } from '../../lib/runtime/fetch';
import { locateLibtorch } from '../../lib/runtime/locate';
import { prelude, root } from '../child';
import { findCommand, rejection, temporaryFolder } from './fakes';

const folder = temporaryFolder();
const home = () => path.join(folder(), 'home');

/** A home that its owner cannot write. */
beforeEach(async () => {
  await mkdir(home());
  await chmod(home(), 0o500);
});

/** For root, who writes anywhere, a process without that power. */
const powerless =
  process.getuid?.() === 0 ? [findCommand('setpriv') ?? 'setpriv', '--bounding-set=-all', '--inh-caps=-all'] : [];

/** Runs a program with that home, and nothing in it; what is found beside it stays where it is. */
function runAtHome(body: string, env: NodeJS.ProcessEnv): { status: number | null; stdout: string; stderr: string } {
  const program = `${prelude}\n(async () => {\n${body}\n})();`;
  const own = powerless.length > 0 ? [process.execPath] : [];
  const { LIBTORCH_DENSENET_CACHE: _, XDG_CACHE_HOME: __, ...others } = process.env;
  const ended = spawnSync(powerless[0] ?? process.execPath, [...powerless.slice(1), ...own, '-e', program], {
    cwd: root,
    env: { ...others, HOME: home(), ...env },
    encoding: 'utf8',
  });
  if (ended.error) throw ended.error;
  return ended;
}

test('loading, training and predicting work where the home cannot be written, and leave nothing there', async () => {
  const { libtorch } = await locateLibtorch();
  const ended = runAtHome(
    `const refused = await require('node:fs/promises').mkdir(${JSON.stringify(path.join(home(), '.cache'))}).catch(({ code }) => code);
     const model = await DenseNet.create(tiny);
     const { epochs } = await trainer(model).fit(data(12), { epochs: 1, batchSize: 4 });
     console.log(refused, epochs.length, (await model.predict(images(2))).length);`,
    { LIBTORCH: libtorch?.path },
  );
  expect(ended).toMatchObject({ status: 0, stdout: 'EACCES 1 2\n', stderr: '' });
  expect(await readdir(home())).toEqual([]);
});

test('fetching libtorch into it says what cannot be written and what to set', () => {
  const program = `require('./lib/runtime/fetch').fetchLibtorch().catch(({ code, message }) => console.log(code, message));`;
  const ended = runAtHome(program, {});
  expect(ended.stdout).toBe(
    `ERR_DENSENET_FILE ${path.join(home(), '.cache', 'libtorch-densenet', 'libtorch')} cannot be written (EACCES). ` +
      'It is in the cache. Set LIBTORCH_DENSENET_CACHE to a folder that can be written, or LIBTORCH to a libtorch that is there.\n',
  );
});

describe('a cache that lies below a file', () => {
  beforeEach(async () => {
    await writeFile(path.join(folder(), 'file'), '');
    process.env['LIBTORCH_DENSENET_CACHE'] = path.join(folder(), 'file', 'cache');
  });
  afterEach(() => delete process.env['LIBTORCH_DENSENET_CACHE']);

  it('is named by fetchLibtorch, before anything is downloaded', async () => {
    const error = await rejection(fetchLibtorch());
    expect(error.code).toBe('ERR_DENSENET_FILE');
    expect(error.message).toContain(path.join(folder(), 'file', 'cache'));
  });

  it('is named by findPretrained', async () => {
    const error = await rejection(findPretrained('densenet121', { mirror: 'http://127.0.0.1:9' }));
    expect(isDenseNetError(error)).toBe(true);
    expect(error.code).toBe('ERR_FILE');
    expect(error.message).toContain(path.join(folder(), 'file', 'cache'));
  });
});
