import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DenseNet, type TensorData, type Variant } from '../../lib';
import { relativeDifference } from '../parity/fixture';

/** Where `make_checkpoints.py --large` wrote the four published networks; some hundred megabytes, so not committed. */
const folder = process.env['DENSENET_LARGE'];
const names = ['densenet121', 'densenet161', 'densenet169', 'densenet201'] as const;
const formats = ['.safetensors', '.pth', '-legacy.pth'];

if (folder === undefined) {
  test.skip('the four published networks (DENSENET_LARGE does not name a folder that make_checkpoints.py wrote)', () =>
    undefined);
} else {
  test('the folder holds what make_checkpoints.py --large writes', () => {
    expect(existsSync(path.join(folder, 'large.json'))).toBe(true);
    for (const name of names) for (const format of formats) expect(readdirSync(folder)).toContain(`${name}${format}`);
  });

  describe.each(names)("%s gives PyTorch's logits within 1e-5", (name) => {
    let model: DenseNet;
    // A fresh model each time: what was not loaded shows.
    beforeEach(
      async () => (model = await DenseNet.create({ variant: name satisfies Variant, device: 'cpu', seed: 1 })),
    );
    afterEach(() => model.dispose());

    it.each(formats)('from %s', async (format) => {
      const expected = readTensors(path.join(folder, `${name}-expected.safetensors`));
      const start = performance.now();
      const report = await model.loadWeights(path.join(folder, `${name}${format}`));
      const seconds = (performance.now() - start) / 1000;
      expect(report.matched).toHaveLength((await model.stateDict()).size);
      const difference = relativeDifference(
        await model.forward(expected.get('images') as TensorData),
        expected.get('logits') as TensorData,
      );
      console.log(
        `${name}${format}: loaded in ${seconds.toFixed(2)} s, logits differ by ${difference.toExponential(1)}`,
      );
      expect(difference).toBeLessThan(1e-5);
    });
  });
}

function readTensors(file: string): Map<string, TensorData> {
  const bytes = readFileSync(file);
  const start = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<
    string,
    { shape: number[]; data_offsets: [number, number] }
  >;
  return new Map(
    Object.entries(header).map(
      ([
        key,
        {
          shape,
          data_offsets: [from, to],
        },
      ]) => {
        const { buffer } = Uint8Array.from(bytes.subarray(start + from, start + to));
        return [key, { data: new Float32Array(buffer), shape }];
      },
    ),
  );
}
