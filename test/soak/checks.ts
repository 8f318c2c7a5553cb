import { fuzz, fuzzTargets } from '../fuzz/parsers';
import type { Check } from './check';
import { delayEventLoop } from './event-loop';
import { exitInEveryWay } from './exits';
import { flipBits } from './flips';
import { refuseHostileFiles } from './hostile';
import { killWhileSaving } from './kill';
import { findLeaks } from './leaks';
import { exhaustMemory } from './memory';
import { predictAtOnce } from './predictions';
import { resumeExactly } from './resume';
import { interrupt } from './signals';
import { terminateWorkers } from './workers';
import { failWrites } from './write-faults';

/** All checks, by the name that `npm run soak` knows them by. The tests do a small dose of each. */
export const checks: readonly Check[] = [
  {
    name: 'kill',
    about: 'kills training while it saves; nothing that was saved may be lost',
    times: 1000,
    unit: 'kills',
    async run(library, { times, seed, progress }) {
      const { kills, unfinished, ended, faults } = await killWhileSaving(library, times, seed, progress);
      return { done: kills, faults, figures: { 'in the middle of a file': unfinished, 'runs that ended': ended } };
    },
  },
  {
    name: 'flips',
    about: 'flips single bits of a checkpoint; each must be noticed',
    times: 10_000,
    unit: 'bits',
    async run(library, { times, seed }) {
      return { done: times, faults: await flipBits(library, times, seed), figures: {} };
    },
  },
  {
    name: 'write-faults',
    about: 'makes each call that writes a file fail: no room, no permission, a broken disk',
    times: 5000,
    unit: 'faults',
    run: (_, dose) => failWrites(dose),
  },
  {
    name: 'resume',
    about: 'goes on from checkpoints of runs with random options; each must end bit for bit as the unbroken run',
    times: 2000,
    unit: 'resumed runs',
    run: resumeExactly,
  },
  {
    name: 'signals',
    about: 'interrupts `densenet train` at random moments and goes on with it',
    times: 500,
    unit: 'processes',
    run: (_, dose) => interrupt(dose),
  },
  {
    name: 'leaks',
    about: 'measures what predictions leave behind, and a tenth as many models made and disposed of',
    times: 10_000,
    unit: 'predictions',
    run: (_, dose) => findLeaks(dose),
  },
  {
    name: 'workers',
    about: 'terminates worker threads that have loaded a model, half of them in the middle of a call',
    times: 500,
    unit: 'workers',
    run: (_, dose) => terminateWorkers(dose),
  },
  {
    name: 'exits',
    about: 'ends processes in six ways in the middle of training and predictions',
    times: 100,
    unit: 'ends in each way',
    run: (_, dose) => exitInEveryWay(dose),
  },
  {
    name: 'event-loop',
    about: 'measures how long JavaScript waits for its turn while a model trains and loads',
    times: 15,
    unit: 'seconds of training',
    run: delayEventLoop,
  },
  {
    name: 'hostile',
    about: 'gives every hostile file to all that reads weights',
    times: 20,
    unit: 'times through the files',
    run: refuseHostileFiles,
  },
  {
    name: 'fuzz',
    about: 'gives random files to every parser',
    times: 10_000_000,
    unit: 'files a parser',
    async run(_, { times, seed, progress }) {
      const faults: string[] = [];
      const figures: Record<string, number> = {};
      let slowest = 0;
      for (const target of fuzzTargets()) {
        // In pieces, so that it can be told how far it is.
        const piece = 10_000;
        let taken = 0;
        for (let first = 0; first < times; first += piece) {
          const result = await fuzz(target, seed, Math.min(piece, times - first), first);
          faults.push(...result.faults);
          taken += result.taken;
          slowest = Math.max(slowest, result.slowest);
          progress?.(first + result.inputs);
        }
        figures[`taken: ${target.name}`] = taken;
      }
      figures['slowest, ms'] = Math.round(slowest);
      figures['peak of the process, MB'] = Math.round(process.resourceUsage().maxRSS / 1024);
      return { done: times, faults, figures };
    },
  },
  {
    name: 'memory',
    about: 'limits processes in their memory, and runs out of it in six ways; the next valid call must work',
    times: 100,
    unit: 'rounds',
    run: (_, dose) => exhaustMemory(dose),
  },
  {
    name: 'predictions',
    about: 'asks a model for 32 things at once; each answer must be what it is alone',
    times: 200,
    unit: 'rounds',
    run: predictAtOnce,
  },
];
