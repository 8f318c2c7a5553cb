import { setTimeout as sleep } from 'node:timers/promises';
import { datasets, Trainer, transforms, type StreamedDataset, type TrainerOptions } from '../../lib';
import { fingerprint, modelMaker, rawImages, temporaryFolder } from '../unit/support';

/** What other calls see and leave behind while a run waits for images. */

const make = modelMaker();
const inFolder = temporaryFolder();

const images = rawImages([22, 1, 8, 8]);
const labels = Array.from({ length: 22 }, (_, n) => n % 3);
const inMemory = datasets.fromArrays({ images, labels });

/** The same images, of which all but the first `free` that are asked for wait until it is opened. */
class Gate {
  asked = 0;
  readonly data: StreamedDataset;
  #open: () => void = () => undefined;

  constructor(free: number) {
    const opened = new Promise<void>((resolve) => (this.#open = resolve));
    this.data = datasets.fromReader({
      size: 22,
      imageShape: [1, 8, 8],
      labels,
      classes: ['0', '1', '2'],
      read: async (index) => {
        this.asked += 1;
        if (this.asked > free) await opened;
        return images.data.slice(index * 64, index * 64 + 64) as Uint8Array;
      },
    });
  }

  open(): void {
    this.#open();
  }

  /** Until a run waits at the gate. */
  async waitedFor(count: number): Promise<void> {
    while (this.asked < count) await sleep(1);
    await sleep(100);
  }
}

const options: TrainerOptions = { optimizer: { type: 'sgd', lr: 0.1, momentum: 0.9 }, seed: 5 };
const augment = [transforms.randomCrop({ padding: 1 }), transforms.randomErasing()];

describe('a checkpoint that is saved', () => {
  it.each<[string, number, number, 'before' | 'after']>([
    ['while a run waits for the first batch of an epoch', 0, 1, 'before'],
    ['after a run was cancelled there', 0, 1, 'after'],
    ['while a run waits for the second batch of a step', 4, 2, 'before'],
    ['after a run was cancelled between the batches of a step', 4, 2, 'after'],
  ])('%s goes on as if nothing had been', async (_, free, accumulate, when) => {
    const plan = { epochs: 2, batchSize: 4, augment };
    const whole = await make();
    await new Trainer(whole, { ...options, accumulate }).fit(inMemory, plan);

    const trainer = new Trainer(await make(), { ...options, accumulate });
    const gate = new Gate(free);
    const run = trainer.fit(gate.data, plan);
    const ended = run.then(
      () => 'finished',
      () => 'cancelled',
    );
    await gate.waitedFor(free + 4);
    const file = inFolder('waiting.safetensors');
    if (when === 'before') await trainer.save(file);
    run.cancel();
    expect(await ended).toBe('cancelled');
    if (when === 'after') await trainer.save(file);

    const again = await make({ seed: 9 });
    const other = new Trainer(again, { ...options, accumulate, seed: 9 });
    await other.resume(file);
    await other.fit(inMemory, plan);
    expect(await fingerprint(again)).toBe(await fingerprint(whole));
  });
});

test('a summary that is asked for while a validation waits changes neither its metrics nor the model', async () => {
  const train = async (gate: Gate, meanwhile: (model: Awaited<ReturnType<typeof make>>) => Promise<unknown>) => {
    const model = await make();
    const run = new Trainer(model, options).fit(inMemory, { epochs: 1, batchSize: 5, validation: gate.data });
    await gate.waitedFor(6);
    await meanwhile(model);
    gate.open();
    const { epochs } = await run;
    return { validation: epochs[0]?.validation, weights: await fingerprint(model) };
  };
  const expected = await train(new Gate(5), () => Promise.resolve());
  expect(await train(new Gate(5), (model) => model.summary({ size: 8 }))).toEqual(expected);
});

test('whoever saves or reads the weights while an average is validated has the weights that are trained', async () => {
  const model = await make();
  const trainer = new Trainer(model, { ...options, ema: 0.5 });
  const gate = new Gate(5);
  const run = trainer.fit(inMemory, { epochs: 1, batchSize: 5, validation: gate.data });
  await gate.waitedFor(6);
  const file = inFolder('average.safetensors');
  const [saved, read] = [trainer.save(file), fingerprint(model)];
  await sleep(100);
  gate.open();
  await run;
  await saved;
  const trained = await fingerprint(model);
  expect(await read).toBe(trained);
  const loaded = await make({ seed: 9 });
  await loaded.loadWeights(file);
  expect(await fingerprint(loaded)).toBe(trained);
});
