import path from 'node:path';
import type { Finding } from '../../lib/runtime/doctor';
import { findCores } from '../../lib/runtime/cores';
import { locateLibtorch } from '../../lib/runtime/locate';
import { root, runNode } from '../child';
import { bareEnvironment, makeLibtorch, temporaryFolder } from './fakes';

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
      ['fault', 'ERR_LIBTORCH_NOT_FOUND'],
    ]);
    expect(findings[1]?.found).toContain(path.join(folder(), 'cache', 'libtorch'));
    expect(findings[1]?.mend).toContain('npx densenet setup');
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
