import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DenseNetError } from '../errors';
import { runtimeInfo } from '../runtime/info';
import type { TrainingEvent } from '../training/events';

/**
 * What a command leaves of a run: `config.json` (every option, complete), `run.json` (versions, seed, device, when),
 * `log.jsonl` (an event a line), `summary.json` (what came out) and the weights. Only one run at a time writes to it.
 */
export class RunFolder {
  readonly path: string;
  readonly #lock: string;

  private constructor(folder: string) {
    this.path = folder;
    this.#lock = path.join(folder, 'run.lock');
  }

  /**
   * Makes the folder, or takes one that no run writes to; what an earlier run left in it is replaced.
   *
   * @throws DenseNetError `ERR_LOCKED` while another run writes to it, `ERR_FILE` when it cannot be made.
   */
  static async open(folder: string, config: object, device: string): Promise<RunFolder> {
    const run = new RunFolder(folder);
    try {
      await mkdir(folder, { recursive: true });
      run.#takeLock();
      await run.write('config.json', config);
      await run.write('run.json', await describeRun(device));
      await writeFile(run.file('log.jsonl'), '');
    } catch (error) {
      if (error instanceof DenseNetError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new DenseNetError('ERR_FILE', `${folder} cannot be written to: ${reason}`, { cause: error });
    }
    return run;
  }

  #takeLock(): void {
    for (let attempt = 0; attempt < 2; attempt += 1) {
      try {
        writeFileSync(this.#lock, String(process.pid), { flag: 'wx' });
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
    rmSync(this.#lock, { force: true });
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
