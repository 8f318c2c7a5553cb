import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { follow } from '../../lib/cli/follow';
import { checkpointsOf, RunFolder } from '../../lib/cli/run-folder';
import { DenseNetError } from '../../lib/errors';
import { Run } from '../../lib/training/run';
import type { Trainer } from '../../lib/training/trainer';
import { runNode } from '../child';
import { tinyDataset } from '../tiny';
import { expectRefusal, temporaryFolder } from '../unit/support';

const inFolder = temporaryFolder();

/** A folder of a run that is gone on with. */
async function resumed(name: string): Promise<RunFolder> {
  await mkdir(inFolder(name));
  return RunFolder.resume(inFolder(name));
}

const step = (epoch: number, number: number): string =>
  JSON.stringify({ type: 'step', epoch, step: number, loss: { a: 1 } });

test('the log loses what is taken again, and the line that a full disk or a kill cut short, wherever', async () => {
  const folder = await resumed('log');
  const cut = step(1, 2).slice(0, -1);
  expect(cut.endsWith('}')).toBe(true);
  await writeFile(folder.file('log.jsonl'), [step(1, 1), step(1, 2), step(2, 1), cut].join('\n'));
  await folder.rewind({ epoch: 1, step: 1 });
  expect(await readFile(folder.file('log.jsonl'), 'utf8')).toBe(`${step(1, 1)}\n`);
  await folder.rewind({ epoch: 1, step: 1 });
  folder.close();
  expect(await readdir(folder.path)).toEqual(['log.jsonl', 'run.json']);
});

test('a log that cannot be read is not taken for an empty one', async () => {
  const folder = await resumed('unreadable');
  await mkdir(folder.file('log.jsonl'));
  await expectRefusal(() => folder.rewind({ epoch: 1, step: 1 }), 'ERR_FILE', 'log.jsonl cannot be written');
  await expectRefusal(() => folder.log({ type: 'step' } as never), 'ERR_FILE', 'log.jsonl cannot be written');
  folder.close();
});

test('a file that cannot be written is ERR_FILE, and leaves nothing beside it', async () => {
  const folder = await resumed('unwritable');
  await mkdir(folder.file('summary.json'));
  await expectRefusal(() => folder.write('summary.json', {}), 'ERR_FILE', 'summary.json cannot be written');
  folder.close();
  expect(await readdir(folder.path)).toEqual(['summary.json']);
});

test('a folder that is not there, or is a file, is ERR_FILE for a run that is gone on with', async () => {
  await writeFile(inFolder('file'), '');
  await expectRefusal(() => RunFolder.resume(inFolder('file')), 'ERR_FILE', 'run.lock cannot be written');
  await expectRefusal(() => RunFolder.resume(inFolder('nowhere')), 'ERR_FILE', 'run.lock cannot be written');
});

test('densenet train keeps its checkpoints until the weights are saved', async () => {
  const out = inFolder('late');
  const train = (args: string[]) => runNode([path.join('dist', 'cli', 'main.js'), 'train', ...args, '--device', 'cpu']);
  await mkdir(path.join(out, 'weights.safetensors'), { recursive: true });
  const failed = await train(['--epochs', '1', '--out', out]);
  expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining('ERR_FILE') as unknown });
  expect(await readdir(checkpointsOf(out))).toContain('epoch-0001.safetensors');
  await rmdir(path.join(out, 'weights.safetensors'));
  expect(await train(['--resume', out])).toMatchObject({ code: 0, stderr: '' });
  expect(await readdir(out)).not.toContain('checkpoints');
});

describe('Ctrl-C on the command line', () => {
  /** A trainer whose run ends with this when it is told to end. */
  const trainerThatEndsWith = (reasonOf: (signal: AbortSignal) => Error): Trainer =>
    ({
      fit: (_: unknown, { signal }: { signal: AbortSignal }) =>
        new Run(
          {
            start: (_emit, control) =>
              new Promise((_resolve, reject) =>
                control.signal.addEventListener('abort', () => reject(reasonOf(control.signal))),
              ),
          },
          signal,
        ),
    }) as unknown as Trainer;

  const interrupted = async (trainer: Trainer): Promise<boolean> => {
    const folder = await RunFolder.open(inFolder('interrupted'), {}, 'cpu');
    const following = follow(
      trainer,
      tinyDataset(),
      { epochs: 1, batchSize: 4 },
      { folder, resume: false, json: true },
    );
    process.emit('SIGINT', 'SIGINT');
    return (await following.finally(() => folder.close())).interrupted;
  };

  it('ends a run', async () => {
    expect(await interrupted(trainerThatEndsWith((signal) => signal.reason as Error))).toBe(true);
    expect(process.listenerCount('SIGINT')).toBe(0);
  });

  it('does not hide what fails on the way out, such as the last checkpoint on a full disk', async () => {
    const full = new DenseNetError('ERR_FILE', 'cannot write epoch-0001.safetensors: No space left on device.');
    await expect(interrupted(trainerThatEndsWith(() => full))).rejects.toBe(full);
  });
});
