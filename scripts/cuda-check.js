'use strict';

/**
 * `npm run check:cuda`: builds the addon and the CUDA kernels against a CUDA libtorch, fetched once from PyPI, and loads
 * them. Where there is no GPU that shows that they compile and link, that the CUDA build serves as a CPU build, and that
 * it says why it has no device. The last line is a plain count.
 */

const { existsSync } = require('node:fs');
const { mkdir, readdir, statfs } = require('node:fs/promises');
const path = require('node:path');
const { kernelsName } = require('../lib/runtime/cores');
const { runCommand } = require('../lib/runtime/fetch');
const { cacheFolder, readLibtorch } = require('../lib/runtime/locate');
const { buildNative } = require('./build');
const { makeVenv } = require('./commands');
const { runScript, step } = require('./report');
const { root, setup } = require('./setup');

/** The newest on PyPI whose Linux wheel is a CUDA build everywhere. */
const version = '2.11.0';

/** The wheel, the NVIDIA libraries that it needs, and what pip unpacks meanwhile. */
const neededBytes = 14e9;

/** @returns {Promise<string | undefined>} The folder of torch; nothing where there is not the room for it. */
async function cudaTorch() {
  const folder = path.join(cacheFolder(), 'cuda-check', `torch-${version}`);
  const find = async () => {
    const names = await readdir(path.join(folder, 'lib')).catch(() => /** @type {string[]} */ ([]));
    return names
      .map((name) => path.join(folder, 'lib', name, 'site-packages', 'torch'))
      .find((place) => existsSync(path.join(place, 'version.py')));
  };
  const there = await find();
  if (there) return there;
  await mkdir(folder, { recursive: true });
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize < neededBytes) {
    console.log(
      `\nSKIPPED: the CUDA libtorch needs ${neededBytes / 1e9} GB in ${folder}, and ${((bavail * bsize) / 1e9).toFixed(1)} GB are free.\n`,
    );
    return undefined;
  }
  await step(`fetching torch ${version} with CUDA (some gigabytes)`, async () => {
    await makeVenv(folder, [`torch==${version}`]);
  });
  return find();
}

/** Whether there is an nvcc where CMakeLists.txt looks for one. */
function hasNvcc() {
  const { PATH = '', CUDA_HOME } = process.env;
  const places = [
    ...PATH.split(path.delimiter),
    path.join(CUDA_HOME ?? '/usr/local/cuda', 'bin'),
    '/usr/local/cuda/bin',
  ];
  return places.some((place) => existsSync(path.join(place, 'nvcc')));
}

/** What is asked of the loaded addon, in a process of its own. */
const program = `
const { DenseNet, Trainer, runtimeInfo } = require('./dist');
const tiny = { growthRate: 4, blockConfig: [2, 2], initChannels: 8, stem: 'cifar', inChannels: 1, numClasses: 2, seed: 1 };
(async () => {
  const { cuda, libtorch } = await runtimeInfo();
  const model = await DenseNet.create({ ...tiny, device: 'cpu' });
  const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.1 } });
  const images = { data: new Float32Array(4 * 64).map((_, place) => Math.sin(place)), shape: [4, 1, 8, 8] };
  const { loss } = await trainer.step({ images, labels: [0, 1, 0, 1] });
  const onGpu = await DenseNet.create({ ...tiny, device: 'cuda' }).then(() => 'made', ({ code }) => code);
  console.log(JSON.stringify({ cuda, libtorch, loss, onGpu }));
})();`;

async function check() {
  await setup();
  const torch = await cudaTorch();
  if (torch === undefined) {
    console.log('0 passed, 0 failed');
    return;
  }
  const { libtorch, fault } = await readLibtorch(torch, 'option', true);
  if (libtorch === undefined) throw new Error(`${torch}: ${fault}`);
  await buildNative(libtorch, root, false, path.join('build', 'cuda'));
  const { code, output } = await runCommand(
    process.execPath,
    ['-e', program],
    { ...process.env, LIBTORCH: torch },
    root,
  );
  const said = code === 0 ? JSON.parse(output.trim().split('\n').at(-1) ?? '') : undefined;
  const kernels = existsSync(path.join(root, 'build', 'Release', kernelsName));
  /** @type {[string, boolean][]} */
  const checks = [
    [
      'the addon loads beside the CUDA libtorch, with no LD_LIBRARY_PATH',
      said?.libtorch.build.startsWith('cu') ?? false,
    ],
    ['a training step runs on the CPU', Number.isFinite(said?.loss)],
    ['CUDA is there, or the reason why not', said?.cuda.available === true || (said?.cuda.reason ?? '') !== ''],
    [
      "device: 'cuda' works, or is refused with its code",
      said?.onGpu === (said?.cuda.available ? 'made' : 'ERR_CUDA_UNAVAILABLE'),
    ],
  ];
  if (hasNvcc()) checks.push(['the CUDA kernels are built', kernels]);
  else console.log('\nSKIPPED: the CUDA kernels: no nvcc on the PATH, in CUDA_HOME or in /usr/local/cuda.\n');
  for (const [name, held] of checks) console.log(`${held ? '✔' : '✘'} ${name}`);
  if (said === undefined) console.log(output.slice(-2000));
  else
    console.log(
      `  libtorch ${said.libtorch.version} (${said.libtorch.build}); CUDA: ${said.cuda.reason ?? said.cuda.devices}`,
    );
  const failed = checks.filter(([, held]) => !held).length;
  console.log(`\n${checks.length - failed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

runScript(check);
