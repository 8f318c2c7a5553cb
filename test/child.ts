import { spawn } from 'node:child_process';
import path from 'node:path';

export const root = path.join(__dirname, '..');

/** What became of a process. */
export interface Ended {
  code: number | null;
  /** The signal that killed it, which is how a crash shows. */
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface ChildOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Called with all of stdout so far, to react to what the process says. */
  onOutput?: (stdout: string, kill: (signal: NodeJS.Signals) => void) => void;
  /** Called when it has been started. */
  onStart?: (kill: (signal: NodeJS.Signals) => void) => void;
}

/** Runs Node to its end. */
export function runNode(args: string[], { env, cwd = root, onOutput, onStart }: ChildOptions = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, env: { ...process.env, NO_COLOR: '1', ...env } });
    const kill = (signal: NodeJS.Signals): void => void child.kill(signal);
    child.on('spawn', () => onStart?.(kill));
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      onOutput?.(stdout, kill);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** Runs a program that has the compiled package as `densenet` and a tiny model's options as `tiny`. */
export function runProgram(body: string, options?: ChildOptions): Promise<Ended> {
  return runNode(['--expose-gc', '-e', `${prelude}\n(async () => {\n${body}\n})();`], options);
}

/** The start of every such program, also for worker threads. */
export const prelude = `
const densenet = require(${JSON.stringify(path.join(root, 'dist'))});
const { DenseNet, Trainer, datasets } = densenet;
const tiny = { growthRate: 4, blockConfig: [2, 2], initChannels: 8, stem: 'cifar', inChannels: 1, numClasses: 3, device: 'cpu', seed: 1 };
const images = (count) => ({ data: new Float32Array(count * 64).map((_, i) => Math.sin(i)), shape: [count, 1, 8, 8] });
const data = (count) => datasets.fromArrays({ images: images(count), labels: Array.from({ length: count }, (_, i) => i % 3) });
const trainer = (model) => new Trainer(model, { optimizer: { type: 'sgd', lr: 0.05 } });
const endless = { epochs: 1e9, batchSize: 4 };
`;
