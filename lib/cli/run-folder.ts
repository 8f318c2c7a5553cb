import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { DenseNetError, fileError, reasonOf } from '../errors';
import { runtimeInfo } from '../runtime/info';
import type { RunPlace, TrainingEvent } from '../training/events';
import { isBefore, isRunStart, rewindLog } from '../training/rewind';
import { writeWhole } from '../write-whole';

/** Where a run's checkpoints lie; with a phase, those of that phase. */
export function checkpointsOf(folder: string, phase = ''): string {
  return path.join(folder, 'checkpoints', phase);
}

/** Whether there are checkpoints to go on from; without a phase, of any. */
export async function hasCheckpoints(folder: string, phase?: string): Promise<boolean> {
  const names = await readdir(checkpointsOf(folder, phase), { recursive: true }).catch(() => []);
  return names.some((name) => name.endsWith('.safetensors'));
}

/**
 * What a run was begun with: its `config.json`.
 *
 * @param command That must have begun it.
 * @throws DenseNetError `ERR_FILE` where there is none, or nothing to go on from; `ERR_INVALID_ARGUMENT` for a run of another
 *   command.
 */
export async function readConfig(folder: string, command: string): Promise<Record<string, unknown>> {
  const file = path.join(folder, 'config.json');
  let config: Record<string, unknown>;
  try {
    config = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  } catch (error) {
    throw new DenseNetError(
      'ERR_FILE',
      `${file} does not say what run this is: ${reasonOf(error)} --resume takes the folder that was the --out of an interrupted run.`,
      { cause: error },
    );
  }
  if (config['command'] !== command)
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `${folder} is a run of \`densenet ${String(config['command'])}\`. Go on with it by that command's --resume.`,
    );
  if (!(await hasCheckpoints(folder)))
    throw new DenseNetError(
      'ERR_FILE',
      `${folder} holds no checkpoint to go on from: the run has ended, or was ended before its first. Begin a new one.`,
    );
  return config;
}

/**
 * What a command leaves of a run: `config.json` (every option, complete), `run.json` (versions, seed, device, when),
 * `log.jsonl` (an event a line), `tensorboard/`, `summary.json` (what came out) and the weights. Only one run at a time writes
 * to it.
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
      await rm(run.tensorBoard(), { recursive: true, force: true });
      await run.write('config.json', config);
      await run.write('run.json', await describeRun(device));
      await writeWhole(run.file('log.jsonl'), '');
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
    if (!(await hasCheckpoints(this.path))) return;
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `${this.path} holds a run that was interrupted. Go on with it by --resume ${this.path}, choose another --out, or remove ${checkpointsOf(this.path)}.`,
    );
  }

  /**
   * Drops what was logged after the place at which a run goes on, where those steps are taken again, and notes in `run.json`
   * that it did.
   *
   * @param phase Of which phase the place is; other phases' lines stay.
   */
  async rewind(place: RunPlace, phase?: string): Promise<void> {
    await rewindLog(this.file('log.jsonl'), (records) =>
      records.filter((record) => record['phase'] !== phase || isBefore(record, place)),
    );
    // TensorBoard itself drops what it has of later steps, where a run goes on in the middle.
    if (isRunStart(place)) return rm(this.tensorBoard(phase), { recursive: true, force: true });
    const { resumed = [], ...run } = await readRun(this.file('run.json'));
    const resume = { at: new Date().toISOString(), ...place, ...(phase === undefined ? {} : { phase }) };
    await this.write('run.json', { ...run, resumed: [...resumed, resume] });
  }

  #takeLock(): void {
    for (let attempt = 0; attempt < 2; attempt += 1) {
      try {
        writeFileSync(this.#lock, String(process.pid), { flag: 'wx' });
        this.#locked = true;
        process.once('exit', () => this.close());
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fileError(this.#lock, error);
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

  /** Takes away the checkpoints of a run that has left its weights. */
  async dropCheckpoints(): Promise<void> {
    const checkpoints = checkpointsOf(this.path);
    await rm(checkpoints, { recursive: true, force: true }).catch((error: unknown) => {
      throw new DenseNetError(
        'ERR_FILE',
        `${checkpoints} cannot be removed: ${reasonOf(error)} The run itself has ended well; remove it by hand.`,
        { cause: error },
      );
    });
  }

  file(name: string): string {
    return path.join(this.path, name);
  }

  /** Where TensorBoard's files go. */
  tensorBoard(phase = ''): string {
    return path.join(this.path, 'tensorboard', phase);
  }

  async write(name: string, content: object): Promise<void> {
    await writeWhole(this.file(name), `${JSON.stringify(content, undefined, 2)}\n`);
  }

  /** Adds an event to the log; synchronously, so that a process that ends loses none. */
  log(event: TrainingEvent & { phase?: string }): void {
    try {
      appendFileSync(this.file('log.jsonl'), `${JSON.stringify(event)}\n`);
    } catch (error) {
      throw fileError(this.file('log.jsonl'), error);
    }
  }

  close(): void {
    if (!this.#locked) return;
    this.#locked = false;
    try {
      rmSync(this.#lock, { force: true });
    } catch {
      // It stays as that of a process that is no more, which the next run takes.
    }
  }
}

/** What `run.json` holds; nothing where it is damaged. */
async function readRun(file: string): Promise<{ resumed?: object[] }> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as { resumed?: object[] };
  } catch {
    return {};
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
