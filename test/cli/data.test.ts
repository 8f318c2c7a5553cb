import { writeFile } from 'node:fs/promises';
import { openData } from '../../lib/cli/data';
import { expectRefusal, temporaryFolder } from '../unit/support';

const inFolder = temporaryFolder();

test('a folder of MNIST that is not there, or is a file, is ERR_FILE', async () => {
  await writeFile(inFolder('file'), '');
  for (const place of ['nowhere', 'file'])
    await expectRefusal(() => openData({ path: inFolder(place), type: 'idx' }, 1), 'ERR_FILE', 'cannot be read');
});
