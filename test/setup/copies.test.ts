import { copyFile, mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { findCores } from '../../lib/runtime/cores';
import { locateLibtorch } from '../../lib/runtime/locate';
import { root, runNode, type Ended } from '../child';
import { copyPackage, makeLibtorch, put, temporaryFolder } from './fakes';

/**
 * Two copies of the package in one process, as when two packages of an app ask for two versions of it: each has a loader
 * and a core of its own, and both use one libtorch.
 */

const folder = temporaryFolder();
const at = (...names: string[]) => path.join(folder(), ...names);
const clean = { code: 0, signal: null, stderr: '' };
let libtorch: string;

beforeAll(async () => {
  const cores = await findCores(root);
  libtorch = (await locateLibtorch({ accept: (version) => cores.has(version) })).libtorch?.path as string;
});

beforeEach(async () => {
  const from = path.join(root, 'build', 'Release');
  for (const name of ['first', 'second']) {
    await copyPackage(at(name));
    const to = at(name, 'build', 'Release');
    await mkdir(to, { recursive: true });
    for (const file of await readdir(from))
      if (/^densenet_core|\.node$/.test(file)) await copyFile(path.join(from, file), path.join(to, file));
  }
});

/** What a program has, and a worker thread of it: `work(copy)` trains and gives logits. */
const prelude = () => `
  const { Worker, parentPort } = require('node:worker_threads');
  const load = (name) => require(require('node:path').join(${JSON.stringify(folder())}, name));
  const tiny = { growthRate: 4, blockConfig: [2, 2], initChannels: 8, stem: 'cifar', inChannels: 1, numClasses: 3, device: 'cpu', seed: 1 };
  const images = (count) => ({ data: new Float32Array(count * 64).map((_, i) => Math.sin(i)), shape: [count, 1, 8, 8] });
  const begin = async ({ DenseNet, Trainer, datasets }, epochs) => {
    const model = await DenseNet.create(tiny);
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.05 }, seed: 2 });
    const labels = Array.from({ length: 12 }, (_, i) => i % 3);
    return { model, run: trainer.fit(datasets.fromArrays({ images: images(12), labels }), { epochs, batchSize: 4 }) };
  };
  const work = async (copy) => {
    const { model, run } = await begin(copy, 5);
    await run;
    return (await model.forward(images(2))).data.join();
  };
  const inThread = (name) => new Worker(prelude + \`work(load('\${name}')).then((logits) => parentPort.postMessage(logits));\`, { eval: true });
  const answer = (worker) => new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
`;

function runProgram(body: string): Promise<Ended> {
  const text = prelude();
  return runNode(['-e', `const prelude = ${JSON.stringify(text)};${text}\n(async () => {\n${body}\n})();`], {
    env: { LIBTORCH: libtorch },
  });
}

test('train side by side and give the same numbers', async () => {
  const ended = await runProgram(`
    const [first, second] = [load('first'), load('second')];
    const logits = await Promise.all([work(first), work(second)]);
    const { sharedObjects } = process.report.getReport();
    const loaded = (name) => sharedObjects.filter((file) => file.includes(name)).length;
    console.log(new Set(logits).size, first.DenseNet === second.DenseNet, loaded('densenet_core'), loaded('libtorch_cpu'));`);
  expect(ended).toEqual({ ...clean, stdout: '1 false 2 1\n' });
});

test('one in a worker thread beside the other in the main thread, and both in one thread', async () => {
  const ended = await runProgram(`
    const workers = [inThread('second'), inThread('first'), inThread('second')];
    const logits = await Promise.all([work(load('first')), ...workers.map(answer)]);
    console.log(new Set([...logits, await work(load('second'))]).size);`);
  expect(ended).toEqual({ ...clean, stdout: '1\n' });
});

test('a worker thread may be terminated in the middle of the second copy, and the first goes on', async () => {
  const ended = await runProgram(`
    const first = load('first');
    for (let round = 0; round < 6; round += 1) {
      const worker = new Worker(prelude + \`begin(load('second'), 1e9).then(({ run }) => {
        parentPort.postMessage('training');
        return run;
      });\`, { eval: true });
      // Loading, begun and somewhere in between.
      if (round % 3 > 0) await answer(worker);
      if (round % 3 > 1) await new Promise((resolve) => setTimeout(resolve, 20 * round));
      await worker.terminate();
    }
    console.log((await work(first)).split(',').length);`);
  expect(ended).toEqual({ ...clean, stdout: '6\n' });
});

test('a process ends by process.exit while both train', async () => {
  const ended = await runProgram(`
    for (const name of ['first', 'second']) {
      const { run } = await begin(load(name), 1e9);
      run.catch(() => undefined);
    }
    setTimeout(() => process.exit(7), 50);`);
  expect(ended).toEqual({ ...clean, code: 7, stdout: '' });
});

test("each knows the other's errors", async () => {
  const ended = await runProgram(`
    const error = await load('first').DenseNet.create({ variant: 'densenet122' }).catch((reason) => reason);
    const { DenseNetError, isDenseNetError } = load('second');
    console.log(error instanceof DenseNetError, isDenseNetError?.(error), error.code);`);
  expect(ended).toEqual({ ...clean, stdout: 'false true ERR_UNKNOWN_VARIANT\n' });
});

describe('where they find two libtorchs', () => {
  /** As far as anyone looks before opening it, another libtorch of the same version. */
  const makeOther = async (version: string): Promise<string> => {
    const place = await makeLibtorch(at('other'), { version });
    await put(path.join(place, 'lib', 'libtorch_cpu.so'), 'another');
    return place;
  };
  const version = async () => [...(await findCores(root)).keys()][0] as string;

  it('the second is refused with ERR_LIBTORCH_ALREADY_LOADED, which names both and what to do', async () => {
    const other = await makeOther(`${await version()}+cpu`);
    const ended = await runProgram(`
      const [first, second] = [load('first'), load('second')];
      await first.runtimeInfo();
      process.env.LIBTORCH = ${JSON.stringify(other)};
      const { code, message } = await second.runtimeInfo().catch((error) => error);
      process.env.LIBTORCH = ${JSON.stringify(libtorch)};
      const mended = await second.runtimeInfo();
      console.log(JSON.stringify({ code, message, same: (await work(first)) === (await work(second)), mended: mended.libtorch.path }));`);
    expect(ended).toMatchObject(clean);
    const { code, message, same, mended } = JSON.parse(ended.stdout) as Record<string, unknown>;
    expect({ code, same, mended }).toEqual({ code: 'ERR_LIBTORCH_ALREADY_LOADED', same: true, mended: libtorch });
    expect(message).toContain(`from ${libtorch}, for another copy`);
    expect(message).toContain(`in ${other}, from LIBTORCH, cannot be loaded beside it`);
    expect(message).toContain(`Set LIBTORCH to ${libtorch} so that both use that one`);
    expect(message).toContain('a process of its own');
  });

  it('so it is in a worker thread', async () => {
    const other = await makeOther(`${await version()}+cpu`);
    const ended = await runProgram(`
      await load('first').runtimeInfo();
      const worker = new Worker(prelude + \`
        load('second').runtimeInfo().catch(({ code }) => parentPort.postMessage(code));\`,
        { eval: true, env: { ...process.env, LIBTORCH: ${JSON.stringify(other)} } });
      console.log(await answer(worker));`);
    expect(ended).toEqual({ ...clean, stdout: 'ERR_LIBTORCH_ALREADY_LOADED\n' });
  });
});
