import { setTimeout as sleep } from 'node:timers/promises';
import { BatchQueue, type BatchPlan } from '../../lib/service/batch-queue';
import { Slots } from '../../lib/service/slots';

/** A queue of words, grouped by their first letter, whose batches are computed when the test says so. */
function wordQueue(plan: Partial<BatchPlan<string, string>> = {}) {
  const batches: string[][] = [];
  const open: (() => void)[] = [];
  const queue = new BatchQueue<string, string>({
    most: 3,
    wait: 0,
    groupOf: (word) => word.charAt(0),
    failsAll: () => false,
    compute: async (words) => {
      batches.push(words);
      await new Promise<void>((resolve) => open.push(resolve));
      return words.map((word) => word.toUpperCase());
    },
    ...plan,
  });
  const add = (word: string, signal?: AbortSignal) => queue.add(word, signal);
  /** Lets the batch that is being computed end, and the next begin. */
  const next = async () => {
    open.shift()?.();
    await turn();
  };
  return { queue, batches, add, next };
}

/** Two turns of the event loop, so that whatever is due has begun. */
async function turn(): Promise<void> {
  for (let count = 0; count < 2; count += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('a queue of batches', () => {
  it('takes what comes in one turn together, and gives each its own result', async () => {
    const { batches, add, next } = wordQueue();
    const answers = Promise.all([add('one'), add('old')]);
    expect(batches).toEqual([]);
    await turn();
    expect(batches).toEqual([['one', 'old']]);
    await next();
    expect(await answers).toEqual(['ONE', 'OLD']);
  });

  it('computes one batch at a time, of so many items at most; what comes meanwhile makes the next', async () => {
    const { queue, batches, add, next } = wordQueue();
    const answers = Promise.all(['a1', 'a2', 'a3', 'a4'].map((word) => add(word)));
    await turn();
    const late = add('a5');
    await turn();
    expect([batches, queue.running, queue.waiting]).toEqual([[['a1', 'a2', 'a3']], 3, 2]);
    await next();
    expect(batches[1]).toEqual(['a4', 'a5']);
    await next();
    expect([await answers, await late]).toEqual([['A1', 'A2', 'A3', 'A4'], 'A5']);
    expect([queue.running, queue.waiting]).toEqual([0, 0]);
  });

  it('waits for company, but no longer than it may', async () => {
    const { batches, add, next } = wordQueue({ wait: 80 });
    const started = performance.now();
    const answers = [add('x1')];
    await sleep(20);
    answers.push(add('x2'));
    await turn();
    expect(batches).toEqual([]);
    while (batches.length === 0) await sleep(1);
    expect(batches).toEqual([['x1', 'x2']]);
    expect(performance.now() - started).toBeGreaterThanOrEqual(79);
    await next();
    await Promise.all(answers);
  });

  it('begins at once when a batch is full', async () => {
    const { batches, add, next } = wordQueue({ wait: 60_000 });
    const answers = ['y1', 'y2', 'y3'].map((word) => add(word));
    await turn();
    expect(batches).toHaveLength(1);
    await next();
    await Promise.all(answers);
  });

  it('waits no more once it is told to hurry', async () => {
    const { queue, batches, add, next } = wordQueue({ wait: 60_000 });
    const answers = [add('z1')];
    queue.hurry();
    await turn();
    answers.push(add('z2'));
    await next();
    expect(batches).toEqual([['z1'], ['z2']]);
    await next();
    await Promise.all(answers);
  });

  it('never mixes groups, and takes the one whose oldest waits longest first', async () => {
    const { batches, add, next } = wordQueue();
    const answers = ['b1', 'c1', 'b2', 'c2'].map((word) => add(word));
    await turn();
    await next();
    expect(batches).toEqual([
      ['b1', 'b2'],
      ['c1', 'c2'],
    ]);
    await next();
    expect(await Promise.all(answers)).toEqual(['B1', 'C1', 'B2', 'C2']);
  });

  it('lets go of an item that waits when its signal says so: no batch sees it', async () => {
    const { queue, batches, add, next } = wordQueue({ wait: 30 });
    const control = new AbortController();
    const [gone, stays] = [add('d1', control.signal), add('d2')];
    control.abort('no longer wanted');
    expect(queue.waiting).toBe(1);
    await expect(gone).rejects.toBe('no longer wanted');
    while (batches.length === 0) await sleep(1);
    expect(batches).toEqual([['d2']]);
    await next();
    expect(await stays).toBe('D2');
  });

  it('computes nothing when the only item is gone', async () => {
    const { queue, batches, add } = wordQueue();
    const control = new AbortController();
    const gone = add('e1', control.signal);
    control.abort();
    await expect(gone).rejects.toMatchObject({ name: 'AbortError' });
    await turn();
    expect([batches, queue.waiting, queue.running]).toEqual([[], 0, 0]);
  });

  it('lets go of an item whose batch is being computed, while the others get their results', async () => {
    const { queue, add, next } = wordQueue();
    const control = new AbortController();
    const [gone, stays] = [add('f1', control.signal), add('f2')];
    await turn();
    control.abort();
    await expect(gone).rejects.toMatchObject({ name: 'AbortError' });
    expect(queue.running).toBe(2);
    await next();
    expect(await stays).toBe('F2');
  });

  it('halves a batch that fails until what is to blame is alone', async () => {
    const tried: string[][] = [];
    const { add } = wordQueue({
      most: 8,
      compute: (words) => {
        tried.push(words);
        return words.includes('g6')
          ? Promise.reject(new Error(`${words.length} with g6`))
          : Promise.resolve(words.map((word) => word.toUpperCase()));
      },
    });
    const answers = await Promise.allSettled(['g1', 'g2', 'g3', 'g4', 'g5', 'g6', 'g7', 'g8'].map((word) => add(word)));
    expect(answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : String(answer.reason)))).toEqual([
      'G1',
      'G2',
      'G3',
      'G4',
      'G5',
      'Error: 1 with g6',
      'G7',
      'G8',
    ]);
    expect(tried.map((words) => words.length)).toEqual([8, 4, 4, 2, 1, 1, 2]);
  });

  it('does not try again where every item would fail', async () => {
    let tries = 0;
    const { add } = wordQueue({
      failsAll: () => true,
      compute: () => Promise.reject(new Error(`try ${(tries += 1)}`)),
    });
    const answers = await Promise.allSettled(['h1', 'h2'].map((word) => add(word)));
    expect(answers).toEqual([1, 2].map(() => ({ status: 'rejected', reason: new Error('try 1') })));
  });

  it('goes on after a batch that failed', async () => {
    let tries = 0;
    const { add } = wordQueue({
      compute: (words) => {
        tries += 1;
        if (tries === 1) throw new Error('the first');
        return Promise.resolve(words);
      },
    });
    await expect(add('i1')).rejects.toThrow('the first');
    expect(await add('i2')).toBe('i2');
  });

  it('rejects all that wait when it is told to', async () => {
    const { queue, batches, add, next } = wordQueue({ wait: 60_000, most: 2 });
    const first = [add('j1'), add('j2')];
    await turn();
    const waiting = [add('j3'), add('k1')];
    queue.fail(new Error('over'));
    for (const answer of waiting) await expect(answer).rejects.toThrow('over');
    await next();
    expect(await Promise.all(first)).toEqual(['J1', 'J2']);
    expect([batches, queue.waiting]).toEqual([[['j1', 'j2']], 0]);
  });
});

describe('slots', () => {
  it('are taken by so many at once; the others follow in order', async () => {
    const slots = new Slots(2);
    const taken: number[] = [];
    const takers = [1, 2, 3, 4].map((number) => slots.take(undefined).then(() => taken.push(number)));
    await turn();
    expect([taken, slots.size]).toEqual([[1, 2], 4]);
    slots.free();
    await turn();
    expect([taken, slots.size]).toEqual([[1, 2, 3], 3]);
    for (let count = 0; count < 3; count += 1) slots.free();
    await Promise.all(takers);
    expect(taken).toEqual([1, 2, 3, 4]);
    expect(slots.size).toBe(0);
  });

  it('are not kept for those whose signal ended the waiting', async () => {
    const slots = new Slots(1);
    await slots.take(undefined);
    const control = new AbortController();
    const [gone, next] = [slots.take(control.signal), slots.take(undefined)];
    control.abort('left');
    expect(slots.size).toBe(2);
    await expect(gone).rejects.toBe('left');
    slots.free();
    await next;
    expect(slots.size).toBe(1);
  });
});
