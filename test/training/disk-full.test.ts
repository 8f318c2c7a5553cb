import { execFile, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { prelude } from '../child';

/** Trains until the disk is full, looks at what is left, makes room, and goes on to the end. */
const program = (disk: string, elsewhere: string): string => `${prelude}
const fs = require('node:fs');
const path = require('node:path');
const options = { optimizer: { type: 'sgd', lr: 0.05, momentum: 0.9 }, seed: 1 };
(async () => {
  const folder = path.join(${JSON.stringify(disk)}, 'run');
  const model = await DenseNet.create(tiny);
  const trainer = new Trainer(model, options);
  const plan = { epochs: 12, batchSize: 4, checkpoint: { folder, keepLast: 12 } };
  const saved = [];
  const run = trainer.fit(data(12), plan);
  let failure;
  try {
    for await (const event of run) if (event.type === 'checkpoint') saved.push(path.basename(event.path));
  } catch (error) {
    failure = { code: error.code, message: error.message };
  }
  const there = fs.readdirSync(folder).filter((name) => name !== 'lock').sort();
  const other = new Trainer(await DenseNet.create(tiny), options);
  const newest = path.basename((await other.resume(folder)).path);
  // The trainer is as the last whole step left it, and can be saved where there is room.
  await trainer.save(path.join(${JSON.stringify(elsewhere)}, 'saved.safetensors'));
  for (const name of there) if (name !== newest) fs.unlinkSync(path.join(folder, name));
  const { epochs } = await other.fit(data(12), { ...plan, checkpoint: { folder, keepLast: 1 } });
  console.log(JSON.stringify({ failure, saved, there, newest, last: epochs.at(-1).epoch }));
})();`;

interface Found {
  failure: { code: string; message: string } | undefined;
  saved: string[];
  there: string[];
  newest: string;
  last: number;
}

/** Whether a file system of a few kilobytes can be mounted by this user. */
const mounts = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', os.tmpdir()]).status === 0;
if (!mounts) console.warn('skipped: this user may not mount a small file system, so no disk is really full');

let place: string;
beforeAll(async () => (place = await mkdtemp(path.join(os.tmpdir(), 'densenet-full-'))));
afterAll(() => rm(place, { recursive: true, force: true }));

(mounts ? test : test.skip)(
  'a disk that is full ends the run with ERR_FILE; what was saved is whole, and is gone on from',
  async () => {
    const disk = path.join(place, 'disk');
    await mkdir(disk);
    const command = `mount -t tmpfs -o size=400k tmpfs "$1" && exec "$2" -e "$3"`;
    const { stdout } = await promisify(execFile)('unshare', [
      '-rm',
      'sh',
      '-c',
      command,
      'sh',
      disk,
      process.execPath,
      program(disk, place),
    ]);
    const { failure, saved, there, newest, last } = JSON.parse(stdout) as Found;
    expect(failure?.code).toBe('ERR_FILE');
    expect(failure?.message).toMatch(/cannot write .*epoch-\d+\.safetensors: No space left on device/);
    expect(saved.length).toBeGreaterThan(1);
    expect(saved.length).toBeLessThan(12);
    expect(there).toEqual(saved);
    expect(newest).toBe(saved.at(-1));
    expect(last).toBe(12);
  },
);

test.each([1, 8, 20])(
  'a write that fails after %d blocks of 512 bytes leaves the old file as it was',
  async (blocks) => {
    // The system's limit of a file's size stands for whatever makes a write fail in its middle.
    const file = path.join(place, `limited-${blocks}.safetensors`);
    const body = `${prelude}
  const fs = require('node:fs');
  (async () => {
    fs.writeFileSync(${JSON.stringify(file)}, 'old');
    const model = await DenseNet.create(tiny);
    const failures = [];
    for (const save of [() => trainer(model).save(${JSON.stringify(file)}), () => model.saveWeights(${JSON.stringify(file)})])
      await save().catch(({ code, message }) => failures.push({ code, message }));
    console.log(JSON.stringify({ failures, left: fs.readFileSync(${JSON.stringify(file)}, 'utf8'), names: fs.readdirSync(${JSON.stringify(place)}) }));
  })();`;
    const { stdout } = await promisify(execFile)('sh', [
      '-c',
      `ulimit -f ${blocks}; exec "$0" -e "$1"`,
      process.execPath,
      body,
    ]);
    const { failures, left, names } = JSON.parse(stdout) as {
      failures: { code: string; message: string }[];
      left: string;
      names: string[];
    };
    expect(failures.map(({ code }) => code)).toEqual(['ERR_FILE', 'ERR_FILE']);
    for (const { message } of failures) expect(message).toContain(`cannot write ${file}: File too large`);
    expect(left).toBe('old');
    expect(names.filter((name) => name.includes('.tmp-'))).toEqual([]);
  },
);
