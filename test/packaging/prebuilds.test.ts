import { copyFile, readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { coreName } from '../../lib/runtime/cores';
import { root, runNode } from '../child';
import { put, temporaryFolder } from '../setup/fakes';
import { collect } from '../../scripts/prebuild';

const folder = temporaryFolder();
const release = path.join(root, 'build', 'Release');
const place = `${process.platform}-${process.arch}`;
const out = (...names: string[]) => path.join(folder(), 'out', 'prebuilds', ...names);

/** A folder as builds against several libtorchs leave it; the loader stands in for cores. */
async function makeRelease(versions: string[]): Promise<string> {
  const from = path.join(folder(), 'release');
  const loader = path.join(release, 'libtorch_densenet.node');
  await put(path.join(from, 'build.log'), '');
  await copyFile(loader, path.join(from, 'libtorch_densenet.node'));
  for (const version of versions) await copyFile(loader, path.join(from, coreName(version)));
  return from;
}

test('the loader and the cores that are asked for lie side by side, stripped', async () => {
  const from = await makeRelease(['2.11.0', '2.12.1', '2.13.0']);
  await collect({ from, versions: ['2.11.0', '2.13.0'], out: path.join(folder(), 'out') });
  const names = await readdir(out(place));
  expect(names.sort()).toEqual([coreName('2.11.0'), coreName('2.13.0'), 'libtorch-densenet.node']);
  for (const name of names) {
    const before = await stat(path.join(release, 'libtorch_densenet.node'));
    expect((await stat(out(place, name))).size).toBeLessThan(before.size);
  }
  expect((await readdir(from)).length).toBe(5);
});

test("cores of an earlier time go, and other platforms' stay", async () => {
  await put(out(place, coreName('2.10.0')), 'of older sources');
  await put(out('vms-vax', coreName('2.13.0')), 'made elsewhere');
  await collect({ from: await makeRelease(['2.13.0']), versions: ['2.13.0'], out: path.join(folder(), 'out') });
  expect((await readdir(out(place))).sort()).toEqual([coreName('2.13.0'), 'libtorch-densenet.node']);
  expect(await readdir(out('vms-vax'))).toEqual([coreName('2.13.0')]);
});

test('a folder without libtorch is refused by name', async () => {
  await writeFile(path.join(folder(), 'file'), '');
  const ended = await runNode([path.join('scripts', 'prebuild.js'), '--libtorch', path.join(folder(), 'nowhere')]);
  expect(ended.code).toBe(1);
  expect(ended.stderr).toContain(`${path.join(folder(), 'nowhere')}: there is no such folder`);
});
