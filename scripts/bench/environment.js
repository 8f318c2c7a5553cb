'use strict';

/** What the contenders of the benchmark run in: a Python with PyTorch, and the other runtimes where they can be had. */

const { existsSync } = require('node:fs');
const { mkdir } = require('node:fs/promises');
const path = require('node:path');
const { runCommand, pinnedVersion } = require('../../lib/runtime/fetch');
const { cacheFolder } = require('../../lib/runtime/locate');
const { makeVenv, must, pythonOf } = require('../commands');
const { step } = require('../report');

const folder = path.join(cacheFolder(), 'bench');

/** Makes the Python environment; the pip of the machine decides where packages come from. @returns {Promise<string>} */
async function makePython() {
  const place = path.join(folder, 'python');
  const python = pythonOf(place);
  const packages = [`torch==${pinnedVersion}`, 'numpy'];
  const { code } = existsSync(python)
    ? await runCommand(python, ['-c', 'import torch, numpy'], process.env)
    : { code: 1 };
  if (code === 0) return python;
  await step('a Python environment with PyTorch', async () => {
    await mkdir(folder, { recursive: true });
    await makeVenv(place, packages);
  });
  return python;
}

/**
 * The Python to compare with, and what of PyTorch it can do there; nothing, with a reason, where it cannot.
 *
 * @param {{ device: string, python: string | undefined }} plan
 * @returns {Promise<string | undefined>}
 */
async function findPython(plan) {
  if (plan.device === 'cpu' && plan.python === undefined) return makePython();
  const python = plan.python ?? 'python3';
  // A GPU's PyTorch is several gigabytes, so what is there is taken.
  const test = plan.device === 'cpu' ? 'import torch' : 'import torch; torch.zeros(1, device="cuda")';
  const { code, output } = await runCommand(python, ['-c', test], process.env);
  if (code === 0) return python;
  console.log(
    `  PyTorch is left out: ${python} cannot use it (${output.trim().split('\n').pop() ?? 'no such program'})`,
  );
  return undefined;
}

/** What processes hold of the GPUs' memory, in bytes, by process; empty where the driver does not tell. */
async function deviceMemory() {
  const { code, output } = await runCommand(
    'nvidia-smi',
    ['--query-compute-apps=pid,used_memory', '--format=csv,noheader,nounits'],
    process.env,
  );
  const lines = code === 0 ? output.trim().split('\n') : [];
  return new Map(lines.map((line) => /** @type {[number, number]} */ (line.split(',').map(Number))));
}

/** Installs what can be had of the other runtimes, and exports the model for them. Gives the forms that can run.
 *
 * @param {string} python
 * @param {object} options
 * @returns {Promise<string[]>}
 */
async function makeRuntimes(python, options) {
  /** @type {string[]} */
  const forms = [];
  const attempt = async (/** @type {string} */ title, /** @type {() => Promise<unknown>} */ work) => {
    try {
      await step(title, work);
      return true;
    } catch (error) {
      console.log(
        `  left out: ${(error instanceof Error ? error.message : String(error)).split('\n').slice(-3).join(' ')}`,
      );
      return false;
    }
  };
  const pip = (/** @type {string[]} */ ...names) => must(python, ['-m', 'pip', 'install', '--quiet', ...names]);
  const exported = await attempt('the model as ONNX', async () => {
    await pip('onnx');
    await must(python, [path.join(__dirname, 'contender.py'), JSON.stringify({ ...options, form: 'export' })]);
  });
  if (!exported) return forms;
  const node = path.join(folder, 'node');
  // Its install script only downloads what CUDA needs.
  const installed = await attempt('onnxruntime-node', async () => {
    await mkdir(node, { recursive: true });
    await must('npm', [
      'install',
      '--prefix',
      node,
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      'onnxruntime-node@1.22.0',
    ]);
  });
  if (installed) forms.push('onnxruntime');
  if (await attempt('OpenVINO', () => pip('openvino'))) forms.push('openvino');
  return forms;
}

module.exports = { deviceMemory, findPython, folder, makeRuntimes };
