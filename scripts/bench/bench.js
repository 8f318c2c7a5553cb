'use strict';

/**
 * `npm run bench`: this package against PyTorch in Python and, for inference, onnxruntime-node and OpenVINO. Every
 * contender is a process of its own that lives through the whole run and does short timed blocks in turn, so that what
 * else the machine does falls on all of them alike; medians, and their ratios, are what counts.
 */

const { spawn } = require('node:child_process');
const { existsSync } = require('node:fs');
const { mkdir, writeFile } = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { parseArgs } = require('node:util');
const Table = require('cli-table3');
const { runCommand, pinnedVersion } = require('../../lib/runtime/fetch');
const { cacheFolder } = require('../../lib/runtime/locate');
const { runScript, step } = require('../report');
const { setup } = require('../setup');
const { isPlottable, plot } = require('./plot');

const folder = path.join(cacheFolder(), 'bench');

const usage = `npm run bench -- [--train | --infer] [options]
  --model NAME     a variant, default densenet121
  --batch N        default 8 (64 for the CIFAR variants)
  --size N         height and width of the images, default 224 (32)
  --device D       cpu (default) or cuda
  --threads N      of every contender, default all cores
  --rounds N       blocks of each contender, default 7
  --only A,B       these contenders only (ours is always there)
  --compile        torch.compile too, which needs a C++ compiler and takes minutes to its first step
  --json           prints the results as JSON, and all else to stderr
  --out FILE       writes the same to a file
  --plot FILE      draws them, to a .svg or .png`;

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {string} form
 * @property {'node' | 'python'} language
 * @property {number[]} times
 * @property {number} peak
 * @property {number} first
 * @property {string} version
 */

/** @typedef {{ task: string, model: string, batch: number, size: number, device: string, threads: number, rounds: number, only: string[], compile: boolean, json: boolean, out: string | undefined, plot: string | undefined }} Plan */

/** @returns {Plan} */
function readPlan() {
  const text = /** @type {const} */ ({ type: 'string' });
  const flag = /** @type {const} */ ({ type: 'boolean' });
  const { values } = parseArgs({
    options: {
      train: flag,
      infer: flag,
      compile: flag,
      help: flag,
      model: text,
      batch: text,
      size: text,
      device: text,
      threads: text,
      rounds: text,
      only: text,
      json: flag,
      out: text,
      plot: text,
    },
  });
  if (values.help) {
    console.log(usage);
    process.exit(0);
  }
  const model = values.model ?? 'densenet121';
  const small = model.startsWith('cifar');
  const whole = (/** @type {string | undefined} */ value, /** @type {number} */ otherwise) => {
    const number = value === undefined ? otherwise : Number(value);
    if (!Number.isInteger(number) || number < 1) throw new Error(`${value} is no whole number above 0.\n\n${usage}`);
    return number;
  };
  if (values.plot !== undefined && !isPlottable(values.plot))
    throw new Error(`--plot writes .svg or .png; got ${values.plot}.\n\n${usage}`);
  return {
    task: values.infer ? 'infer' : 'train',
    model,
    batch: whole(values.batch, small ? 64 : 8),
    size: whole(values.size, small ? 32 : 224),
    device: values.device ?? 'cpu',
    threads: whole(values.threads, os.availableParallelism()),
    rounds: whole(values.rounds, 7),
    only: values.only?.split(',') ?? [],
    compile: values.compile ?? false,
    json: values.json ?? false,
    out: values.out,
    plot: values.plot,
  };
}

/**
 * @param {string} command
 * @param {string[]} args
 */
async function must(command, args) {
  const { code, output } = await runCommand(command, args, process.env);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${output.slice(-2000)}`);
}

/** Makes the Python environment; the pip of the machine decides where packages come from. @returns {Promise<string>} */
async function makePython() {
  const python = path.join(folder, 'python', process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  const packages = [`torch==${pinnedVersion}`, 'numpy'];
  const { code } = existsSync(python)
    ? await runCommand(python, ['-c', 'import torch, numpy'], process.env)
    : { code: 1 };
  if (code === 0) return python;
  await step('a Python environment with PyTorch', async () => {
    await mkdir(folder, { recursive: true });
    await must('python3', ['-m', 'venv', path.join(folder, 'python')]);
    await must(python, ['-m', 'pip', 'install', '--quiet', ...packages]);
  });
  return python;
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

/**
 * A contender's process: `ask(count)` has it do a block of steps.
 *
 * @param {Contender} contender
 * @param {string} python
 * @param {object} options
 */
async function start(contender, python, options) {
  const [command, program] =
    contender.language === 'node' ? [process.execPath, 'contender.js'] : [python, 'contender.py'];
  const threads = String(/** @type {Plan} */ (/** @type {unknown} */ (options)).threads);
  const child = spawn(command, [path.join(__dirname, program), JSON.stringify({ ...options, form: contender.form })], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, OMP_NUM_THREADS: threads },
  });
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${contender.name} ended before its work was done.`);
    return JSON.parse(value);
  };
  const { ready, first } = await answer();
  contender.version = ready;
  contender.first = first;
  return {
    ask: async (/** @type {number} */ count) => {
      child.stdin.write(`${count}\n`);
      return /** @type {Promise<{ times: number[], peak: number }>} */ (answer());
    },
    end: () => child.stdin.end(),
  };
}

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? Number(sorted[middle]) : (Number(sorted[middle - 1]) + Number(sorted[middle])) / 2;
}

