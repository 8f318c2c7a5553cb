import * as library from '../../lib';
import { killWhileSaving } from '../soak/kill';

test('ten kills while saving lose nothing, and the run ends as if nothing had been', async () => {
  const { kills, ended, faults } = await killWhileSaving(library, 10, 1);
  expect({ kills, faults }).toEqual({ kills: 10, faults: [] });
  expect(ended).toBeGreaterThan(0);
}, 240_000);
