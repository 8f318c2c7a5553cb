'use strict';

/**
 * `./report.sh` of an offline archive, `node scripts/offline/report.js` of a checkout: builds the package, tries it on the
 * GPU and without one, measures it against the PyTorch that is there, and writes all of it to report.md. What cannot be
 * done is in the report with its reason. Exits with 1 where the build or a test failed.
 */

const { spawn } = require('node:child_process');
const { existsSync } = require('node:fs');
const { writeFile } = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');
const { kernelsName } = require('../../lib/runtime/cores');
const { runCommand } = require('../../lib/runtime/fetch');
const { runScript } = require('../report');

const root = path.join(__dirname, '..', '..');
const file = path.join(root, 'report.md');

/** What to measure. */
const benchmarks = [
  '--train --model densenet121 --batch 256 --precision bf16',
  '--train --model densenet121 --batch 16 --precision bf16',
  '--train --model densenet121 --batch 64 --precision fp32',
  '--train --model cifar-bc-100-12 --batch 64 --precision bf16',
  '--infer --model densenet121 --batch 1',
  '--infer --model densenet121 --batch 128',
];

/** @type {string[]} */
const lines = [];

/** @param {string[]} text */
async function write(...text) {
  lines.push(...text, '');
  await writeFile(file, `${lines.join('\n')}\n`); // after every part: a machine may fail in the middle
}

/**
 * Runs a command, shows what it prints and puts it into the report.
 *
 * @param {string} title
 * @param {string} command
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<boolean>} Whether it succeeded.
 */
async function section(title, command, args, env = {}) {
  console.log(`\n== ${title}`);
  let text = '';
  const code = await new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, env: { ...process.env, NO_COLOR: '1', ...env } });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (/** @type {string} */ piece) => {
        process.stdout.write(piece);
        text += piece;
      });
    }
    child.on('error', (error) => {
      text += `${error.message}\n`;
      resolve(1);
    });
    child.on('close', resolve);
  });
  const shown = text.length > 60_000 ? `…\n${text.slice(-60_000)}` : text;
  await write(
    `## ${title}`,
    '',
    '```',
    shown.trimEnd(),
    '```',
    '',
    code === 0 ? 'Succeeded.' : `**Failed (${code}).**`,
  );
  return code === 0;
}

/** The machine, as each tool's first lines tell. */
async function describeMachine() {
  /** @type {[string, string, string[]][]} */
  const tools = [
    ['GPU', 'nvidia-smi', ['--query-gpu=name,driver_version,memory.total,compute_cap', '--format=csv,noheader']],
    ['compiler', 'c++', ['--version']],
    ['CMake', 'cmake', ['--version']],
    ['nvcc', 'nvcc', ['--version']],
    [
      'PyTorch',
      'python3',
      ['-c', 'import torch; print(torch.__version__, torch.version.cuda, torch.backends.cudnn.version())'],
    ],
  ];
  const rows = [`- system: ${os.type()} ${os.release()}, ${os.cpus()[0]?.model}, ${os.cpus().length} processors`];
  for (const [name, command, args] of tools) {
    const { code, output } = await runCommand(command, args, process.env);
    const said = output.trim().split('\n');
    rows.push(
      `- ${name}: ${code === 0 ? (name === 'nvcc' ? said.at(-1) : said[0]) : `none (${said.at(-1) || 'not found'})`}`,
    );
  }
  await write('# libtorch-densenet: report', '', ...rows);
}

/** The kernels' test, built and run: by emulation, and on the GPU where they were built for one. */
async function kernelTest() {
  const target = 'cuda_test';
  const built = await section(`building ${target}`, 'cmake', ['--build', 'build', '--target', target]);
  const program = path.join(root, 'build', target);
  if (!built || !(await section(target, program, []))) return false;
  const kernels = path.join(root, 'build', 'Release', kernelsName);
  const device = (await runCommand('nvidia-smi', [], process.env)).code === 0;
  return !device || !existsSync(kernels) || section(`${target} on the GPU`, program, [kernels]);
}

async function report() {
  const node = process.execPath;
  await describeMachine();
  const results = [await section('setup', node, ['scripts/setup.js'])];
  if (results[0]) {
    results.push(await section('doctor', node, ['dist/cli/main.js', 'doctor']));
    results.push(await kernelTest());
    for (const switches of ['none', 'engine', 'all']) {
      const env = { LIBTORCH_DENSENET_CUDA: switches, NVIDIA_TF32_OVERRIDE: '0' };
      results.push(await section(`GPU tests, LIBTORCH_DENSENET_CUDA=${switches}`, node, ['test/gpu/checks.js'], env));
    }
    for (const options of benchmarks) {
      await section(`benchmark ${options}`, node, [
        'scripts/bench/bench.js',
        '--device',
        'cuda',
        ...options.split(' '),
      ]);
    }
  }
  console.log(`\nThe report is in ${file}.`);
  if (results.includes(false)) process.exitCode = 1;
}

runScript(report);
