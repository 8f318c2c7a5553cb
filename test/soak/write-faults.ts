import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { runNode } from '../child';
import { pick, randomNumbers, type Dose, type Outcome } from './check';
import { describe, kinds, PLAN_BYTES, planOf, readPlan } from './faults/kinds';

interface Found {
  done: number;
  possible: number;
  missed: number;
  injected: Record<string, number>;
  faults: string[];
}

/** Why this system cannot make a call fail; nothing when it can. */
export async function cannotInject(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'LD_PRELOAD is of Linux';
  return promisify(execFile)('cc', ['--version']).then(
    () => undefined,
    () => 'there is no C compiler',
  );
}

/**
 * Makes the calls that save weights, checkpoints and histories fail, one at a time or from one on: no room, no permission, a
 * broken disk. Each time an error with a code must come, the old file or the new one must be whole, and a run must go on from
 * what it had said was saved. One in ten faults falls on the command line, which writes more files.
 */
export async function failWrites({ times, seed, progress }: Dose): Promise<Outcome> {
  const place = await mkdtemp(path.join(os.tmpdir(), 'densenet-faults-'));
  try {
    const plan = path.join(place, 'plan');
    const handle = await open(plan, 'w');
    await handle.write(planOf());
    await handle.close();
    const folder = path.join(place, 'disk');
    await mkdir(folder);
    const shim = path.join(place, 'shim.so');
    const source = path.join(__dirname, 'faults', 'shim.c');
    await promisify(execFile)('cc', ['-shared', '-fPIC', '-O1', '-o', shim, source, '-ldl']);
    const env = { LD_PRELOAD: shim, FAULT_PLAN: plan, FAULT_FOLDER: folder, UV_USE_IO_URING: '0' };
    const onCommandLine = Math.ceil(times / 10);
    const program = path.join(__dirname, 'faults', 'child.js');
    const order = JSON.stringify({ place: folder, plan, times: times - onCommandLine, seed });
    const ended = await runNode([program, order], {
      env,
      onOutput: (text) => {
        const last = /progress (\d+)\n$/.exec(text)?.[1];
        if (last !== undefined) progress?.(Number(last));
      },
    });
    if (ended.code !== 0) throw new Error(`the program ended with ${ended.code ?? ended.signal}: ${ended.stderr}`);
    const found = JSON.parse(ended.stdout.trim().split('\n').at(-1) as string) as Found;
    const faults = [...found.faults, ...(ended.stderr === '' ? [] : [`it said ${ended.stderr}`])];
    const command = new FaultyCommand(folder, plan, env);
    faults.push(...(await command.tryAll(onCommandLine, seed, (done) => progress?.(found.done + done))));
    return {
      done: found.done + onCommandLine,
      faults,
      figures: {
        ...Object.fromEntries(Object.entries(found.injected).map(([kind, count]) => [`failed: ${kind}`, count])),
        'failed: of the command line': onCommandLine,
        'possible in a program': found.possible,
        'did not come about': found.missed,
      },
    };
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** `densenet train` with a fault in each process. */
class FaultyCommand {
  readonly #out: string;

  constructor(
    folder: string,
    private readonly plan: string,
    private readonly env: NodeJS.ProcessEnv,
  ) {
    this.#out = path.join(folder, 'command');
  }

  async tryAll(times: number, seed: number, progress: (done: number) => void): Promise<string[]> {
    const { code, stderr } = await this.#train();
    if (code !== 0) return [`densenet train fails without a fault: ${stderr}`];
    const { seen } = await this.#read();
    const random = randomNumbers(seed);
    const faults: string[] = [];
    for (let index = 0; index < times; index += 1) {
      // Each kind of call in turn, of those that it makes.
      const made = kinds.flatMap((_, kind) => ((seen[kind] ?? 0) > 0 ? [kind] : []));
      const kind = made[index % made.length] as number;
      const before = Math.floor(random() * (seen[kind] as number));
      const fault = { kind, error: pick(random, kinds[kind]?.errors ?? []), before, lasting: random() < 0.5 };
      await rm(this.#out, { recursive: true, force: true });
      await this.#write(planOf(fault));
      const ended = await this.#train();
      const { hit } = await this.#read();
      await this.#write(planOf());
      faults.push(
        ...(await this.#judge(ended, hit, kinds[kind]?.name ?? '')).map(
          (text) => `densenet train, ${describe(fault)}: ${text}`,
        ),
      );
      progress(index + 1);
    }
    return faults;
  }

  async #judge({ code, signal, stderr }: Awaited<ReturnType<typeof runNode>>, hit: boolean, kind: string) {
    const wrong: string[] = [];
    if (signal !== null) wrong.push(`it died by ${signal}`);
    if (hit && code === 0 && kind !== 'unlink') wrong.push('nothing was said');
    if (code !== 0 && !stderr.includes('ERR_FILE')) wrong.push(`it ended with ${code} and said ${stderr}`);
    // Whatever it left can be gone on with, or begun anew where nothing was saved.
    const checkpoints = await readdir(path.join(this.#out, 'checkpoints')).catch(() => []);
    const goOn = checkpoints.some((name) => /^epoch-.*\.safetensors$/.test(name));
    if (code !== 0) {
      const again = await this.#train(goOn);
      if (again.code !== 0) wrong.push(`${goOn ? 'gone on with' : 'begun anew'}, it fails: ${again.stderr}`);
    }
    if (!existsSync(path.join(this.#out, 'weights.safetensors'))) wrong.push('there are no weights at the end');
    return wrong;
  }

  #train(resume = false) {
    const what = resume
      ? ['--resume', this.#out]
      : ['--epochs', '2', '--batch-size', '256', '--seed', '1', '--out', this.#out];
    return runNode([path.join('dist', 'cli', 'main.js'), 'train', ...what, '--device', 'cpu'], { env: this.env });
  }

  async #read() {
    const handle = await open(this.plan);
    const bytes = Buffer.alloc(PLAN_BYTES);
    await handle.read(bytes, 0, PLAN_BYTES, 0);
    await handle.close();
    return readPlan(bytes);
  }

  async #write(bytes: Buffer): Promise<void> {
    const handle = await open(this.plan, 'r+');
    await handle.write(bytes, 0, bytes.length, 0);
    await handle.close();
  }
}
