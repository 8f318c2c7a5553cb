import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, rmSync } from 'node:fs';
import { DenseNet } from '../../lib';
import { readPicture } from '../../lib/data/picture';
import { tinyModel } from '../tiny';
import { expectRefusal, temporaryFolder } from '../unit/support';

const inFolder = temporaryFolder();
let model: DenseNet;

beforeAll(async () => (model = await tinyModel()));
beforeEach(() => void execFileSync('mkfifo', [inFolder('pipe')]));
// A reader that waits for a writer, which is the fault that these tests look for, would keep the process from ending:
// it gets one, and finds nothing when it comes again.
afterEach(() => {
  const writer = openSync(inFolder('pipe'), constants.O_RDWR | constants.O_NONBLOCK);
  rmSync(inFolder('pipe'));
  closeSync(writer);
});
afterAll(() => model.dispose());

test.each<[string, (file: string) => Promise<unknown>]>([
  ['loadWeights', (file) => model.loadWeights(file)],
  ['DenseNet.load', (file) => DenseNet.load(file, { device: 'cpu' })],
  ['readPicture', (file) => readPicture(file, { channels: 1, size: null })],
])(
  '%s refuses a named pipe, and does not wait for somebody to write to it',
  async (_, call) => {
    await expectRefusal(() => call(inFolder('pipe')), 'ERR_FILE', inFolder('pipe'), 'not a regular file');
  },
  3000,
);
