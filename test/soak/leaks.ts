import { runProgram } from '../child';
import type { Dose, Outcome } from './check';

/** What may be left at the end of all predictions, or of all models, megabytes. */
const LIMIT_MB = 1;

/** How often the memory is looked at; the slope through so many points is not that of one of them. */
const POINTS = 21;

/**
 * Memory at 21 points after a warm-up of a quarter of the work. `trend` is the median of the slopes between any two of them
 * (Theil and Sen), over all of the work: what comes and goes does not count, what stays does.
 */
const measure = `
  const grown = async (times, work) => {
    for (let done = 0; done < times / 4; done += 1) await work();
    const points = [];
    const look = async () => {
      gc();
      await new Promise(setImmediate);
      gc();
      const { rss, heapUsed, external } = process.memoryUsage();
      points.push({ rss, heap: heapUsed + external });
    };
    await look();
    for (let point = 1; point < ${POINTS}; point += 1) {
      for (let done = 0; done < times / ${POINTS - 1}; done += 1) await work();
      await look();
    }
    const trend = (key) => {
      const slopes = points.flatMap((a, i) => points.slice(i + 1).map((b, j) => (b[key] - a[key]) / (j + 1)));
      slopes.sort((a, b) => a - b);
      return (slopes[Math.floor(slopes.length / 2)] * ${POINTS - 1}) / 2 ** 20;
    };
    return { resident: trend('rss'), heap: trend('heap') };
  };`;

type Growth = Record<'resident' | 'heap', number>;

/**
 * What predictions leave behind, and models that are made and disposed of.
 *
 * @param times Predictions; a tenth as many models.
 * @param limit Megabytes.
 */
export async function findLeaks({ times, progress }: Dose, limit = LIMIT_MB): Promise<Outcome> {
  const models = Math.ceil(times / 10);
  const ended = await runProgram(
    `${measure}
    const model = await DenseNet.create(tiny);
    const input = images(4);
    const predictions = await grown(${times}, () => model.predict(input));
    console.log('predicted');
    const models = await grown(${models}, async () => (await DenseNet.create(tiny)).dispose());
    console.log('\\n' + JSON.stringify({ predictions, models }));`,
    { onOutput: (text) => text.includes('predicted') && progress?.(times) },
  );
  if (ended.code !== 0) throw new Error(`the program ended with ${ended.code ?? ended.signal}: ${ended.stderr}`);
  const found = JSON.parse(ended.stdout.trim().split('\n').at(-1) as string) as Record<
    'predictions' | 'models',
    Growth
  >;
  const faults: string[] = [];
  const figures: Record<string, number> = { models };
  for (const [what, growth] of Object.entries(found))
    for (const [where, megabytes] of Object.entries(growth)) {
      figures[`${what}, ${where}, MB`] = Math.round(megabytes * 100) / 100;
      if (megabytes >= limit) faults.push(`${what} leave ${megabytes.toFixed(2)} MB (${where})`);
    }
  return { done: times, faults, figures };
}
