import { readFileSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as asar from '@electron/asar';
import sharp from 'sharp';
import { appResources, nativeRoot } from '../../lib/runtime/asar';
import { root, runNode } from '../child';
import { temporaryFolder } from '../unit/support';

// An app is packed by the rule of the example's electron-builder.yml. Node cannot read an archive as Electron does, so
// what an archive holds is laid out as a folder of its name, native files empty: whoever opens one there fails, as the
// system's loader does in an archive.

const inFolder = temporaryFolder();
const example = path.join(root, 'examples', 'electron');
const isNative = (name: string): boolean => /\.(node|dylib|dll|so)(\.[\d.]+)?$/.test(name);

/** What must be unpacked: the patterns of `asarUnpack`. */
function unpackRule(): string {
  const text = readFileSync(path.join(example, 'electron-builder.yml'), 'utf8');
  const [, list] = /^asarUnpack:\n((?: {2}- .*\n)+)/m.exec(text) ?? [];
  const patterns = [...(list ?? '').matchAll(/- '(.+)'/g)].map(([, pattern]) => pattern);
  return `{${patterns.join(',')}}`;
}

/** Copies a package and what it needs, as npm would install it. */
async function install(name: string, from: string, into: string): Promise<void> {
  const target = path.join(into, name);
  if ((await readdir(target).catch(() => [])).length > 0) return;
  await cp(from, target, { recursive: true, dereference: true });
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
    await readFile(path.join(from, 'package.json'), 'utf8'),
  ) as Record<string, Record<string, string>>;
  for (const needed of Object.keys({ ...dependencies, ...optionalDependencies })) {
    const place = path.join(root, 'node_modules', needed);
    // Those for other platforms are not there.
    if ((await readdir(place).catch(() => [])).length > 0) await install(needed, place, into);
  }
}

/** Electron's part: where resources are, and that a `.node` in an archive is opened beside it. */
const shim = `
process.resourcesPath = process.env.RESOURCES;
const open = process.dlopen;
process.dlopen = (module, file, ...rest) => open(module, file.replace(/\\.asar([\\\\/])/, '.asar.unpacked$1'), ...rest);
`;

const program = `
const { DenseNet, datasets, runtimeInfo } = require(process.env.PACKAGE);
(async () => {
  const { libtorch } = await runtimeInfo();
  const model = await DenseNet.create({ growthRate: 4, blockConfig: [2, 2], initChannels: 8, stem: 'cifar', inChannels: 1, numClasses: 10, imageSize: [8, 8], device: 'cpu', seed: 1 });
  const { images } = await datasets.digits('test');
  const rows = await model.predict(images);
  const [picture] = await model.predict(process.env.PICTURE);
  console.log(JSON.stringify({ source: libtorch.source, path: libtorch.path, rows: rows.length, picture: picture.top.length }));
})().catch((error) => { console.log(error.message); process.exitCode = 3; });
`;

const resources = (): string => inFolder('resources');
const archive = (): string => path.join(resources(), 'app.asar');

beforeAll(async () => {
  const modules = inFolder('app/node_modules');
  const own = path.join(modules, 'libtorch-densenet');
  await mkdir(modules, { recursive: true });
  for (const part of ['dist', 'data', 'package.json', 'build/Release'])
    await cp(path.join(root, part), path.join(own, part), {
      recursive: true,
      // What a prebuilt package has.
      filter: (file) => !file.includes('build/Release/') || /\.(node|so)$/.test(file),
    });
  const { dependencies } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  for (const name of Object.keys(dependencies)) await install(name, path.join(root, 'node_modules', name), modules);
  for (const name of ['main.js', 'host.js', 'preload.js', 'pages.js', 'libtorch.js', 'package.json', 'page'])
    await cp(path.join(example, name), inFolder(`app/${name}`), { recursive: true });
  await mkdir(resources());
  const copied = await runNode([inFolder('app/libtorch.js'), path.join(resources(), 'libtorch')]);
  expect(copied).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^libtorch 2\.\d+\.\d+ .*libraries in/) as unknown,
  });
  await asar.createPackageWithOptions(inFolder('app'), archive(), { unpack: unpackRule() });
  await writeFile(inFolder('shim.js'), shim);
  await writeFile(inFolder('program.js'), program);
  await sharp(Buffer.alloc(64, 99), { raw: { width: 8, height: 8, channels: 1 } }).toFile(inFolder('picture.png'));
}, 300_000);

