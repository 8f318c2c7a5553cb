import { mkdir, realpath, symlink } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Grants } from '../../lib/electron/grants';
import { temporaryFolder } from '../unit/support';

const inFolder = temporaryFolder();

describe('what a client reads of paths', () => {
  it('is the last part of what was granted, also after the grant was taken back or given to another file', () => {
    const grants = new Grants();
    grants.add('one', inFolder('first.pth'), 'read');
    grants.add('one', inFolder('second.pth'), 'read');
    grants.remove('one');
    expect(grants.hidePaths(`${inFolder('first.pth')} and ${inFolder('second.pth')} cannot be read`)).toBe(
      'first.pth and second.pth cannot be read',
    );
  });

  it("is a link's own name, also where a message says where it leads, and before there is a file", async () => {
    await mkdir(inFolder('secret/place'), { recursive: true });
    await symlink(inFolder('secret/place'), inFolder('link'));
    const grants = new Grants();
    grants.add('folder', inFolder('link'), 'folder');
    grants.add('file', inFolder('link/new.pth'), 'write');
    const real = await realpath(inFolder('secret/place'));
    expect(grants.hidePaths(`${real}/x.png, ${real}/new.pth`)).toBe('link/x.png, new.pth');
  });

  it('is ~ for the home folder, and the text as it was where a root was granted', () => {
    const grants = new Grants();
    grants.add('root', path.parse(os.homedir()).root, 'folder');
    expect(grants.hidePaths(`${path.join(os.homedir(), 'x')} / y`)).toBe(`${path.join('~', 'x')} / y`);
  });

  it("is a file's name letter by letter", () => {
    const grants = new Grants();
    grants.add('odd', inFolder('$&.pth'), 'read');
    expect(grants.hidePaths(inFolder('$&.pth'))).toBe('$&.pth');
  });
});
