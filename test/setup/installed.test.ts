import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { foreignArchitecture } from '../../lib/runtime/architecture';
import { findCores } from '../../lib/runtime/cores';
import { noteInstalled, readInstalled } from '../../lib/runtime/installed';
import { locateLibtorch, readLibtorch, type LocateOptions } from '../../lib/runtime/locate';
import { root, runNode } from '../child';
import { bareEnvironment, makeLibtorch, put, temporaryFolder } from './fakes';

const folder = temporaryFolder();
const at = (...names: string[]) => path.join(folder(), ...names);
const inCache = (...names: string[]) => at('cache', 'libtorch', ...names);
const locate = (options: LocateOptions = {}) => locateLibtorch({ env: bareEnvironment(folder()), ...options });

describe('what was installed last', () => {
  beforeEach(async () => {
    await makeLibtorch(inCache('2.13.0+cpu'));
    await makeLibtorch(inCache('2.11.0+cu130', 'torch'), { version: '2.11.0+cu130' });
  });

  it('goes before what is newer, and says so', async () => {
    expect((await locate()).libtorch).toMatchObject({ version: '2.13.0', source: 'cache' });
    await noteInstalled(inCache(), inCache('2.11.0+cu130'));
    expect((await locate()).libtorch).toMatchObject({
      path: inCache('2.11.0+cu130', 'torch'),
      build: 'cu130',
      source: 'installed',
    });
    await noteInstalled(inCache(), inCache('2.13.0+cpu'));
    expect((await locate()).libtorch).toMatchObject({ version: '2.13.0', build: 'cpu', source: 'installed' });
  });

  it('goes after LIBTORCH', async () => {
    await noteInstalled(inCache(), inCache('2.11.0+cu130'));
    const LIBTORCH = await makeLibtorch(at('own'));
    expect((await locate({ env: { ...bareEnvironment(folder()), LIBTORCH } })).libtorch?.source).toBe('LIBTORCH');
  });

  it('is told of where it does not fit, and the next that does is taken', async () => {
    await noteInstalled(inCache(), inCache('2.11.0+cu130'));
    const { libtorch, tried, mismatched } = await locate({ accept: (version) => version === '2.13.0' });
    expect(libtorch).toMatchObject({ version: '2.13.0', source: 'cache' });
    expect(mismatched).toMatchObject([{ version: '2.11.0', source: 'installed' }]);
    expect(tried[1]).toEqual({
      source: 'installed',
      place: inCache('2.11.0+cu130'),
      result: 'libtorch 2.11.0 (cu130), which does not fit',
    });
  });

  it('may lie outside the cache, and is told of when it is gone', async () => {
    const place = await makeLibtorch(at('mine'), { version: '2.12.0' });
    await noteInstalled(inCache(), place);
    expect((await locate()).libtorch).toMatchObject({ path: place, source: 'installed' });
    await rm(place, { recursive: true });
    const { libtorch, tried } = await locate();
    expect(libtorch?.version).toBe('2.13.0');
    expect(tried[1]).toEqual({ source: 'installed', place, result: 'there is no such folder' });
  });

  it('moves with the cache', async () => {
    await noteInstalled(inCache(), inCache('2.11.0+cu130'));
    await rename(at('cache'), at('moved'));
    expect(await readInstalled(at('moved', 'libtorch'))).toBe(at('moved', 'libtorch', '2.11.0+cu130'));
  });

  it.each(['', 'no JSON', '[]', '{"place": 3}', 'null'])('is nothing where the note holds %j', async (text) => {
    await put(inCache('installed.json'), text);
    expect((await locate()).libtorch).toMatchObject({ version: '2.13.0', source: 'cache' });
  });
});

describe('the set-up of an installed package', () => {
  /** The version that it would take as it is; `build` where it would build. */
  async function taken(): Promise<string> {
    const program = `require(${JSON.stringify(path.join(root, 'scripts', 'setup.js'))})
      .findFitting().then((libtorch) => console.log(libtorch ? libtorch.version : 'build'));`;
    const { stdout } = await runNode(['-e', program], { env: { ...bareEnvironment(folder()), LIBTORCH: undefined } });
    return stdout.trim();
  }

  it('takes what the addon fits, and builds for what was installed last and does not', async () => {
    const [version = ''] = (await findCores(root)).keys();
    await makeLibtorch(inCache(`${version}+cpu`), { version });
    expect(await taken()).toBe(version);
    await makeLibtorch(inCache('2.99.0+cu130', 'torch'), { version: '2.99.0+cu130' });
    expect(await taken()).toBe(version);
    await noteInstalled(inCache(), inCache('2.99.0+cu130'));
    expect(await taken()).toBe('build');
    await noteInstalled(inCache(), inCache(`${version}+cpu`));
    expect(await taken()).toBe(version);
  });
});

test.each(['torch', 'libtorch'])('a folder with %s in it is one that holds libtorch', async (name) => {
  const place = await makeLibtorch(at('site', name));
  expect((await readLibtorch(at('site'), 'option')).libtorch?.path).toBe(place);
});

describe('a libtorch for other processors', () => {
  /** The beginning of an ELF file. */
  const elf = (machine: number, big = false): Buffer => {
    const header = Buffer.alloc(64);
    header.write('\x7fELF', 'latin1');
    header[4] = 2;
    header[5] = big ? 2 : 1;
    if (big) header.writeUInt16BE(machine, 18);
    else header.writeUInt16LE(machine, 18);
    return header;
  };
  const [foreign, number] = process.arch === 'arm64' ? (['x64', 62] as const) : (['arm64', 183] as const);

  it('is refused with both architectures and what mends it', async () => {
    const place = await makeLibtorch(at('own'));
    await put(path.join(place, 'lib', 'libtorch.so'), elf(number));
    const { libtorch, tried } = await locate({ libtorch: place });
    expect(libtorch).toBeUndefined();
    expect(tried[0]?.result).toBe(
      `its lib/libtorch.so is built for ${foreign} and this Node for ${process.arch}; \`npx densenet install-libtorch\` installs one that fits`,
    );
  });

  it.each<[string, Buffer | string, string | undefined]>([
    ['another', elf(number), foreign],
    ['big-endian s390x', elf(22, true), 's390x'],
    ['a machine without a name', elf(9999), 'machine 9999'],
    ['text', 'this is no library', undefined],
    ['an empty file', '', undefined],
  ])('%s is told from the header', async (_, content, expected) => {
    expect(await foreignArchitecture(await put(at('lib.so'), content))).toBe(expected);
  });

  it('is not what this Node itself is', async () => {
    expect(await foreignArchitecture(process.execPath)).toBeUndefined();
  });
});
