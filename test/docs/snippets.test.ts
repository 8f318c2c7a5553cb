import { readFileSync, readdirSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { datasets, DenseNet, type CreateOptions } from '../../lib';
import { root, runNode } from '../child';

/** A fenced block of a guide. */
interface Snippet {
  guide: string;
  /** Its first line in the guide. */
  line: number;
  /** The heading that it stands under. */
  heading: string;
  /** What follows the fence: the language, and `no-run` for what needs the network. */
  kind: string;
  code: string;
}

const guides = ['README.md', ...readdirSync(path.join(root, 'docs', 'guides')).map((name) => `docs/guides/${name}`)];
const texts = new Map(guides.map((guide) => [guide, readFileSync(path.join(root, guide), 'utf8')]));
const snippets = [...texts].flatMap(([guide, text]) => snippetsOf(guide, text));
const programs = snippets.filter(({ kind }) => kind === 'js');

function snippetsOf(guide: string, text: string): Snippet[] {
  const found: Snippet[] = [];
  let heading = '';
  let open: Snippet | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const fence = /^\s*```(.*)$/.exec(line);
    if (fence !== null) {
      if (open === undefined) open = { guide, line: index + 1, heading, kind: (fence[1] as string).trim(), code: '' };
      else {
        found.push(open);
        open = undefined;
      }
    } else if (open !== undefined) open.code += `${line}\n`;
    else if (line.startsWith('#')) heading = line.replace(/^#+ /, '');
  }
  if (open !== undefined) throw new Error(`${guide}:${open.line} is not closed`);
  return found;
}

let home: string;

/** Makes what the snippets read, once; each snippet runs in a copy of it. */
beforeAll(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'densenet-docs-'));
  const inputs = path.join(home, 'inputs');
  await mkdir(inputs);
  await drawFolder(path.join(inputs, 'pets'), ['cat', 'dog']);
  await drawFolder(path.join(inputs, 'birds'), ['duck', 'owl', 'wren']);
  await cp(path.join(inputs, 'pets', 'dog', '0.png'), path.join(inputs, 'dog.png'));
  await sharp(path.join(inputs, 'pets', 'cat', '0.png'))
    .resize(90, 60)
    .jpeg()
    .toFile(path.join(inputs, 'cat.jpg'));
  // Made by Python, see make_checkpoints.py; the others are this package's own.
  await cp(path.join(root, 'test', 'weights', 'fixtures', 'training.pth'), path.join(inputs, 'checkpoint.pth'));
  await save(path.join(inputs, 'flowers.pth'), { variant: 'densenet121', numClasses: 5 });
  await save(path.join(inputs, 'pets.safetensors'), {
    growthRate: 4,
    blockConfig: [2, 2],
    initChannels: 8,
    stem: 'cifar',
    classes: ['cat', 'dog'],
    imageSize: [32, 32],
  });
});
afterAll(() => rm(home, { recursive: true, force: true }));

async function save(file: string, options: CreateOptions): Promise<void> {
  await using model = await DenseNet.create({ ...options, device: 'cpu', seed: 1 });
  await model.saveWeights(file, { format: file.endsWith('.pth') ? 'pth' : 'safetensors' });
}

/** A folder of coloured digits: each class has a digit of its own, ten pictures each. */
async function drawFolder(folder: string, classes: string[]): Promise<void> {
  const { images, labels } = await datasets.digits('test');
  for (const [digit, name] of classes.entries()) {
    await mkdir(path.join(folder, name), { recursive: true });
    const indices = [...labels.keys()].filter((index) => labels[index] === digit).slice(0, 10);
    for (const [number, index] of indices.entries()) {
      const pixels = (images.data as Uint8Array).slice(index * 64, index * 64 + 64);
      await sharp(pixels, { raw: { width: 8, height: 8, channels: 1 } })
        .toColourspace('srgb')
        .resize(40, 32, { fit: 'fill' })
        .toFile(path.join(folder, name, `${number}.png`));
    }
  }
}

test.each(programs.map((one) => [`${one.guide}:${one.line}`, one] as const))(
  '%s runs',
  async (_, snippet) => {
    const folder = await mkdtemp(path.join(home, 'run-'));
    await cp(path.join(home, 'inputs'), folder, { recursive: true });
    await mkdir(path.join(folder, 'node_modules'));
    await symlink(root, path.join(folder, 'node_modules', 'libtorch-densenet'), 'junction');
    await writeFile(path.join(folder, 'snippet.mjs'), snippet.code);
    const { code, signal, stderr } = await runNode(['snippet.mjs'], { cwd: folder });
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  },
  180_000,
);

test('these alone are not run, since they need the network', () => {
  const named = snippets.filter(({ kind }) => kind.includes('no-run')).map((one) => `${one.guide}: ${one.heading}`);
  expect(named).toEqual(['docs/guides/loading-weights.md: Pretrained on ImageNet']);
});

test('every block says what it is, so that no program goes unrun', () => {
  const known = ['js', 'js no-run', 'python', ''];
  expect(snippets.filter(({ kind }) => !known.includes(kind))).toEqual([]);
  // Blocks without a language are command lines.
  for (const { kind, code } of snippets) if (kind === '') expect(code).not.toMatch(/import |require\(|await /);
  expect(programs.length).toBeGreaterThan(10);
});

/** What is read too, and has no programs. */
const pages = [
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...readdirSync(path.join(root, 'docs')).flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : [])),
];

test('each guide is named in README.md, and no link leads nowhere', () => {
  for (const guide of guides.slice(1)) expect(texts.get('README.md')).toContain(`](${guide})`);
  const others = pages.map((page) => [page, readFileSync(path.join(root, page), 'utf8')] as const);
  for (const [guide, text] of [...texts, ...others])
    for (const [, link] of text.matchAll(/\]\((?!https?:)([^)#]+)/g))
      expect({ guide, link, text: readFileSync(path.join(root, path.dirname(guide), link as string), 'utf8') }).toEqual(
        expect.objectContaining({ text: expect.stringMatching(/\S/) as unknown }),
      );
});

const asksForDoctor = /id: doctor\n +attributes:\n +label: .*npx densenet doctor/;

test('each form for an issue that is about a machine asks for the output of densenet doctor', () => {
  const folder = path.join(root, '.github', 'ISSUE_TEMPLATE');
  const forms = readdirSync(folder).filter((name) => name !== 'config.yml');
  expect(forms.length).toBeGreaterThan(3);
  for (const name of forms) expect(readFileSync(path.join(folder, name), 'utf8')).toMatch(asksForDoctor);
});
