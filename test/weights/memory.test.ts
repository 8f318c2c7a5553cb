import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { hostileFiles } from '../hostile/checkpoint-corpus';
import { SLOW_MS } from '../hostile/slow';
import * as p from './build-pickle';
import { safetensors, torchZip } from './build-zip';

const MEGABYTE = 1024 * 1024;

/** Files that ask for as much memory as their format allows; each byte of them stands for many in memory. */
function greedy(): { name: string; bytes: Buffer }[] {
  const many = (count: number, make: (index: number) => Buffer): Buffer =>
    Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
  const one = p.integer(1);
  return [
    { name: 'dictionaries', bytes: many(130_000, () => Buffer.concat([p.emptyDict, one, one, Buffer.from([0x73])])) },
    { name: 'lists', bytes: many(130_000, () => Buffer.concat([p.emptyList, one, p.append])) },
    { name: 'texts', bytes: many(510_000, (index) => p.text(`text ${index}`)) },
    { name: 'long numbers', bytes: many(510_000, (index) => p.integer(2n ** 70n + BigInt(index))) },
    {
      name: 'keys',
      bytes: Buffer.concat([
        p.emptyDict,
        many(510_000, (index) => Buffer.concat([p.integer(index), p.none, Buffer.from([0x73])])),
      ]),
    },
    { name: 'one text', bytes: p.text('ü'.repeat(8_000_000)) },
    { name: 'classes', bytes: many(10_001, (index) => p.global('m'.repeat(500), String(index))) },
  ].map(({ name, bytes }) => ({ name, bytes: torchZip({}, p.pickle(bytes)) }));
}

let folder: string;
beforeAll(() => (folder = mkdtempSync(path.join(os.tmpdir(), 'densenet-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// Linux tells a process its own peak, and lets it begin anew.
const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux('hostile files are refused within 1 s and 64 MB above their size (measured on Linux only)', async () => {
  const files = [
    ...greedy(),
    {
      name: 'a header of empty objects',
      bytes: safetensors(undefined, Buffer.alloc(0), `{"a":[${'{},'.repeat(5_000_000)}{}]}`),
    },
    {
      name: 'a header of lists in lists',
      bytes: safetensors(undefined, Buffer.alloc(0), `{"a":${'['.repeat(20_000_000)}`),
    },
    {
      name: 'a header of metadata',
      bytes: safetensors(undefined, Buffer.alloc(0), `{"__metadata__":{${'"a":"",'.repeat(390_000)}"b":""}}`),
    },
    ...hostileFiles().filter(({ bytes }) => bytes.length > 100_000),
  ];
  const places = files.map(({ bytes }, index) => {
    const place = path.join(folder, String(index));
    writeFileSync(place, bytes);
    return place;
  });
  const program = path.join(__dirname, 'measure-peak.js');
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', program, ...places]);
  const measured = JSON.parse(stdout) as { code: string; peak: number; milliseconds: number }[];
  expect(measured).toHaveLength(files.length);
  for (const [index, { name, bytes }] of files.entries()) {
    const { code, peak, milliseconds } = measured[index]!;
    expect([name, code]).toEqual([name, 'ERR_FILE_FORMAT']);
    expect([name, peak]).toEqual([name, expect.toBeBelow(bytes.length + 64 * MEGABYTE)]);
    expect([name, milliseconds]).toEqual([name, expect.toBeBelow(SLOW_MS)]);
  }
});
