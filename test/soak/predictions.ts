import type { TensorData } from '../../lib';
import { pick, randomNumbers, type Dose, type Outcome, type Package } from './check';

const AT_ONCE = 32;

/** Asks a model for 32 things at once: each answer must be what it is alone. */
export async function predictAtOnce(library: Package, { times, seed, progress }: Dose): Promise<Outcome> {
  const random = randomNumbers(seed);
  const model = await library.DenseNet.create({
    growthRate: 6,
    blockConfig: [3, 3],
    initChannels: 8,
    stem: 'cifar',
    inChannels: 1,
    numClasses: 5,
    device: 'cpu',
    seed: 1,
  });
  const draw = (): TensorData => {
    const shape = [1 + Math.floor(random() * 4), 1, 8 + Math.floor(random() * 9), 8 + Math.floor(random() * 9)];
    const size = shape.reduce((product, length) => product * length);
    return { data: Float32Array.from({ length: size }, () => random() * 2 - 1), shape };
  };
  const calls = [
    (input: TensorData) => model.forward(input),
    (input: TensorData) => model.predict(input, { topK: 3 }),
    (input: TensorData) => model.features(input),
    (input: TensorData) => model.gradCam(input),
  ] as const;
  const faults: string[] = [];
  const text = (value: unknown): string =>
    JSON.stringify(value, (_, one: unknown) => (ArrayBuffer.isView(one) ? Array.from(one as Float32Array) : one));
  try {
    for (let round = 0; round < times; round += 1) {
      const asked = Array.from({ length: AT_ONCE }, () => [pick(random, calls), draw()] as const);
      const alone: string[] = [];
      for (const [call, input] of asked) alone.push(text(await call(input)));
      const together = await Promise.all(asked.map(([call, input]) => call(input)));
      const wrong = together.filter((answer, index) => text(answer) !== alone[index]).length;
      if (wrong > 0) faults.push(`round ${round}: ${wrong} of ${AT_ONCE} answers are others than alone`);
      progress?.(round + 1);
    }
  } finally {
    await model.dispose();
  }
  return { done: times, faults, figures: { 'calls at once': AT_ONCE } };
}
