import path from 'node:path';
import { chartNames, chartScript, chartStyle } from './charts';
import type { RunRecord } from './collect';
import { style } from './style';

/** An image that the report shows. */
export interface ShownImage {
  /** `data:` addresses: the picture, and the veil that Grad-CAM lays over it. */
  picture: string;
  veil: string;
  /** What it was taken for. */
  caption: string;
  /** Its file, or its place in the data. */
  source: string;
  /** The class that the veil is of. */
  seen: string;
}

/** What the page is made of. */
export interface ReportContent {
  record: RunRecord;
  mistakes: ShownImage[];
  /** Of the classes, right ones. */
  examples: ShownImage[];
  /** Images with a mistake in all. */
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
  const { record, mistakes, examples, note } = content;
  const [script, sheet] = await Promise.all([chartScript(record), chartStyle()]);
  const title = `Run ${path.basename(path.resolve(record.folder))}`;
  const charts = chartNames.map((name) => `<div id="${name}"></div>`).join('');
  const known = several(record)
    ? 'Labels that it found, the surest of each.'
    : 'Images that it knew, the surest of each class.';
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${sheet}${style}</style>
<header><h1>${escape(title)}</h1><p>${describeRun(record)}</p></header>
<section class="facts">${facts(record)}</section>
<section><h2>Training</h2><p>${describeCourse(record)}</p><div class="charts">${charts}</div></section>
${several(record) ? '' : `<section><h2>Confusions</h2>${confusionTable(record)}</section>`}
<section><h2>${several(record) ? 'Labels' : 'Classes'}</h2>${classTable(record)}</section>
<section><h2>Worst mistakes</h2><p>${describeMistakes(content)}</p>${figures(mistakes, note)}</section>
<section><h2>What it looks at</h2><p>${known} Red is what spoke for it (Grad-CAM).</p>${figures(examples, note)}</section>
<section><details><summary><h2>Configuration</h2></summary><pre>${escape(JSON.stringify(record.config, undefined, 2))}</pre></details></section>
<script>${script}</script>
</html>
`;
}

function describeRun({ config, run }: RunRecord): string {
  const versions = Object.entries(run.versions).map((pair) => pair.join(' '));
  const parts = [`densenet ${config.command}`, `${minute(run.started)} UTC`, run.device, ...versions];
  return parts.map(escape).join(' · ');
}

const minute = (time: string): string => time.slice(0, 16).replace('T', ' ');

function facts(record: RunRecord): string {
  const { summary, run, epochs } = record;
  const { test } = summary;
  const time = run.resumed === undefined ? 'Time' : 'Time since it was resumed';
  const list: [string, string][] = [
    [several(record) ? 'All labels right' : 'Test accuracy', percent(test.top1)],
    ...(test.rocAuc === null ? [] : [['Mean area under ROC', test.rocAuc.toFixed(4)] as [string, string]]),
    // With five classes or fewer it would say nothing.
    ...(test.confusionMatrix.length > 5 ? [['Among the best five', percent(test.top5)] as [string, string]] : []),
    ['Calibration error', percent(test.calibration.error)],
    ['Test loss', test.loss.toFixed(4)],
    ['Test images', String(test.size)],
    ['Epochs', String(epochs.length)],
    [time, summary.seconds === undefined ? 'interrupted' : `${summary.seconds.toFixed(1)} s`],
  ];
  return list.map(([name, value]) => `<div><b>${escape(value)}</b><span>${escape(name)}</span></div>`).join('');
}

/** What to know of the curves. */
function describeCourse({ epochs, run: { resumed = [] }, summary }: RunRecord): string {
  const sentences = [
    'Values are those of the last epoch, or of where you point. Training values are of the images as they were trained on, augmented and before each step; the loss is then with label smoothing and weights, where the run had them.',
  ];
  const phases = [...new Set(epochs.map(({ phase }) => phase))];
  if (phases.length > 1)
    sentences.push('Left of the dashed line the classifier alone was trained, right of it the whole network.');
  for (const { at, epoch, step, phase } of resumed)
    sentences.push(
      `Gone on with ${minute(at)} UTC in epoch ${epoch}${phase === undefined ? '' : ` (${phase})`} after ${step} steps.`,
    );
  if (summary.interrupted) sentences.push('The run was interrupted.');
  return escape(sentences.join(' '));
}

function describeMistakes({ record, wrong }: ReportContent): string {
  const { size } = record.summary.test;
  return several(record)
    ? `${wrong} of ${size} test images have a label wrong; these are the furthest off. Red is what spoke for the label (Grad-CAM).`
    : `${wrong} of ${size} test images were taken for another class; of these it was surest. Red is what spoke for the wrong class (Grad-CAM).`;
}

function figures(images: readonly ShownImage[], note = 'None.'): string {
  if (images.length === 0) return `<p>${escape(note)}</p>`;
  return `<div class="figures">${images
    .map(({ picture, veil, caption, source, seen }) => {
      const name = path.basename(source);
      return `<figure><div><img src="${picture}" alt="${escape(name)}"><span><img src="${picture}" alt=""><img class="veil" src="${veil}" alt="what spoke for ${escape(seen)}"></span></div><figcaption>${escape(caption)}<small title="${escape(source)}">${escape(name)}</small></figcaption></figure>`;
    })
    .join('')}</div>`;
}

/** Whether an image may have several labels: there are no confusions then. */
const several = ({ summary: { test } }: RunRecord): boolean => test.confusionMatrix.length === 0;

function confusionTable({ summary: { test } }: RunRecord): string {
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
  const heads = labels.map((label) => `<th scope="col"><span>${escape(label)}</span></th>`).join('');
  const long = labels.some((label) => label.length > 4) ? ' long' : '';
  return `<p>Rows are true classes, columns what they were taken for.</p><div class="wide"><table class="matrix${long}"><tr><th></th>${heads}</tr>${rows.join('')}</table></div>`;
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
  const share = (value: number, text: string): string => `<td><meter value="${value.toFixed(4)}"></meter> ${text}</td>`;
  const rows = test.perClass.map(
    ({ label, support, precision, recall, f1, rocAuc }) =>
      `<tr><th scope="row">${escape(label)}</th><td>${support}</td>${[precision, recall, f1]
        .map((value) => share(value, percent(value)))
        .join('')}${rocAuc === null ? '<td>–</td>' : share(rocAuc, rocAuc.toFixed(4))}</tr>`,
  );
  return `<div class="wide"><table class="classes"><tr><th></th><th>Images</th><th>Precision</th><th>Recall</th><th>F1</th><th>Area under ROC</th></tr>${rows.join('')}</table></div><p>Precision: of those that it was named for, the share that are right. Recall: of those that have it, the share that was found.</p>`;
}
