import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { RunRecord } from './collect';
import { style } from './style';

/** An image that the report shows. */
export interface ShownImage {
  /** `data:` addresses: the picture, and the veil that Grad-CAM lays over it. */
  picture: string;
  veil: string;
  /** Under it. */
  caption: string;
  /** The class that the veil is of. */
  seen: string;
}

/** What the page is made of. */
export interface ReportContent {
  record: RunRecord;
  mistakes: ShownImage[];
  /** Of the classes, right ones. */
  examples: ShownImage[];
  /** Wrong predictions in all. */
  wrong: number;
  /** Why there are no pictures, if there are none. */
  note?: string;
}

/** The largest confusion matrix that is drawn; of larger ones the most frequent confusions are listed. */
const MOST_CLASSES = 30;

const percent = (share: number): string => `${(share * 100).toFixed(2)} %`;

const escape = (text: string): string => text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`);

/** One page with everything in it: no other file, no network. */
export async function renderPage(content: ReportContent): Promise<string> {
  const { record, mistakes, examples, wrong, note } = content;
  const { summary, run } = record;
  const { test } = summary;
  const chart = path.dirname(require.resolve('uplot/package.json'));
  const [script, sheet] = await Promise.all([
    readFile(path.join(chart, 'dist', 'uPlot.iife.min.js'), 'utf8'),
    readFile(path.join(chart, 'dist', 'uPlot.min.css'), 'utf8'),
  ]);
  const title = `Run ${path.basename(path.resolve(record.folder))}`;
  const facts: [string, string][] = [
    [several(record) ? 'All labels right' : 'Test accuracy', percent(test.top1)],
    test.rocAuc === null
      ? ['Among the best five', percent(test.top5)]
      : ['Mean area under ROC', test.rocAuc.toFixed(4)],
    ['Calibration error', percent(test.calibration.error)],
    ['Test loss', test.loss.toFixed(4)],
    ['Test images', String(test.size)],
    ['Epochs', String(record.epochs.length)],
    ['Time', summary.seconds === undefined ? 'interrupted' : `${summary.seconds.toFixed(1)} s`],
  ];
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${sheet}${style}</style>
<header><h1>${escape(title)}</h1>
<p>${escape(record.config.command)} · ${escape(run.started.slice(0, 16).replace('T', ' '))} UTC · ${escape(run.device)} · ${escape(
    Object.entries(run.versions)
      .map((pair) => pair.join(' '))
      .join(' · '),
  )}</p></header>
<section class="facts">${facts.map(([name, value]) => `<div><b>${escape(value)}</b><span>${escape(name)}</span></div>`).join('')}</section>
<section><h2>Training</h2><div class="charts"><div id="loss"></div><div id="accuracy"></div><div id="rate"></div></div></section>
<section><h2>Confusions</h2>${confusionTable(record)}</section>
<section><h2>Classes</h2>${classTable(record)}</section>
<section><h2>Worst mistakes</h2><p>${wrong} of ${test.size} test images were taken for another class; these with the greatest confidence. ${note ? escape(note) : 'Red is what spoke for the wrong class (Grad-CAM).'}</p>${figures(mistakes)}</section>
<section><h2>What it looks at</h2><p>Images that it knew, and what spoke for their class.</p>${figures(examples)}</section>
<section><h2>Configuration</h2><pre>${escape(JSON.stringify(record.config, undefined, 2))}</pre></section>
<script>${script}</script>
<script>${drawing(record)}</script>
</html>
`;
}

function figures(images: readonly ShownImage[]): string {
  if (images.length === 0) return '<p>None.</p>';
  return `<div class="figures">${images
    .map(
      ({ picture, veil, caption, seen }) =>
        `<figure><div><img src="${picture}" alt=""><span><img src="${picture}" alt=""><img class="veil" src="${veil}" alt="what spoke for ${escape(seen)}"></span></div><figcaption>${escape(caption)}</figcaption></figure>`,
    )
    .join('')}</div>`;
}

/** Whether an image may have several labels: there are no confusions then. */
export const several = ({ summary: { test } }: RunRecord): boolean => test.confusionMatrix.length === 0;