/** @param {Plan} plan @param {string[]} runtimes @returns {Contender[]} */
function contenders(plan, runtimes) {
  const make = (/** @type {string} */ name, /** @type {string} */ form, /** @type {'node' | 'python'} */ language) => ({
    name,
    form,
    language,
    times: [],
    peak: 0,
    first: 0,
    version: '',
  });
  const ours = make('ours', 'auto fast', 'node');
  const others =
    plan.task === 'train'
      ? [
          make('ours-efficient', 'auto efficient', 'node'),
          make('eager', 'eager', 'python'),
          make('channels-last', 'channels-last', 'python'),
          make('checkpointed', 'checkpointed', 'python'),
          ...(plan.compile ? [make('compile', 'compiled', 'python')] : []),
        ]
      : [
          make('eager', 'eager', 'python'),
          make('channels-last', 'channels-last', 'python'),
          make('trace-freeze', 'frozen', 'python'),
          ...(plan.compile ? [make('compile', 'compiled', 'python')] : []),
          ...(runtimes.includes('onnxruntime') ? [make('onnxruntime-node', 'onnxruntime', 'node')] : []),
          ...(runtimes.includes('openvino') ? [make('openvino', 'openvino', 'python')] : []),
        ];
  return [ours, ...others.filter(({ name }) => plan.only.length === 0 || plan.only.includes(name))];
}

/** @param {Contender[]} all */
function show(all) {
  const ours = median(all[0]?.times ?? []);
  const table = new Table({
    head: ['', 'median ms', 'fastest ms', 'ours is', 'peak MB', 'first step s', 'with'],
    style: { head: [], border: [] },
  });
  for (const { name, times, peak, first, version } of all) {
    const bar = '█'.repeat(Math.max(1, Math.round((10 * median(times)) / ours)));
    table.push([
      name,
      (1000 * median(times)).toFixed(1),
      (1000 * Math.min(...times)).toFixed(1),
      `${(median(times) / ours).toFixed(2)}× ${bar.slice(0, 40)}`,
      (peak / 1e6).toFixed(0),
      first.toFixed(1),
      version,
    ]);
  }
  console.log(table.toString());
}

async function bench() {
  const plan = readPlan();
  const print = console.log;
  if (plan.json) console.log = console.error;
  await setup();
  const python = await makePython();
  const { DenseNet } = require('../../dist');
  const { config } = await DenseNet.create({ variant: /** @type {any} */ (plan.model), device: 'cpu' });
  const onnx = path.join(folder, `${plan.model}-${plan.batch}-${plan.size}.onnx`);
  const options = { ...plan, config, onnx, modules: path.join(folder, 'node') };
  const wanted = (/** @type {string} */ name) => plan.only.length === 0 || plan.only.includes(name);
  const runtimes =
    plan.task === 'infer' && plan.device === 'cpu' && (wanted('onnxruntime-node') || wanted('openvino'))
      ? await makeRuntimes(python, options)
      : [];
  /** @type {Contender[]} */
  const all = [];
  /** @type {Awaited<ReturnType<typeof start>>[]} */
  const processes = [];
  for (const contender of contenders(plan, runtimes)) {
    try {
      processes.push(await step(contender.name, () => start(contender, python, options)));
      all.push(contender);
    } catch (error) {
      // Such as torch.compile where there is no C++ compiler; the others can still be compared.
      if (contender.name === 'ours') throw error;
      console.log(`  left out: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  await step('timing', async (update) => {
    for (let round = 1; round <= plan.rounds; round += 1) {
      for (const [index, contender] of all.entries()) {
        update(`round ${round} of ${plan.rounds}, ${contender.name}`);
        // A block of about a second; a step that takes longer is a block of its own.
        const count =
          contender.times.length === 0 ? 1 : Math.max(1, Math.min(50, Math.round(1 / median(contender.times))));
        const found = await processes[index]?.ask(count);
        contender.times.push(median(found?.times ?? []));
        contender.peak = Math.max(contender.peak, found?.peak ?? 0);
      }
    }
  });
  for (const { end } of processes) end();
  const hardware = `${os.cpus()[0]?.model ?? 'unknown processor'}, ${plan.threads} threads, ${Math.round(os.totalmem() / 1e9)} GB, Node ${process.version}`;
  const title = `${plan.task === 'train' ? 'Training step' : 'Inference'}, ${plan.model}, batch ${plan.batch}, ${plan.size}×${plan.size}, ${plan.device}`;
  console.log(`\n${title}`);
  console.log(`${hardware}; medians of ${plan.rounds} interleaved blocks; peak: above the process at rest\n`);
  show(all);
  const ours = median(all[0]?.times ?? []);
  const rows = all.map((one) => ({ ...one, ratio: median(one.times) / ours }));
  const results = JSON.stringify({ plan, hardware, contenders: rows }, undefined, 2);
  if (plan.json) print(results);
  if (plan.out !== undefined) await writeFile(plan.out, `${results}\n`);
  if (plan.plot !== undefined) await plot(plan.plot, { title, subtitle: hardware, bars: rows });
}

runScript(bench);
