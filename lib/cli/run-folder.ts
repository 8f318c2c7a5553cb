import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DenseNetError, reasonOf } from '../errors';
import { runtimeInfo } from '../runtime/info';
import type { TrainingEvent } from '../training/events';

/** Where a run's checkpoints lie. */
export function checkpointsOf(folder: string): string {
  return path.join(folder, 'checkpoints');
}

/**
 * What a run was begun with: its `config.json`.
 *
 * @throws DenseNetError `ERR_FILE` where there is none.
 */
export async function readConfig(folder: string): Promise<Record<string, unknown>> {
  const file = path.join(folder, 'config.json');
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  } catch (error) {
    throw new DenseNetError(
      'ERR_FILE',
      `${file} does not say what run this is: ${reasonOf(error)} --resume takes the folder that was the --out of an interrupted run.`,
      { cause: error },
    );
  }
}

/**
 * What a command leaves of a run: `config.json` (every option, complete), `run.json` (versions, seed, device, when),
 * `log.jsonl` (an event a line), `summary.json` (what came out) and the weights. Only one run at a time writes to it.
 */
export class RunFolder {
  readonly path: string;
  readonly #lock: string;
  #locked = false;

  private constructor(folder: string) {
    this.path = folder;
    this.#lock = path.join(folder, 'run.lock');
  }

  /**
   * Makes the folder, or takes one that no run writes to; what an earlier run left in it is replaced, unless it was
   * interrupted and can be gone on with.
   *
   * @throws DenseNetError `ERR_LOCKED` while another run writes to it, `ERR_FILE` when it cannot be made,
   *   `ERR_INVALID_ARGUMENT` for one with an interrupted run.
   */
  static async open(folder: string, config: object, device: string): Promise<RunFolder> {
    const run = new RunFolder(folder);
    try {
      await mkdir(folder, { recursive: true });
      run.#takeLock();
      await run.#refuseInterrupted();
      await run.write('config.json', config);
      await run.write('run.json', await describeRun(device));
      await writeFile(run.file('log.jsonl'), '');
    } catch (error) {
      run.close();
      if (error instanceof DenseNetError) throw error;
      const reason = reasonOf(error);
      throw new DenseNetError('ERR_FILE', `${folder} cannot be written to: ${reason}`, { cause: error });
    }
    return run;
  }

  /** Takes the folder of a run that is gone on with. */
  static resume(folder: string): RunFolder {
    const run = new RunFolder(folder);
    run.#takeLock();
    return run;
  }

  async #refuseInterrupted(): Promise<void> {
    const left = await readdir(checkpointsOf(this.path)).catch(() => []);
    if (!left.some((name) => name.endsWith('.safetensors'))) return;
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `${this.path} holds a run that was interrupted. Go on with it by --resume ${this.path}, choose another --out, or remove ${checkpointsOf(this.path)}.`,
    );
  }

  /** Drops what was logged after the place at which a run goes on: those steps are taken again. */
  async rewindLog(epoch: number, step: number): Promise<void> {
    const log = await readFile(this.file('log.jsonl'), 'utf8').catch(() => '');
    const kept = log.split('\n').filter((line) => {
      if (!line.endsWith('}')) return false; // the last one of a process that was killed
      const event = JSON.parse(line) as TrainingEvent;
      return event.epoch < epoch || (event.type === 'step' && event.epoch === epoch && event.step <= step);
    });
    await writeFile(this.file('log.jsonl'), kept.map((line) => `${line}\n`).join(''));
  }

  #takeLock(): void {
    for (let attempt = 0; attempt < 2; attempt += 1) {
      try {
        writeFileSync(this.#lock, String(process.pid), { flag: 'wx' });
        this.#locked = true;
        process.once('exit', () => this.close());
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        const owner = Number(readFileSync(this.#lock, 'utf8'));
        if (isAlive(owner))
          throw new DenseNetError(
            'ERR_LOCKED',
            `${this.path} is in use by the run of process ${owner}. Wait for it, or give this run a folder of its own with --out.`,
          );
        // Left by a run that was killed.
        rmSync(this.#lock, { force: true });
      }
    }
    throw new DenseNetError('ERR_LOCKED', `${this.path} is in use by another run.`);
  }

  file(name: string): string {
    return path.join(this.path, name);
  }

  async write(name: string, content: object): Promise<void> {
    await writeFile(this.file(name), `${JSON.stringify(content, undefined, 2)}\n`);
  }

  /** Adds an event to the log; synchronously, so that a process that ends loses none. */
  log(event: TrainingEvent): void {
    appendFileSync(this.file('log.jsonl'), `${JSON.stringify(event)}\n`);
  }

  close(): void {
    if (this.#locked) rmSync(this.#lock, { force: true });
    this.#locked = false;
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function describeRun(device: string): Promise<object> {
  const { version, libtorch, threads } = await runtimeInfo();
  return {
    started: new Date().toISOString(),
    command: process.argv.slice(2),
    device,
    threads,
    versions: {
      'libtorch-densenet': version,
      libtorch: `${libtorch.version} (${libtorch.build})`,
      node: process.version,
    },
  };
}