function confusionTable({ summary: { test } }: RunRecord): string {
  if (test.confusionMatrix.length === 0) return '<p>An image may have several labels, so there are none.</p>';
  const labels = test.perClass.map(({ label }) => label);
  const matrix = test.confusionMatrix;
  if (labels.length > MOST_CLASSES) return confusionList(labels, matrix);
  const rows = matrix.map((row, truth) => {
    const most = Math.max(1, ...row);
    const cells = row.map((count, predicted) => {
      const colour = truth === predicted ? '22 163 74' : '225 29 72';
      const shade =
        count === 0 ? '' : ` style="background:rgb(${colour} / ${(0.1 + (0.7 * count) / most).toFixed(2)})"`;
      return `<td${shade}>${count === 0 ? '' : count}</td>`;
    });
    return `<tr><th scope="row">${escape(labels[truth] as string)}</th>${cells.join('')}</tr>`;
  });
  const heads = labels.map((label) => `<th scope="col">${escape(label)}</th>`).join('');
  return `<p>Rows are true classes, columns what they were taken for.</p><div class="wide"><table class="matrix"><tr><th></th>${heads}</tr>${rows.join('')}</table></div>`;
}

function confusionList(labels: readonly string[], matrix: readonly number[][]): string {
  const pairs = matrix.flatMap((row, truth) =>
    row.flatMap((count, predicted) => (truth === predicted || count === 0 ? [] : [{ truth, predicted, count }])),
  );
  const worst = pairs.sort((a, b) => b.count - a.count).slice(0, MOST_CLASSES);
  const rows = worst.map(
    ({ truth, predicted, count }) =>
      `<tr><td>${escape(labels[truth] as string)}</td><td>${escape(labels[predicted] as string)}</td><td>${count}</td></tr>`,
  );
  return `<table><tr><th>Class</th><th>taken for</th><th>times</th></tr>${rows.join('')}</table>`;
}

function classTable({ summary: { test } }: RunRecord): string {
  const rows = test.perClass.map(
    ({ label, support, precision, recall, f1, rocAuc }) =>
      `<tr><th scope="row">${escape(label)}</th><td>${support}</td>${[precision, recall, f1]
        .map((share) => `<td><meter value="${share.toFixed(4)}"></meter> ${percent(share)}</td>`)
        .join('')}<td>${rocAuc === null ? '–' : rocAuc.toFixed(4)}</td></tr>`,
  );
  return `<div class="wide"><table><tr><th>Class</th><th>Images</th><th>Precision</th><th>Recall</th><th>F1</th><th>Area under ROC</th></tr>${rows.join('')}</table></div>`;
}

/** The script that draws the curves; data that could end it are escaped. */
function drawing({ epochs, steps }: RunRecord): string {
  const number = epochs.map((_, index) => index + 1);
  const held = epochs.map(({ validation }) => validation ?? null);
  const rates = steps.map(({ learningRate }) => learningRate);
  const curves = {
    loss: [number, epochs.map(({ train }) => train.loss), held.map((one) => one?.loss ?? null)],
    accuracy: [number, epochs.map(({ train }) => train.top1 * 100), held.map((one) => (one ? one.top1 * 100 : null))],
    // Steps of one run after another, each as a part of its epoch.
    rate: [places(steps), rates],
  };
  return `const curves = ${JSON.stringify(curves).replaceAll('<', '\\u003c')};
const draw = (id, title, data, series) => new uPlot({ title, width: 335, height: 250, scales: { x: { time: false } },
  axes: [{ label: 'epoch' }, { size: 60 }], series: [{ label: 'epoch' }, ...series] }, data, document.getElementById(id));
const train = { label: 'training', stroke: '#2563eb', width: 2 }, test = { label: 'test', stroke: '#ea580c', width: 2 };
draw('loss', 'Loss', curves.loss, [train, test]);
draw('accuracy', 'Accuracy, %', curves.accuracy, [train, test]);
draw('rate', 'Learning rate', curves.rate, [{ label: 'rate', stroke: '#16a34a', width: 2 }]);
document.documentElement.dataset.drawn = 'yes';`;
}

/** Where in the course of the epochs each step was; a second run's epochs follow those of the first. */
function places(steps: RunRecord['steps']): number[] {
  let before = 0;
  return steps.map(({ epoch, step, steps: all }, index) => {
    const last = steps[index - 1];
    if (last !== undefined && epoch < last.epoch) before += last.epoch;
    return before + epoch - 1 + step / all;
  });
}
