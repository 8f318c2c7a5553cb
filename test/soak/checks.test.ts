import { readFileSync } from 'node:fs';
import path from 'node:path';
import * as library from '../../lib';
import { root, runNode } from '../child';
import type { Dose } from './check';
import { checks } from './checks';
import { findLeaks } from './leaks';
import { cannotInject } from './write-faults';

/** A small dose of each check of `npm run soak`; `kill` and `flips` have theirs in test/training. */
const doses: Record<string, number> = {
  'write-faults': 100,
  resume: 40,
  signals: 12,
  workers: 12,
  exits: 2,
  'event-loop': 2,
  hostile: 1,
  fuzz: 200,
  predictions: 5,
};

const dose = (times: number): Dose => ({ times, seed: 1 });

test.each(Object.entries(doses))(
  'a small dose of the check %s (%d) finds no fault',
  async (name, times) => {
    const check = checks.find((one) => one.name === name)!;
    if (name === 'write-faults') {
      const reason = await cannotInject();
      if (reason !== undefined) {
        console.warn(`skipped: ${reason}`);
        return;
      }
    }
    const { done, faults, figures } = await check.run(library, dose(times));
    expect({ done, faults }).toEqual({ done: times, faults: [] });
    for (const figure of Object.values(figures)) expect(figure).not.toBeNaN();
  },
  300_000,
);

test('predictions and models leave nothing behind', async () => {
  // So few of them tell a leak of two kilobytes each, and not the megabyte that the long dose is held to.
  const { faults } = await findLeaks(dose(2000), 4);
  expect(faults).toEqual([]);
}, 120_000);

describe('docs/reliability.md', () => {
  const file = (name: string): string => path.join(root, 'docs', name);
  const figures = JSON.parse(readFileSync(file('reliability.json'), 'utf8')) as {
    rows: { name: string; remark?: string }[];
    runs: Record<string, { done: number; faults: string[] }>;
  };

  it('has a row for each check', () => {
    const names = figures.rows.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(checks.map(({ name }) => name)));
    expect(new Set(names).size).toBe(names.length);
    for (const name of Object.keys(figures.runs)) expect(names).toContain(name);
  });

  it('holds the figures of docs/reliability.json: node scripts/reliability.js writes them', async () => {
    expect(await runNode(['scripts/reliability.js', '--check'])).toMatchObject({ code: 0, stderr: '' });
  });

  it('says beside a row where the last run was shorter than it should be, or found a fault', () => {
    for (const { name, times } of checks) {
      const run = figures.runs[name];
      const short = run === undefined || run.done < times || run.faults.length > 0;
      if (short)
        expect([name, figures.rows.find((row) => row.name === name)?.remark]).toEqual([name, expect.any(String)]);
    }
  });
});
