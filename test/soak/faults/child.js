'use strict';

/**
 * Saves under write faults: `node child.js '{"place": …, "plan": …, "times": …, "seed": …}'`, with shim.c before libc. Prints
 * a line `progress N` now and then, and what it came to as JSON at the end.
 */

const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { DenseNet, Trainer, datasets, jsonLines, tensorBoard } = require('../../../dist');
const { describe, kinds, planOf, readPlan, PLAN_BYTES } = require('./kinds');

/** @typedef {import('./kinds').Fault} Fault */
/**
 * @typedef {object} Attempt What became of a try.
 * @property {string | undefined} code Of what it was refused with; nothing when it went through.
 * @property {string[]} wrong What is not as it should be, the refusal itself aside.
 */
/** @typedef {{ name: string, attempt: () => Promise<Attempt> }} Scenario */

const { place, plan, times, seed } = /** @type {{ place: string, plan: string, times: number, seed: number }} */ (
  JSON.parse(process.argv[2] ?? '{}')
);
const descriptor = fs.openSync(plan, 'r+');

/** @param {Fault} [fault] */
function arm(fault) {
  fs.writeSync(descriptor, planOf(fault), 0, PLAN_BYTES, 0);
}

function disarm() {
  const bytes = Buffer.alloc(PLAN_BYTES);
  fs.readSync(descriptor, bytes, 0, PLAN_BYTES, 0);
  arm();
  return readPlan(bytes);
}

const config = {
  growthRate: 4,
  blockConfig: [2, 2],
  initChannels: 8,
  stem: /** @type {const} */ ('cifar'),
  inChannels: 1,
  numClasses: 3,
  device: /** @type {const} */ ('cpu'),
  seed: 1,
};
const options = { optimizer: { type: /** @type {const} */ ('adam'), lr: 0.01 }, ema: 0.9, seed: 2 };
/** @param {number} count */
const data = (count) =>
  datasets.fromArrays({
    images: { data: new Float32Array(count * 64).map((_, index) => Math.sin(index)), shape: [count, 1, 8, 8] },
    labels: Array.from({ length: count }, (_, index) => index % 3),
  });

/** @param {() => PromiseLike<unknown>} work */
async function codeOf(work) {
  try {
    await work();
    return undefined;
  } catch (error) {
    const { code, message } = /** @type {{ code?: string, message: string }} */ (error);
    return code ?? message;
  }
}

const temporaries = () => fs.readdirSync(place, { recursive: true }).filter((name) => String(name).includes('.tmp-'));

/**
 * Saving one file over an old one.
 *
 * @param {string} name
 * @param {(file: string) => Promise<unknown>} save
 * @returns {Promise<Scenario>}
 */
async function overOldFile(name, save) {
  const file = path.join(place, 'file');
  await save(file);
  const whole = fs.readFileSync(file);
  const old = Buffer.from('what was there before');
  return {
    name,
    attempt: async () => {
      const before = planNow();
      arm();
      fs.writeFileSync(file, old);
      restore(before);
      const code = await codeOf(() => save(file));
      const after = planNow();
      arm();
      const wrong = [];
      const found = fs.readFileSync(file);
      if (code === undefined && !found.equals(whole)) wrong.push('what was saved is not whole');
      if (code !== undefined && !found.equals(old) && !found.equals(whole)) wrong.push('the old file is lost');
      // After its rename the new one is in its place, and only whether that outlasts a power cut is unknown.
      const renamed = ['open of the folder', 'fsync of the folder'].includes(kinds[before.kind]?.name ?? '');
      if (code !== undefined && found.equals(whole) && !renamed)
        wrong.push('the new file is there in spite of the error');
      // Where even the removal fails, what was begun stays.
      if (temporaries().length > 0 && kinds[before.kind]?.name !== 'unlink')
        wrong.push(`left: ${temporaries().join()}`);
      for (const rest of temporaries()) fs.rmSync(path.join(place, String(rest)));
      restore(after);
      return { code, wrong };
    },
  };
}

function planNow() {
  const bytes = Buffer.alloc(PLAN_BYTES);
  fs.readSync(descriptor, bytes, 0, PLAN_BYTES, 0);
  return { bytes, kind: bytes.readInt32LE(0) };
}

/** @param {{ bytes: Buffer }} plan */
function restore({ bytes }) {
  fs.writeSync(descriptor, bytes, 0, PLAN_BYTES, 0);
}

/** @param {import('../../../dist').DenseNet} model */
async function fingerprint(model) {
  const hash = createHash('sha256');
  for (const [, tensor] of await model.stateDict()) hash.update(new Uint8Array(tensor.data.buffer));
  return hash.digest('hex');
}

/** The place of a checkpoint by its name; the end of an epoch comes after its steps. @param {string} file */
const order = (file) => path.basename(file, '.safetensors').replace(/^(epoch-\d+)$/, '$1-step-9999999');

/**
 * A run that writes checkpoints, a history and an event file; then, without faults, the run that goes on.
 *
 * @returns {Promise<Scenario>}
 */
