import type { EpochEvent, StepEvent, TrainingEvent } from '../../lib';
import { EventBuffer } from '../../lib/training/events';
import { Run } from '../../lib/training/run';

function step(number: number, epoch = 1): StepEvent {
  return { type: 'step', epoch, step: number, steps: 9, loss: 1, learningRate: 0.1, imagesPerSecond: 5 };
}

function epoch(number: number): EpochEvent {
  return { type: 'epoch', epoch: number, train: { loss: 1, top1: 0.5, size: 9 }, seconds: 1 };
}

async function drain(events: AsyncIterable<TrainingEvent>): Promise<TrainingEvent[]> {
  const found: TrainingEvent[] = [];
  for await (const event of events) found.push(event);
  return found;
}

/** Events that JavaScript is told of at once. */
async function arrive(buffer: EventBuffer, ...events: TrainingEvent[]): Promise<void> {
  for (const event of events) buffer.push(event);
  await Promise.resolve();
}

const done = { value: undefined, done: true };

describe('a buffer of events', () => {
  let buffer: EventBuffer;
  beforeEach(() => (buffer = new EventBuffer()));

  it('gives a listener that keeps up every event, in order', async () => {
    for (const event of [step(1), step(2), epoch(1), step(1, 2)]) {
      buffer.push(event);
      expect(await buffer.next()).toEqual({ value: event, done: false });
    }
  });

  it('gives events that come later to those who wait for them, in order', async () => {
    const waiting = [buffer.next(), buffer.next()];
    buffer.push(step(1));
    buffer.push(step(2));
    expect(await Promise.all(waiting)).toEqual([
      { value: step(1), done: false },
      { value: step(2), done: false },
    ]);
  });

  it('keeps only the newest of the steps that nobody has taken', async () => {
    for (let number = 1; number <= 1000; number += 1) await arrive(buffer, step(number));
    buffer.end();
    expect(await drain(buffer)).toEqual([step(1000)]);
  });

  it('gives all steps that arrive together to who waits for them, until others arrive', async () => {
    const waiting = buffer.next();
    await arrive(buffer, step(1), step(2), step(3), epoch(1), step(1, 2));
    expect(await waiting).toEqual({ value: step(1), done: false });
    expect(await buffer.next()).toEqual({ value: step(2), done: false });
    await arrive(buffer, step(2, 2), step(3, 2));
    buffer.end();
    expect(await drain(buffer)).toEqual([epoch(1), step(3, 2)]);
  });

  it('drops no epoch, and changes no order', async () => {
    for (let number = 1; number <= 50; number += 1)
      for (const event of [step(1, number), step(2, number), epoch(number)]) await arrive(buffer, event);
    await arrive(buffer, step(1, 51));
    buffer.end();
    const found = await drain(buffer);
    expect(found.filter(({ type }) => type === 'epoch')).toEqual(
      Array.from({ length: 50 }, (_, index) => epoch(index + 1)),
    );
    expect(found.at(-1)).toEqual(step(1, 51));
    expect(found).toHaveLength(51);
  });

  it('ends after the events that are left', async () => {
    buffer.push(step(1));
    buffer.push(epoch(1));
    buffer.end();
    expect(await drain(buffer)).toEqual([step(1), epoch(1)]);
    expect(await buffer.next()).toEqual(done);
  });

  it('ends for everybody who waits', async () => {
    const waiting = [buffer.next(), buffer.next(), buffer.next()];
    buffer.end();
    expect(await Promise.all(waiting)).toEqual([done, done, done]);
  });

  it('takes nothing after its end', async () => {
    buffer.end();
    buffer.push(epoch(1));
    expect(await buffer.next()).toEqual(done);
  });

  it('gives a failure after the events that are left, and only once', async () => {
    const reason = new Error('no memory');
    buffer.push(step(3));
    buffer.push(epoch(1));
    buffer.end({ reason });
    expect(await buffer.next()).toEqual({ value: step(3), done: false });
    expect(await buffer.next()).toEqual({ value: epoch(1), done: false });
    await expect(buffer.next()).rejects.toBe(reason);
    expect(await buffer.next()).toEqual(done);
  });

  it('gives a failure to the first who waits, and ends for the others', async () => {
    const waiting = [buffer.next(), buffer.next()];
    buffer.end({ reason: 'stopped' });
    expect(await Promise.allSettled(waiting)).toEqual([
      { status: 'rejected', reason: 'stopped' },
      { status: 'fulfilled', value: done },
    ]);
    expect(await buffer.next()).toEqual(done);
  });

  it('gives a failure whose reason is undefined', async () => {
    buffer.end({ reason: undefined });
    await expect(buffer.next()).rejects.toBeUndefined();
  });

  it('is left by return: nothing comes any more, and those who wait are let go', async () => {
    const waiting = buffer.next();
    expect(await buffer.return()).toEqual(done);
    expect(await waiting).toEqual(done);
    buffer.push(epoch(1));
    expect(await buffer.next()).toEqual(done);
  });

  it('forgets at return what nobody has taken, a failure too', async () => {
    buffer.push(epoch(1));
    buffer.end({ reason: new Error('lost') });
    await buffer.return();
    expect(await buffer.next()).toEqual(done);
  });

  it('that was left hears nothing of a failure that comes later', async () => {
    await buffer.return();
    buffer.end({ reason: new Error('too late') });
    expect(await buffer.next()).toEqual(done);
  });

  it('is left by break', async () => {
    buffer.push(epoch(1));
    buffer.push(epoch(2));
    for await (const event of buffer) {
      expect(event).toEqual(epoch(1));
      break;
    }
    expect(await buffer.next()).toEqual(done);
  });
});

describe('a run', () => {
  const history = { from: { epoch: 1, step: 0 }, epochs: [epoch(1)], seconds: 1 };

  /** A run that tells of events and then ends as it is told to. */
  function run(events: TrainingEvent[], end: () => typeof history): Run {
    const start = async (emit: (event: TrainingEvent) => void): Promise<typeof history> => {
      await Promise.resolve();
      events.forEach(emit);
      return end();
    };
    return new Run({ start }, undefined);
  }

  it('keeps the events for the first listener, who may come after its end', async () => {
    const ended = run([step(1), epoch(1)], () => history);
    expect(await ended).toBe(history);
    expect(await drain(ended)).toEqual([step(1), epoch(1)]);
    expect(await drain(ended)).toEqual([]);
  });

  it('fails for its listeners after the events, and for those who await it', async () => {
    const reason = new Error('no memory');
    const failing = run([epoch(1)], () => {
      throw reason;
    });
    const found: TrainingEvent[] = [];
    const listen = async (): Promise<void> => {
      for await (const event of failing) found.push(event);
    };
    await expect(listen()).rejects.toBe(reason);
    expect(found).toEqual([epoch(1)]);
    await expect(failing.then()).rejects.toBe(reason);
    await expect(drain(failing)).rejects.toBe(reason);
  });

  it('has catch and finally like a promise', async () => {
    const settled = jest.fn();
    const failing = run([], () => {
      throw new Error('no memory');
    });
    expect(await failing.catch((error: unknown) => (error as Error).message)).toBe('no memory');
    await run([], () => history).finally(settled);
    expect(settled).toHaveBeenCalledTimes(1);
  });
});
