import { rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import type { Finding } from '../../lib/runtime/doctor';
import { findCores } from '../../lib/runtime/cores';
import { runCommand } from '../../lib/runtime/fetch';
import { libraryName, locateLibtorch } from '../../lib/runtime/locate';
import { root, runNode } from '../child';
import { noteInstalled } from '../../lib/runtime/installed';
import { bareEnvironment, makeCommand, makeLibtorch, put, temporaryFolder } from './fakes';

const folder = temporaryFolder();
const doctor = (args: string[], env: NodeJS.ProcessEnv) =>
  runNode([path.join(root, 'dist', 'cli', 'main.js'), 'doctor', ...args], { env });

/** What `densenet doctor --json` prints, and how it exits. */
async function examine(env: NodeJS.ProcessEnv): Promise<{ code: number | null; findings: Finding[] }> {
  const { code, stdout, stderr } = await doctor(['--json'], env);
  expect(stderr).toBe('');
  return { code, findings: JSON.parse(stdout) as Finding[] };
}

describe('densenet doctor where all is well', () => {
  it('finds libtorch, the addon and a training step that runs, and exits with 0', async () => {
    const { code, findings } = await examine({});
    expect(code).toBe(0);
    expect(findings.filter(({ state }) => state === 'fault')).toEqual([]);
    const found = Object.fromEntries(findings.map((finding) => [finding.subject, finding.found]));
    const cores = await findCores(root);
    const { libtorch } = await locateLibtorch({ accept: (version) => cores.has(version) });
    expect(found['system']).toBe(`Node ${process.versions.node}, ${process.platform}-${process.arch}`);
    expect(found['libtorch']).toBe(
      `${libtorch?.version} (${libtorch?.build}) in ${libtorch?.path}, from ${libtorch?.source}`,
    );
    expect(found['addon']).toContain(cores.get(libtorch?.version ?? ''));
    expect(found['training step']).toMatch(/^runs on (cpu|cuda:0) \(loss \d/);
    expect(found).toHaveProperty('CUDA');
  });

  it('prints a line for each thing and exits with 0', async () => {
    const { code, stdout, stderr } = await doctor([], {});
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const subject of ['system', 'libtorch', 'addon', 'CPU', 'training step'])
      expect(stdout).toMatch(new RegExp(`^✔ ${subject}: .+`, 'm'));
    expect(stdout).not.toContain('✘');
  });
});

describe('densenet doctor without libtorch', () => {
  const nothing = () => ({ ...bareEnvironment(folder()), LIBTORCH: undefined });

  it('says so with the places that were tried and what mends it, and exits with 1', async () => {
    const { code, findings } = await examine(nothing());
    expect(code).toBe(1);
    expect(findings.map(({ state, subject }) => [state, subject])).toEqual([
      ['good', 'system'],
      [expect.any(String), 'NVIDIA driver'],
      ['fault', 'ERR_LIBTORCH_NOT_FOUND'],
    ]);
    expect(findings[2]?.found).toContain(path.join(folder(), 'cache', 'libtorch'));
    expect(findings[2]?.mend).toBe('npx densenet setup');
  });

  it('says the same in words, on stdout, and exits with 1', async () => {
    const { code, stdout, stderr } = await doctor([], nothing());
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(stdout).toMatch(/^✔ system: /m);
    expect(stdout).toMatch(/^✘ ERR_LIBTORCH_NOT_FOUND: /m);
    expect(stdout).toMatch(/^ +mend: .*npx densenet setup/m);
  });

  it('says the code of its finding once', async () => {
    const { stdout } = await doctor([], nothing());
    expect(stdout.match(/ERR_LIBTORCH_NOT_FOUND/g)).toHaveLength(1);
  });
});

test('densenet doctor names a libtorch of another version, and exits with 1', async () => {
  const place = await makeLibtorch(path.join(folder(), 'other'), { version: '2.99.1' });
  const { code, findings } = await examine({ LIBTORCH: place });
  expect(code).toBe(1);
  expect(findings.at(-1)).toMatchObject({ state: 'fault', subject: 'ERR_LIBTORCH_VERSION' });
  expect(findings.at(-1)?.found).toContain('2.99.1');
});

describe('densenet doctor on a machine with an NVIDIA GPU', () => {
  const h100 = '580.65.06, NVIDIA H100 80GB HBM3, 81559, 81079';
  /** The environment of this machine, whose nvidia-smi prints a line. */
  async function withSmi(line: string, env: NodeJS.ProcessEnv = {}): Promise<NodeJS.ProcessEnv> {
    const bin = path.join(folder(), 'smi');
    await makeCommand(bin, 'nvidia-smi', `echo '${line}'`);
    return { PATH: `${bin}${path.delimiter}${process.env['PATH'] ?? ''}`, ...env };
  }
  const subjectOf = (findings: Finding[], subject: string) => findings.find((one) => one.subject === subject);

  it('tells the driver, the GPU and its memory', async () => {
    const { findings } = await examine(await withSmi(h100));
    expect(subjectOf(findings, 'NVIDIA driver')).toEqual({
      state: 'good',
      subject: 'NVIDIA driver',
      found: '580.65.06\nNVIDIA H100 80GB HBM3, 85.5 GB of memory, 85.0 GB free',
    });
  });

  it('says what brings CUDA where libtorch is a CPU build', async () => {
    const { libtorch } = await locateLibtorch({ accept: await fits() });
    if (libtorch?.build !== 'cpu') return; // this machine's is a CUDA build
    const { findings } = await examine(await withSmi(h100));
    expect(subjectOf(findings, 'CUDA')).toEqual({
      state: 'note',
      subject: 'CUDA',
      found: 'not used: this libtorch is a CPU build, though this machine has an NVIDIA GPU (NVIDIA H100 80GB HBM3)',
      mend: 'npx densenet install-libtorch --cuda',
    });
  });

  it('names a CUDA build that was installed and that the addon does not fit, and what mends it', async () => {
    const { libtorch } = await locateLibtorch({ accept: await fits() });
    if (libtorch?.build !== 'cpu') return; // nothing was passed over for a CPU build
    const cache = path.join(folder(), 'cache', 'libtorch');
    const other = await makeLibtorch(path.join(cache, '2.99.1+cu130', 'torch'), { version: '2.99.1+cu130' });
    await noteInstalled(cache, path.dirname(other));
    const sound = await makeLibtorch(path.join(folder(), 'site', 'torch'), { version: libtorch.version });
    await rm(path.join(sound, 'lib'), { recursive: true });
    await symlink(path.join(libtorch.path, 'lib'), path.join(sound, 'lib'));
    await makeCommand(path.join(folder(), 'smi'), 'python3', `echo '${sound}'`);
    const env = await withSmi(h100, { LIBTORCH: undefined, LIBTORCH_DENSENET_CACHE: path.dirname(cache) });
    const { code, findings } = await examine(env);
    expect(code).toBe(0);
    expect(subjectOf(findings, 'libtorch')?.found).toContain(`also in the cache: ${path.dirname(other)}`);
    const said = `${path.dirname(other)}: libtorch 2.99.1 (cu130), which does not fit`;
    expect(subjectOf(findings, 'installed libtorch')).toMatchObject({
      found: `not used: ${said}`,
      mend: 'npx densenet setup',
    });
    expect(subjectOf(findings, 'CUDA')).toMatchObject({
      found: `not used: this libtorch is a CPU build; the one that was installed last could not be used: ${said}`,
      mend: 'npx densenet setup',
    });
  });
});

test('densenet doctor says which one command brings the NVIDIA libraries that a CUDA build lacks', async () => {
  const { libtorch } = await locateLibtorch({ accept: await fits() });
  const place = await makeLibtorch(path.join(folder(), 'cuda'), { version: `${libtorch?.version ?? ''}+cu130` });
  const source = await put(path.join(folder(), 'empty.c'), 'int nothing(void) { return 0; }\n');
  const needed = path.join(folder(), 'libcudnn.so.9');
  const compile = async (...args: string[]) =>
    expect(await runCommand('cc', ['-shared', '-fPIC', source, ...args], process.env)).toMatchObject({ code: 0 });
  await compile('-o', needed, '-Wl,-soname,libcudnn.so.9');
  await compile('-o', path.join(place, 'lib', libraryName), '-Wl,--no-as-needed', `-L${folder()}`, '-l:libcudnn.so.9');
  await rm(needed);
  const { code, findings } = await examine({ LIBTORCH: place });
  expect(code).toBe(1);
  expect(findings.at(-1)).toMatchObject({
    state: 'fault',
    subject: 'ERR_ADDON_LOAD',
    mend: 'unset LIBTORCH; npx densenet install-libtorch --cuda',
  });
  expect(findings.at(-1)?.found).toContain("libcudnn.so.9 is one of NVIDIA's libraries");
});

async function fits(): Promise<(version: string) => boolean> {
  const cores = await findCores(root);
  return (version) => cores.has(version);
}