async function wholeRun() {
  const folder = path.join(place, 'run');
  const course = { epochs: 2, batchSize: 4, validation: data(5) };
  const checkpoint = { folder: path.join(folder, 'checkpoints'), everySteps: 1, keepLast: 2 };
  const make = async () => {
    const model = await DenseNet.create(config);
    return { model, trainer: new Trainer(model, options) };
  };
  const unbroken = await make();
  await unbroken.trainer.fit(data(12), course);
  const expected = await fingerprint(unbroken.model);
  await unbroken.model.dispose();
  return {
    name: 'a run',
    attempt: async () => {
      const before = planNow();
      arm();
      fs.rmSync(folder, { recursive: true, force: true });
      const { model, trainer } = await make();
      restore(before);
      /** @type {string[]} */
      const said = [];
      const callbacks = [
        jsonLines(path.join(folder, 'history', 'log.jsonl')),
        tensorBoard(path.join(folder, 'board')),
        { onCheckpoint: (/** @type {{ path: string }} */ event) => void said.push(event.path) },
      ];
      const code = await codeOf(() => trainer.fit(data(12), { ...course, checkpoint, callbacks }).then());
      const after = planNow();
      arm();
      await model.dispose();
      const wrong = [];
      const again = await make();
      const last = said.at(-1);
      const saved =
        fs.existsSync(checkpoint.folder) &&
        fs.readdirSync(checkpoint.folder).some((name) => name.startsWith('epoch-') && name.endsWith('.safetensors'));
      if (saved) {
        const { path: newest, skipped } = await again.trainer.resume(checkpoint.folder);
        if (skipped.length > 0) wrong.push(`broken: ${skipped.map((one) => one.path).join()}`);
        if (last !== undefined && order(newest) < order(last)) wrong.push(`${last} was saved and is lost`);
      } else if (last !== undefined) wrong.push(`${last} was saved and is lost`);
      const rest = await codeOf(() => again.trainer.fit(data(12), { ...course, checkpoint }).then());
      if (rest !== undefined) wrong.push(`it cannot be gone on with: ${rest}`);
      else if ((await fingerprint(again.model)) !== expected) wrong.push('gone on with, it ends with other weights');
      await again.model.dispose();
      restore(after);
      return { code, wrong };
    },
  };
}

/** Numbers from 0 to below 1. @param {number} state */
function randomNumbers(state) {
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}

/**
 * Every fault that a scenario can have, by the calls that it makes.
 *
 * @param {number[]} seen
 * @returns {Fault[]}
 */
function faultsOf(seen) {
  return seen.flatMap((count, kind) =>
    (kinds[kind]?.errors ?? []).flatMap((error) =>
      Array.from({ length: count }, (_, before) => before).flatMap((before) => [
        { kind, error, before, lasting: false },
        { kind, error, before, lasting: true },
      ]),
    ),
  );
}

async function main() {
  arm();
  const model = await DenseNet.create(config);
  const trainer = new Trainer(model, options);
  await trainer.fit(data(6), { epochs: 1, batchSize: 3 });
  const scenarios = [
    await overOldFile('saveWeights', (file) => model.saveWeights(file)),
    await overOldFile('saveWeights as pth', (file) => model.saveWeights(file, { format: 'pth' })),
    await overOldFile('Trainer.saveWeights', (file) => trainer.saveWeights(file)),
    await overOldFile('Trainer.save', (file) => trainer.save(file)),
    await wholeRun(),
  ];
  /** @type {{ scenario: Scenario, fault: Fault }[]} */
  const all = [];
  /** @type {string[]} */
  const faults = [];
  for (const scenario of scenarios) {
    arm();
    const { code, wrong } = await scenario.attempt();
    if (code !== undefined) wrong.push(`refused with ${code}`);
    faults.push(...wrong.map((text) => `${scenario.name}, without a fault: ${text}`));
    const { seen } = disarm();
    all.push(...faultsOf(seen).map((fault) => ({ scenario, fault })));
  }
  const random = randomNumbers(seed);
  const chosen = all.map((one) => ({ one, key: random() })).sort((a, b) => a.key - b.key);
  /** @type {Record<string, number>} */
  const injected = {};
  let done = 0;
  let missed = 0;
  for (const { one } of chosen.slice(0, times)) {
    const { scenario, fault } = one;
    const where = `${scenario.name}, ${describe(fault)}`;
    arm(fault);
    const { code, wrong } = await scenario.attempt();
    const { hit } = disarm();
    const kind = kinds[fault.kind]?.name ?? '';
    // A run's calls may come in another order from time to time: its callbacks write beside it.
    if (!hit) missed += 1;
    else injected[kind] = (injected[kind] ?? 0) + 1;
    if (hit && code === undefined && kind !== 'unlink') wrong.push('nothing was said');
    if (code !== undefined && (code !== 'ERR_FILE' || !hit)) wrong.push(`refused with ${code}`);
    faults.push(...wrong.map((text) => `${where}: ${text}`));
    done += 1;
    if (done % 50 === 0) console.log(`progress ${done}`);
  }
  await model.dispose();
  console.log(JSON.stringify({ done, possible: all.length, missed, injected, faults }));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
