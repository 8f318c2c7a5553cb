import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import * as library from '../../lib';
import { root, runNode, type Ended } from '../child';

const run = promisify(execFile);

/** A folder of its own in which the packed tarball is installed, as a user has it. */
let home: string;
let packed: string[];

beforeAll(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'densenet-packed-'));
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', home], { cwd: root });
  const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  packed = files.map((file) => file.path);
  await writeFile(path.join(home, 'package.json'), '{ "name": "app", "private": true }');
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', path.join(home, filename)], {
    cwd: home,
  });
}, 300_000);
afterAll(() => rm(home, { recursive: true, force: true }));

async function runFile(name: string, text: string): Promise<Ended> {
  await writeFile(path.join(home, name), text);
  return runNode([name], { cwd: home });
}

const use = `
  const model = await DenseNet.create({ variant: 'cifar-bc-100-12', device: 'cpu' });
  const { shape } = await model.forward({ data: new Float32Array(2 * 3 * 32 * 32), shape: [2, 3, 32, 32] });
  console.log(model.parameterCount, shape.join());
  await model.dispose();`;

test('require gives the classes, and they work', async () => {
  const ended = await runFile(
    'main.cjs',
    `const { DenseNet } = require('libtorch-densenet');\n(async () => {${use}})();`,
  );
  expect(ended).toEqual({ code: 0, signal: null, stdout: '769162 2,10\n', stderr: '' });
});

test('import gives the same, by name', async () => {
  const ended = await runFile('main.mjs', `import { DenseNet } from 'libtorch-densenet';${use}`);
  expect(ended).toEqual({ code: 0, signal: null, stdout: '769162 2,10\n', stderr: '' });
});

test('import and require give one and the same class, and every export by name', async () => {
  const ended = await runFile(
    'both.mjs',
    `import { createRequire } from 'node:module';
     import * as imported from 'libtorch-densenet';
     const required = createRequire(import.meta.url)('libtorch-densenet');
     console.log(JSON.stringify([Object.keys(imported).sort(), imported.DenseNet === required.DenseNet]));`,
  );
  expect(JSON.parse(ended.stdout)).toEqual([Object.keys(library).sort(), true]);
});

test('requiring it loads no libtorch and reads nothing that could fail', async () => {
  const ended = await runNode(['-e', "require('libtorch-densenet'); console.log('here')"], {
    cwd: home,
    env: { LIBTORCH: path.join(home, 'nowhere') },
  });
  expect(ended).toEqual({ code: 0, signal: null, stdout: 'here\n', stderr: '' });
});

test.each(['cts', 'mts'])('its types serve a .%s file in strict mode', async (extension) => {
  const file = `typed.${extension}`;
  await writeFile(
    path.join(home, file),
    `import { DenseNet, Trainer, datasets, DenseNetError, type Prediction, type TrainingEvent } from 'libtorch-densenet';
     export async function main(): Promise<Prediction[]> {
       await using model = await DenseNet.create({ variant: 'densenet121', numClasses: 10, device: 'auto' });
       const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.1, momentum: 0.9 }, schedule: { type: 'cosine' } });
       const run = trainer.fit(await datasets.digits('train'), { epochs: 1, batchSize: 8 });
       for await (const event of run) { const seen: TrainingEvent = event; console.log(seen.type); }
       const history = await run;
       console.log(history.epochs.length);
       // @ts-expect-error -- there is no such variant
       await DenseNet.create({ variant: 'densenet122' }).catch((error: unknown) => error instanceof DenseNetError);
       return model.predict({ data: new Uint8Array(64), shape: [1, 1, 8, 8] }, { topK: 3 });
     }`,
  );
  const types = path.join(root, 'node_modules', '@types');
  const settings = [
    '--strict',
    '--noEmit',
    '--module',
    'node16',
    '--target',
    'es2022',
    '--lib',
    'es2023,esnext.disposable',
  ];
  const compiler = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const ended = await runNode([compiler, ...settings, '--types', 'node', '--typeRoots', types, file], { cwd: home });
  expect(ended.stdout).toBe('');
  expect(ended.code).toBe(0);
});

test('its command runs', async () => {
  const command = path.join('node_modules', '.bin', 'densenet');
  const ended = await runNode([command, 'doctor', '--json'], { cwd: home });
  expect(ended.code).toBe(0);
  const findings = JSON.parse(ended.stdout) as { state: string; subject: string }[];
  expect(findings.find(({ subject }) => subject === 'training step')?.state).toBe('good');
});

test('its set-up finds that nothing is to be done', async () => {
  const command = path.join('node_modules', '.bin', 'densenet');
  const ended = await runNode([command, 'setup'], { cwd: home });
  expect(ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/^✔ ready: libtorch [\d.]+ /) as unknown });
});

test('it carries what it is built from, and neither libtorch nor tests nor logs', async () => {
  for (const needed of [
    'CMakeLists.txt',
    'native/loader/loader.cc',
    'dist/index.mjs',
    'dist/index.d.mts',
    'LICENSE',
    'README.md',
  ])
    expect(packed).toContain(needed);
  expect(packed.filter((name) => /^(test|build|node_modules|docs)\//.test(name))).toEqual([]);
  const libraries = packed.filter((name) => /\.(so|node)$/.test(name)).map((name) => path.basename(name));
  expect(libraries.every((name) => /^(densenet_core-torch[\d.]+\.so|libtorch-densenet\.node)$/.test(name))).toBe(true);
  expect(await readdir(path.join(home, 'node_modules', 'libtorch-densenet', 'prebuilds'))).toEqual([
    `${process.platform}-${process.arch}`,
  ]);
});
