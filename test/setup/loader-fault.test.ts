import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { runCommand } from '../../lib/runtime/fetch';
import { explainLoaderFault } from '../../lib/runtime/loader-fault';
import { readLibtorch, type Libtorch } from '../../lib/runtime/locate';
import { tryLoad } from '../../lib/runtime/install/try-load';
import { makeLibtorch, put, temporaryFolder } from './fakes';
import { loadable } from './wheels';

const folder = temporaryFolder();
const at = (...names: string[]) => path.join(folder(), ...names);

const libtorch: Libtorch = {
  path: '/l',
  libraries: ['/l/lib/libtorch.so'],
  version: '2.11.0',
  build: 'cu130',
  source: 'installed',
};
const missing = (name: string) => `${name}: cannot open shared object file: No such file or directory`;
const cuda = 'npx densenet install-libtorch --cuda';

describe('the words of the system’s loader', () => {
  it.each([
    'libcudnn.so.9',
    'libcublasLt.so.13',
    'libnccl.so.2',
    'libnvshmem_host.so.3',
    'libcusparseLt.so.0',
    'libcudart.so.13',
  ])('on a missing %s are explained as an NVIDIA library that lacks', (name) => {
    const { text, mend } = explainLoaderFault(missing(name), libtorch) ?? {};
    expect(text).toContain(`${name} is one of NVIDIA's libraries`);
    expect(text).toContain('/l does not have');
    expect(mend).toBe(cuda);
  });

  it('on a missing libcuda are explained as the driver', () => {
    const { text, mend } = explainLoaderFault(missing('libcuda.so.1'), libtorch) ?? {};
    expect(text).toContain("libcuda.so.1 belongs to NVIDIA's driver");
    expect(mend).toMatch(/nvidia-driver/);
  });

  it('on half of a libtorch say so', () => {
    expect(explainLoaderFault(missing('libtorch_cpu.so'), libtorch)).toEqual({
      text: 'The libtorch in /l lacks its own libtorch_cpu.so, so it is half of one.',
      mend: cuda,
    });
    expect(explainLoaderFault(missing('libc10.so'), { ...libtorch, build: 'cpu' })?.mend).toBe(
      'npx densenet install-libtorch --cpu',
    );
  });

  it('on an addon that was built for CUDA, beside a CPU build, say what to build', () => {
    expect(explainLoaderFault(missing('libtorch_cuda.so'), { ...libtorch, build: 'cpu' })).toEqual({
      text: 'The addon was built against a CUDA build of libtorch, and this one is a CPU build.',
      mend: 'npx densenet setup',
    });
  });

  it('on a damaged libtorch of the cache say how to renew it', () => {
    const said = '/l/lib/libtorch.so: file too short';
    expect(explainLoaderFault(said, libtorch)?.mend).toBe(cuda);
    expect(explainLoaderFault(said, { ...libtorch, source: 'LIBTORCH' })).toBeUndefined();
    expect(explainLoaderFault('/addon.node: file too short', libtorch)).toBeUndefined();
  });

  it('on a folder that LIBTORCH names say to unset it, since it would go first', () => {
    const { mend } = explainLoaderFault(missing('libcudnn.so.9'), { ...libtorch, source: 'LIBTORCH' }) ?? {};
    expect(mend).toBe(`unset LIBTORCH; ${cuda}`);
  });

  it.each([missing('libgomp.so.1'), missing('/l/lib/libtorch.so'), 'undefined symbol: _ZN3c10'])(
    'are left as they are where they are clear: %s',
    (words) => expect(explainLoaderFault(words, libtorch)).toBeUndefined(),
  );
});

describe('trying to load a libtorch', () => {
  /** A libtorch whose library needs another, as a CUDA build needs NVIDIA's. */
  async function makeNeedy(name: string): Promise<Libtorch> {
    const root = await makeLibtorch(at('needy'), { version: '2.11.0+cu130' });
    const source = await put(at('empty.c'), 'int nothing(void) { return 0; }\n');
    await mkdir(at('nvidia'));
    const compile = async (...args: string[]) => {
      const { code, output } = await runCommand('cc', ['-shared', '-fPIC', source, ...args], process.env);
      if (code !== 0) throw new Error(output);
    };
    await compile('-o', at('nvidia', name), `-Wl,-soname,${name}`);
    await compile('-o', path.join(root, 'lib', 'libtorch.so'), '-Wl,--no-as-needed', `-L${at('nvidia')}`, `-l:${name}`);
    await rm(at('nvidia'), { recursive: true });
    return (await readLibtorch(root, 'option')).libtorch as Libtorch;
  }

  it('says nothing of one that loads', async () => {
    const root = await makeLibtorch(at('sound'), { library: loadable });
    expect(await tryLoad((await readLibtorch(root, 'option')).libtorch as Libtorch)).toBeUndefined();
  });

  it('gives the loader’s words of one without NVIDIA’s libraries', async () => {
    const needy = await makeNeedy('libcudnn.so.9');
    const said = (await tryLoad(needy)) ?? '';
    expect(said).toBe(missing('libcudnn.so.9'));
    expect(explainLoaderFault(said, { ...needy, source: 'cache' })?.mend).toBe(cuda);
  });

  it('gives the loader’s words of one that is damaged', async () => {
    const root = await makeLibtorch(at('broken'));
    expect(await tryLoad((await readLibtorch(root, 'option')).libtorch as Libtorch)).toMatch(
      /libtorch\.so: file too short$/,
    );
  });
});
