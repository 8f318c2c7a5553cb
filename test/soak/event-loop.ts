import { measureAll } from '../../scripts/bench/event-loop';
import type { Dose, Outcome, Package } from './check';

/**
 * How long a timer waits while libtorch, a model and its training are at work. It is reported and not judged: whatever else
 * runs on the machine is in it.
 *
 * @param times Seconds of training.
 */
export async function delayEventLoop(library: Package, { times, progress }: Dose): Promise<Outcome> {
  const found = await measureAll(library, times, ({ what, seconds }) => {
    if (what.startsWith('training')) progress?.(Math.round(seconds));
  });
  return {
    done: times,
    faults: [],
    figures: Object.fromEntries(found.map(({ what, p99 }) => [`${what}, p99, ms`, Math.round(p99 * 10) / 10])),
  };
}
