'use strict';

/**
 * `npm run bench`: this package against PyTorch in Python and, for inference, onnxruntime-node and OpenVINO. Every
 * contender is a process of its own that lives through the whole run and does short timed blocks in turn, so that what
 * else the machine does falls on all of them alike; medians, and their ratios, are what counts.
 */

const { spawn } = require('node:child_process');
const { writeFile } = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { parseArgs } = require('node:util');
const Table = require('cli-table3');
const { runCommand } = require('../../lib/runtime/fetch');
const { runScript, step } = require('../report');
const { setup } = require('../setup');
const { deviceMemory, findPython, folder, makeRuntimes } = require('./environment');
const { isPlottable, plot } = require('./plot');

const usage = `npm run bench -- [--train | --infer] [options]
  --model NAME     a variant, default densenet121
  --batch N        default 8 (64 for the CIFAR variants)
  --size N         height and width of the images, default 224 (32)
  --device D       cpu (default), cuda or cuda:N
  --precision P    fp32 (default), bf16 or fp16
  --python P       the Python to compare with, default one of our own with PyTorch's CPU build; with --device cuda the
                   python3 on the PATH
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

/** @typedef {{ task: string, model: string, batch: number, size: number, device: string, precision: string, python: string | undefined, threads: number, rounds: number, only: string[], compile: boolean, json: boolean, out: string | undefined, plot: string | undefined }} Plan */

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
      precision: text,
      python: text,
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
  const precision = values.precision ?? 'fp32';
  if (!['fp32', 'bf16', 'fp16'].includes(precision)) throw new Error(`There is no precision ${precision}.\n\n${usage}`);
  if (!/^(cpu|cuda(:\d+)?)$/.test(values.device ?? 'cpu'))
    throw new Error(`There is no device ${values.device}.\n\n${usage}`);
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
    precision,
    python: values.python,
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
    pid: child.pid ?? 0,
    end: () => child.stdin.end(),
  };
}

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? Number(sorted[middle]) : (Number(sorted[middle - 1]) + Number(sorted[middle])) / 2;
}

/** @param {Plan} plan @param {string[]} runtimes @param {boolean} pytorch @returns {Contender[]} */
function contenders(plan, runtimes, pytorch) {
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
          ...(plan.device === 'cpu' ? [] : [make('ours-modules', 'reference', 'node')]),
          make('eager', 'eager', 'python'),
          make('channels-last', 'channels-last', 'python'),
          make('checkpointed', 'checkpointed', 'python'),
          ...(plan.compile ? [make('compile', 'compiled', 'python')] : []),
        ]
      : [
          make('eager', 'eager', 'python'),
          make('channels-last', 'channels-last', 'python'),
          ...(plan.precision === 'fp32' ? [make('trace-freeze', 'frozen', 'python')] : []),
          ...(plan.compile ? [make('compile', 'compiled', 'python')] : []),
          ...(runtimes.includes('onnxruntime') ? [make('onnxruntime-node', 'onnxruntime', 'node')] : []),
          ...(runtimes.includes('openvino') ? [make('openvino', 'openvino', 'python')] : []),
        ];
  const chosen = others.filter(({ name }) => plan.only.length === 0 || plan.only.includes(name));
  return [ours, ...chosen.filter(({ language }) => language === 'node' || pytorch)];
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
  const { DenseNet, runtimeInfo } = require('../../dist');
  const { cuda } = await runtimeInfo();
  if (plan.device !== 'cpu' && !cuda.available) {
    console.log(`skipped: no device: ${cuda.reason}`);
    return;
  }
  const found = await findPython(plan);
  const python = found ?? '';
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
  for (const contender of contenders(plan, runtimes, found !== undefined)) {
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
        const held = plan.device === 'cpu' ? undefined : (await deviceMemory()).get(processes[index]?.pid ?? 0);
        const peak = plan.device === 'cpu' ? (found?.peak ?? 0) : (held ?? 0) * 1024 ** 2;
        contender.peak = Math.max(contender.peak, peak);
      }
    }
  });
  for (const { end } of processes) end();
  const gpu =
    plan.device === 'cpu'
      ? ''
      : `${(await runCommand('nvidia-smi', ['--query-gpu=name,driver_version', '--format=csv,noheader'], process.env)).output.trim()}; `;
  const hardware = `${gpu}${os.cpus()[0]?.model ?? 'unknown processor'}, ${plan.threads} threads, ${Math.round(os.totalmem() / 1e9)} GB, Node ${process.version}`;
  const title = `${plan.task === 'train' ? 'Training step' : 'Inference'}, ${plan.model}, batch ${plan.batch}, ${plan.size}×${plan.size}, ${plan.device}, ${plan.precision}`;
  const memory = plan.device === 'cpu' ? 'above the process at rest' : "all that the process holds of the GPU's memory";
  console.log(`\n${title}`);
  console.log(`${hardware}; medians of ${plan.rounds} interleaved blocks; peak: ${memory}\n`);
  show(all);
  const ours = median(all[0]?.times ?? []);
  const rows = all.map((one) => ({ ...one, ratio: median(one.times) / ours }));
  const results = JSON.stringify({ plan, hardware, contenders: rows }, undefined, 2);
  if (plan.json) print(results);
  if (plan.out !== undefined) await writeFile(plan.out, `${results}\n`);
  if (plan.plot !== undefined) await plot(plan.plot, { title, subtitle: hardware, bars: rows });
}

runScript(bench);
