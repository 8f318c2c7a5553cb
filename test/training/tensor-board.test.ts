import { execFileSync } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { tensorBoard } from '../../lib';
import {
  crc32c,
  maskedChecksum,
  restartRecord,
  scalarRecord,
  toRecord,
  versionRecord,
} from '../../lib/training/event-file';
import { tinyDataset, tinyTrainer } from '../tiny';
import { modelMaker, refusal, temporaryFolder } from '../unit/support';

const make = modelMaker();
const inFolder = temporaryFolder();

/** A Python with the package tensorboard: the one that is named, or the one on the PATH. */
const python = process.env['DENSENET_TENSORBOARD_PYTHON'] ?? 'python3';
const hasReader = (() => {
  try {
    execFileSync(python, ['-c', 'import tensorboard'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

describe('CRC-32C', () => {
  // The check value of the catalogue of CRCs, and those of RFC 3720, appendix B.4.
  it.each<[string, Uint8Array, number]>([
    ['123456789', Buffer.from('123456789'), 0xe3069283],
    ['32 zeros', Buffer.alloc(32), 0x8a9136aa],
    ['32 ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
    ['counting up', Buffer.from(Array.from({ length: 32 }, (_, byte) => byte)), 0x46dd794e],
    ['nothing', Buffer.alloc(0), 0],
  ])('of %s', (_, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });

  it('is masked as TensorFlow does it, which can be undone', () => {
    const crc = crc32c(Buffer.from('foo'));
    const rotated = (maskedChecksum(Buffer.from('foo')) - 0xa282ead8) >>> 0;
    expect(((rotated >>> 17) | (rotated << 15)) >>> 0).toBe(crc);
  });
});

/** The data of each record of a file, with both checksums checked. */
function readRecords(file: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let offset = 0; offset < file.length;) {
    const length = Number(file.readBigUInt64LE(offset));
    expect(file.readUInt32LE(offset + 8)).toBe(maskedChecksum(file.subarray(offset, offset + 8)));
    const data = file.subarray(offset + 12, offset + 12 + length);
    expect(data).toHaveLength(length);
    expect(file.readUInt32LE(offset + 12 + length)).toBe(maskedChecksum(data));
    records.push(data);
    offset += length + 16;
  }
  return records;
}

test('records are bytes that TensorFlow would write', () => {
  // Event { wall_time: 1.5, step: 300, summary { value { tag: "a", simple_value: 0.5 } } }
  const expected = '09000000000000f83f' + '10ac02' + '2a0a' + '0a08' + '0a0161' + '150000003f';
  expect(readRecords(scalarRecord(1.5, 300, { a: 0.5 })).map((data) => data.toString('hex'))).toEqual([expected]);
  expect(readRecords(versionRecord(1.5))[0]?.toString('latin1')).toMatch(/brain\.Event:2$/);
  // Event { wall_time: 1.5, step: 300, session_log { status: START } }
  const restart = readRecords(restartRecord(1.5, 300)).map((data) => data.toString('hex'));
  expect(restart).toEqual(['09000000000000f83f' + '10ac02' + '3a02' + '0801']);
  expect(readRecords(toRecord(Buffer.alloc(0)))).toEqual([Buffer.alloc(0)]);
});

describe('tensorBoard', () => {
  const plan = { epochs: 3, batchSize: 4 };

  it('writes whole records, a new file each run', async () => {
    const folder = inFolder('runs/one');
    const trainer = tinyTrainer(await make());
    for (let run = 0; run < 2; run += 1)
      await trainer.fit(tinyDataset(), { ...plan, validation: tinyDataset(6), callbacks: [tensorBoard(folder)] });
    const files = await readdir(folder);
    expect(files).toHaveLength(2);
    for (const name of files) {
      expect(name).toMatch(/^events\.out\.tfevents\.\d{10}\./);
      const records = readRecords(await readFile(path.join(folder, name)));
      expect(records.filter((data) => data.includes('loss/validation'))).toHaveLength(3);
      expect(records.some((data) => data.includes('step/learning_rate'))).toBe(true);
    }
  });

  (hasReader ? it : it.skip)(
    `is read by TensorBoard's own reader${hasReader ? '' : ' (skipped: no Python with tensorboard; name one in DENSENET_TENSORBOARD_PYTHON)'}`,
    async () => {
      const folder = inFolder('runs/two');
      const trainer = tinyTrainer(await make());
      const { epochs } = await trainer.fit(tinyDataset(), {
        ...plan,
        validation: tinyDataset(6),
        callbacks: [tensorBoard(folder)],
      });
      const program = path.join(__dirname, 'read_events.py');
      const scalars = JSON.parse(execFileSync(python, [program, folder], { encoding: 'utf8' })) as Record<
        string,
        [number, number][]
      >;
      const of = (tag: string) => scalars[tag]?.map(([step, value]) => [step, expect.closeTo(value, 5) as number]);
      expect(epochs.map(({ epoch, train }) => [3 * epoch, train.loss])).toEqual(of('loss/train'));
      expect(epochs.map(({ epoch, validation }) => [3 * epoch, validation?.top1])).toEqual(of('top1/validation'));
      expect(of('epoch')).toEqual(epochs.map(({ epoch }) => [3 * epoch, epoch]));
      // Steps that the follower had no time for are left out, but the last is not.
      expect(scalars['step/loss']?.at(-1)?.[0]).toBe(9);
      expect(scalars['step/learning_rate']?.at(-1)?.[1]).toBeCloseTo(0.05, 6);
    },
    60_000,
  );

  /** A run that was killed after two epochs, of whose checkpoints the one in the middle of the second is left. */
  async function goOn(folder: string): Promise<void> {
    const checkpoint = { folder: inFolder(`${path.basename(folder)}-checkpoints`), everySteps: 1, keepLast: 9 };
    await tinyTrainer(await make()).fit(tinyDataset(), {
      ...plan,
      epochs: 2,
      checkpoint,
      callbacks: [tensorBoard(folder)],
    });
    const trainer = tinyTrainer(await make());
    await trainer.resume(path.join(checkpoint.folder, 'epoch-0002-step-0000001.safetensors'));
    await trainer.fit(tinyDataset(), { ...plan, callbacks: [tensorBoard(folder)] });
  }

  it('after a resume, tells readers from which step on they have to forget what was before', async () => {
    const folder = inFolder('runs/resumed');
    await goOn(folder);
    const files = (await readdir(folder)).sort();
    const [first, second] = await Promise.all(files.map((name) => readFile(path.join(folder, name))));
    // Four steps were taken: those of the first epoch, and one.
    const restart = (readRecords(restartRecord(0, 5))[0] as Buffer).subarray(9).toString('hex');
    const restarts = (file: Buffer | undefined) =>
      readRecords(file as Buffer).flatMap((data, index) =>
        data.subarray(9).toString('hex') === restart ? [index] : [],
      );
    expect([restarts(first), restarts(second)]).toEqual([[], [1]]);
  });

  (hasReader ? it : it.skip)('so that its own reader has each epoch once', async () => {
    const folder = inFolder('runs/once');
    await goOn(folder);
    const program = path.join(__dirname, 'read_events.py');
    const scalars = JSON.parse(execFileSync(python, [program, folder], { encoding: 'utf8' })) as Record<
      string,
      [number, number][]
    >;
    expect(scalars['epoch']).toEqual([1, 2, 3].map((epoch) => [3 * epoch, epoch]));
    const steps = (scalars['step/loss'] ?? []).map(([step]) => step);
    expect(steps).toEqual([...new Set(steps)].sort((a, b) => a - b));
  });

  it('makes the run reject with ERR_FILE where it cannot write', async () => {
    await writeFile(inFolder('file'), '');
    const trainer = tinyTrainer(await make());
    const callbacks = [tensorBoard(inFolder('file/run'))];
    const { message } = await refusal(() => trainer.fit(tinyDataset(), { ...plan, callbacks }));
    expect(message).toMatch(/^ERR_FILE: \S+ cannot be written: E(NOTDIR|EXIST)/);
  });
});
