import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { runNode, type Ended } from '../child';
import { pick, randomNumbers, type Dose, type Outcome } from './check';

const signals = ['SIGTERM', 'SIGINT'] as const;

const stepsAnEpoch = 6;
const course = ['--epochs', '3', '--batch-size', '256', '--seed', '3'];

/** A process that has not ended by then hangs, milliseconds. */
const HANG_MS = 60_000;

/** Steps that may be ahead of what was seen of them: the one that was going on, and one whose event was on its way. */
const STEPS_UNSEEN = 2;

/** A second signal is answered at once, milliseconds. */
const AT_ONCE_MS = 1000;

/**
 * Interrupts `densenet train` at random moments, from before it has loaded anything to after its last step, and goes on with
 * it until it ends. What was interrupted must have saved a checkpoint no older than the step before; the run must end with
 * the weights of one that nobody interrupted. After that, a second signal in the middle of a step that takes seconds.
 */
export async function interrupt({ times, seed, progress }: Dose): Promise<Outcome> {
  const place = await mkdtemp(path.join(os.tmpdir(), 'densenet-signals-'));
  const random = randomNumbers(seed);
  const faults: string[] = [];
  const count = { saved: 0, 'before or after the training': 0, 'runs that ended': 0 };
  let ahead = 0;
  let slowest = 0;
  try {
    const began = performance.now();
    await train(path.join(place, 'whole'), false);
    const usual = performance.now() - began;
    const expected = await readFile(path.join(place, 'whole', 'weights.safetensors'));
    const twice = Math.ceil(times / 10);
    let out = path.join(place, 'run-0');
    for (let index = 0; index < times - twice; index += 1) {
      const signal = pick(random, signals);
      const goOn = (await checkpointsIn(out)).length > 0;
      const { ended, sent, seen } = await trainAndSignal(out, goOn, signal, random() * usual);
      const where = `${signal} after ${Math.round(sent)} ms`;
      if (ended.signal === 'SIGKILL') faults.push(`${where}: it did not end`);
      else if (ended.code === 130 && ended.stdout.includes('"interrupted":true')) {
        count.saved += 1;
        const last = placesIn(
          ended.stdout,
          /"type":"checkpoint","path":"[^"]*epoch-(\d+)(?:-step-(\d+))?\.safetensors"/g,
        );
        if (last < seen) faults.push(`${where}: step ${seen} was seen, and the last checkpoint is of step ${last}`);
        if (seen > 0) ahead = Math.max(ahead, last - seen);
        if (seen > 0 && last > seen + STEPS_UNSEEN) faults.push(`${where}: ${last - seen} more steps were taken`);
      } else if (ended.signal === signal) count['before or after the training'] += 1;
      else if (ended.code !== 0) faults.push(`${where}: it ended with ${ended.code ?? ended.signal}: ${ended.stderr}`);
      if (ended.stderr !== '' && ended.code !== 1) faults.push(`${where}: it said ${ended.stderr}`);
      if (goOn && (await checkpointsIn(out)).length === 0 && !existsSync(path.join(out, 'weights.safetensors'))) {
        faults.push(`${where}: its checkpoints are gone, and there are no weights`);
        out = path.join(place, `run-${index}`);
      }
      if (ended.code === 0) {
        count['runs that ended'] += 1;
        const weights = await readFile(path.join(out, 'weights.safetensors'));
        if (!weights.equals(expected)) faults.push(`${where}: the run ended with other weights`);
        await rm(out, { recursive: true });
        out = path.join(place, `run-${index}`);
      }
      progress?.(index + 1);
    }
    for (let index = 0; index < twice; index += 1) {
      const { waited, ended } = await signalTwice(path.join(place, `twice-${index}`), random);
      slowest = Math.max(slowest, waited);
      if (waited > AT_ONCE_MS) faults.push(`a second signal was answered after ${Math.round(waited)} ms`);
      const died = signals.some((signal) => signal === ended.signal) || ended.code === 130;
      if (!died) faults.push(`after a second signal it ended with ${ended.code ?? ended.signal}: ${ended.stderr}`);
      progress?.(times - twice + index + 1);
    }
    return {
      done: times,
      faults,
      figures: {
        ...count,
        'steps at most after the last one that was seen': ahead,
        'second signals': twice,
        'slowest answer to one, ms': Math.round(slowest),
      },
    };
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

function train(out: string, goOn: boolean, hooks: Parameters<typeof runNode>[1] = {}): Promise<Ended> {
  const what = goOn ? ['--resume', out] : [...course, '--out', out];
  return runNode([path.join('dist', 'cli', 'main.js'), 'train', ...what, '--device', 'cpu', '--json'], hooks);
}

/** Sends a signal so many milliseconds after the start; also tells the last step that was seen before it. */
async function trainAndSignal(out: string, goOn: boolean, signal: NodeJS.Signals, delay: number) {
  let [seen, sent, text] = [0, 0, ''];
  const timers: NodeJS.Timeout[] = [];
  const ended = await train(out, goOn, {
    onOutput: (stdout) => (text = stdout),
    onStart: (kill) => {
      const act = (): void => {
        sent = delay;
        seen = placesIn(text, /"type":"step","epoch":(\d+),"step":(\d+)/g);
        kill(signal);
      };
      timers.push(
        setTimeout(act, delay),
        setTimeout(() => kill('SIGKILL'), HANG_MS),
      );
    },
  });
  for (const timer of timers) clearTimeout(timer);
  return { ended, sent, seen };
}

/** Steps of the run before the last place that a text names. */
function placesIn(text: string, pattern: RegExp): number {
  const last = [...text.matchAll(pattern)].at(-1);
  if (last === undefined) return 0;
  const epoch = Number(last[1]);
  return last[2] === undefined ? epoch * stepsAnEpoch : (epoch - 1) * stepsAnEpoch + Number(last[2]);
}

/** Two signals, the second 50 to 300 ms after the first, in a step that takes seconds. Sooner, the same one twice is one to the system. */
async function signalTwice(out: string, random: () => number): Promise<{ waited: number; ended: Ended }> {
  const [first, second] = [pick(random, signals), pick(random, signals)];
  const between = 50 + random() * 250;
  const timers: NodeJS.Timeout[] = [];
  let at = 0;
  const args = ['--variant', 'cifar-bc-100-12', '--batch-size', '1433', '--epochs', '1', '--out', out];
  const ended = await runNode(
    [path.join('dist', 'cli', 'main.js'), 'train', ...args, '--device', 'cpu', '--augment', 'none'],
    {
      onOutput: (text, kill) => {
        if (timers.length > 0 || !text.includes('Training a DenseNet')) return;
        const again = (): void => {
          at = performance.now();
          kill(second);
        };
        // It says so before it begins, so it is given a moment.
        const begin = (): void => {
          kill(first);
          timers.push(setTimeout(again, between));
        };
        timers.push(
          setTimeout(begin, 500),
          setTimeout(() => kill('SIGKILL'), HANG_MS),
        );
      },
    },
  );
  for (const timer of timers) clearTimeout(timer);
  await rm(out, { recursive: true, force: true });
  return { waited: performance.now() - at, ended };
}

async function checkpointsIn(out: string): Promise<string[]> {
  const names = await readdir(path.join(out, 'checkpoints')).catch(() => []);
  return names.filter((name) => /^epoch-.*\.safetensors$/.test(name));
}