test('everything native is unpacked by the rule, and the rest is not', async () => {
  const names = asar.listPackage(archive(), { isPack: false }).map((name) => name.replaceAll('\\', '/'));
  const natives = names.filter(isNative);
  expect(natives.some((name) => name.endsWith('libtorch_densenet.node'))).toBe(true);
  expect(natives.some((name) => /densenet_core-torch[\d.]+\.so$/.test(name))).toBe(true);
  expect(natives.some((name) => name.includes('/@img/') && name.endsWith('.node'))).toBe(true);
  const beside = (await readdir(`${archive()}.unpacked`, { recursive: true })).map(
    (name) => `/${name.replaceAll('\\', '/')}`,
  );
  expect(natives.filter((name) => !beside.includes(name))).toEqual([]);
  expect(beside.filter((name) => name.endsWith('.js') && !name.includes('/@img/'))).toEqual([]);
  for (const packed of ['/main.js', '/host.js', '/node_modules/libtorch-densenet/dist/electron/host.js'])
    expect(names).toContain(packed);
});

describe('the package in an archive', () => {
  const env = (): NodeJS.ProcessEnv => ({
    RESOURCES: resources(),
    PACKAGE: path.join(archive(), 'node_modules', 'libtorch-densenet'),
    PICTURE: inFolder('picture.png'),
    // No libtorch but the app's own.
    LIBTORCH: '',
    PATH: '',
    LIBTORCH_DENSENET_CACHE: inFolder('empty'),
  });
  const run = () => runNode(['--require', inFolder('shim.js'), inFolder('program.js')], { env: env() });

  beforeAll(async () => {
    // The archive gives way to a folder of what is in it.
    asar.extractAll(archive(), inFolder('extracted'));
    await rm(archive());
    await cp(inFolder('extracted'), archive(), { recursive: true });
    for (const name of await readdir(archive(), { recursive: true }))
      if (isNative(name)) await truncate(path.join(archive(), name));
  }, 120_000);

  it('loads the addon, its core and sharp from app.asar.unpacked, and libtorch from the resources', async () => {
    const { code, stdout, stderr } = await run();
    expect({ code, stderr, stdout }).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({
      source: 'resources',
      path: path.join(resources(), 'libtorch'),
      rows: 364,
      picture: 5,
    });
  });

  it('says what is to be unpacked where nothing is', async () => {
    await cp(`${archive()}.unpacked`, inFolder('aside'), { recursive: true });
    await rm(path.join(`${archive()}.unpacked`, 'node_modules', 'libtorch-densenet'), { recursive: true });
    const { code, stdout } = await run();
    expect(code).toBe(3);
    expect(stdout).toMatch(/ERR_ADDON_LOAD: the addon lies inside .*app\.asar.*asarUnpack/);
  });
});

describe('paths of an app', () => {
  it('lead out of the archive to what is unpacked, and nowhere else', async () => {
    const inside = inFolder(path.join('other', 'app.asar', 'node_modules', 'x'));
    expect(nativeRoot('/home/me/project')).toBe('/home/me/project');
    expect(nativeRoot('/home/me.asar.d/project')).toBe('/home/me.asar.d/project');
    expect(() => nativeRoot(inside)).toThrow(/ERR_ADDON_LOAD/);
    const outside = inFolder(path.join('other', 'app.asar.unpacked', 'node_modules', 'x'));
    await mkdir(outside, { recursive: true });
    expect(nativeRoot(inside)).toBe(outside);
  });

  it("give the resources' folder, by Electron's word or by the archive", () => {
    expect(appResources('/home/me/project')).toBeUndefined();
    expect(appResources(path.join('/opt/app/resources/app.asar/node_modules/x'))).toBe('/opt/app/resources');
  });
});

test('the addon uses no memory that is not JavaScript’s own, which Electron would refuse', async () => {
  const folder = path.join(root, 'build', 'Release');
  const binaries = (await readdir(folder)).filter((name) => /\.(node|so)$/.test(name) && !name.includes('kernels'));
  expect(binaries.length).toBeGreaterThanOrEqual(2);
  const all = (await Promise.all(binaries.map((name) => readFile(path.join(folder, name), 'latin1')))).join('');
  // The search finds what is there.
  expect(all).toContain('napi_create_arraybuffer');
  for (const name of [
    'napi_create_external_arraybuffer',
    'napi_create_external_buffer',
    'node_api_create_buffer_from_arraybuffer',
  ])
    expect({ name, used: all.includes(name) }).toEqual({ name, used: false });
});
