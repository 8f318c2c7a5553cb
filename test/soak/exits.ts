import { runProgram, type Ended } from '../child';
import { randomNumbers, sideBySide, type Dose, type Outcome } from './check';

/** A way to end in the middle of work: the program's last lines, after a delay, and how it must end. */
interface Way {
  name: string;
  body: string;
  code: number | null;
  signal: NodeJS.Signals | null;
  /** What the end of a program by an error says. */
  says?: string;
}

const begin = `
  const model = await DenseNet.create(tiny);
  const other = await DenseNet.create(tiny);
  const calls = () => { for (let index = 0; index < 20; index += 1) other.predict(images(8)).catch(() => undefined); };`;

/** A run that goes on for ever, and predictions beside it. */
const work = `${begin}
  const run = trainer(model).fit(data(12), endless);
  run.catch(() => undefined);
  await run[Symbol.asyncIterator]().next();
  calls();
  await new Promise((resolve) => setTimeout(resolve, DELAY));`;

const ways: readonly Way[] = [
  {
    name: 'return',
    // What is waited for is let go on to its end; the models are never disposed of.
    body: `${begin} calls(); await trainer(model).fit(data(12), { epochs: 3, batchSize: 4 }); calls();`,
    code: 0,
    signal: null,
  },
  { name: 'process.exit', body: `${work} process.exit(7);`, code: 7, signal: null },
  {
    name: 'process.exit in a callback',
    body: `${begin} calls();
      const started = performance.now();
      const onStep = () => { calls(); if (performance.now() - started > DELAY) process.exit(8); };
      await trainer(model).fit(data(12), { ...endless, callbacks: [{ onStep }] });`,
    code: 8,
    signal: null,
  },
  {
    name: 'uncaught exception',
    body: `${work} setTimeout(() => { throw new Error('on purpose'); });`,
    code: 1,
    signal: null,
    says: 'on purpose',
  },
  {
    name: 'unhandled rejection',
    body: `${work} void Promise.reject(new Error('on purpose'));`,
    code: 1,
    signal: null,
    says: 'on purpose',
  },
  {
    name: 'SIGTERM',
    body: `${work} process.kill(process.pid, 'SIGTERM'); setInterval(() => undefined, 1000);`,
    code: null,
    signal: 'SIGTERM',
  },
];

/**
 * Processes that end in six ways in the middle of training and predictions, at a random moment.
 *
 * @param times Ends in each way.
 */
export async function exitInEveryWay({ times, seed, progress }: Dose): Promise<Outcome> {
  const random = randomNumbers(seed);
  const delays = Array.from({ length: times * ways.length }, () => Math.floor(random() * 100));
  const faults: string[] = [];
  let done = 0;
  await sideBySide(delays.length, 2, async (index) => {
    const way = ways[index % ways.length] as Way;
    const ended = await runProgram(way.body.replaceAll('DELAY', String(delays[index])));
    const wrong = judge(way, ended);
    if (wrong !== undefined) faults.push(`${way.name} after ${delays[index]} ms: ${wrong}`);
    done += 1;
    if (done % ways.length === 0) progress?.(done / ways.length);
  });
  return { done: times, faults, figures: { ways: ways.length, processes: delays.length } };
}

function judge({ code, signal, says }: Way, ended: Ended): string | undefined {
  const found = `it ended with ${ended.code ?? ended.signal} and said ${JSON.stringify(ended.stderr.slice(0, 500))}`;
  if (ended.code !== code || ended.signal !== signal) return found;
  if (says === undefined ? ended.stderr !== '' : !ended.stderr.includes(says)) return found;
  return undefined;
}
