import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { RunRecord } from './collect';

/** Places of the charts on the page. */
export const chartNames = ['loss', 'accuracy', 'rate'] as const;

/** Epochs of earlier phases, by phase: a second phase's epochs follow those of the first. */
function phaseStarts({ epochs, steps }: RunRecord): Map<string | undefined, number> {
  const starts = new Map<string | undefined, number>();
  const last = new Map<string | undefined, number>();
  for (const { phase, epoch } of [...steps, ...epochs]) last.set(phase, Math.max(last.get(phase) ?? 0, epoch));
  let before = 0;
  for (const [phase, epoch] of last) {
    starts.set(phase, before);
    before += epoch;
  }
  return starts;
}

/** The script that draws the curves, with the chart library in it; data that could end the script are escaped. */
export async function chartScript(record: RunRecord): Promise<string> {
  const { epochs, steps, summary } = record;
  const folder = path.dirname(require.resolve('uplot/package.json'));
  const library = await readFile(path.join(folder, 'dist', 'uPlot.iife.min.js'), 'utf8');
  const starts = phaseStarts(record);
  const number = epochs.map(({ phase, epoch }) => (starts.get(phase) ?? 0) + epoch);
  const held = epochs.map(({ validation }) => validation ?? null);
  const curves = {
    loss: [number, epochs.map(({ train }) => train.loss), held.map((one) => one?.loss ?? null)],
    accuracy: [number, epochs.map(({ train }) => train.top1 * 100), held.map((one) => (one ? one.top1 * 100 : null))],
    // Each step as a part of its epoch.
    rate: [
      steps.map(({ phase, epoch, step, steps: all }) => (starts.get(phase) ?? 0) + epoch - 1 + step / all),
      steps.map(({ learningRate }) => learningRate),
    ],
  };
  const accuracy = summary.test.confusionMatrix.length === 0 ? 'all labels right, %' : 'accuracy, %';
  return `${library}
const curves = ${JSON.stringify({ ...curves, starts: [...starts.values()].slice(1) }).replaceAll('<', '\\u003c')};
const font = '12px system-ui, sans-serif';
const draw = (id, label, digits, series) => {
  const data = curves[id], place = document.getElementById(id), last = data[0].length - 1;
  const show = (_, value) => value == null ? '–' : value.toFixed(digits);
  const grid = { stroke: '#e7e5e4', width: 1 };
  const few = data[0].length < 40;
  const chart = new uPlot({
    width: place.clientWidth, height: 270, scales: { x: { time: false } },
    cursor: { y: false, points: { size: 7 } },
    axes: [
      { label: 'epoch', font, labelFont: font, labelSize: 22, size: 34, grid, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] },
      { label, font, labelFont: font, labelSize: 22, size: 64, grid, values: (_, ticks) => ticks.map((tick) => String(Number(tick.toPrecision(6)))) },
    ],
    series: [{ label: 'epoch', value: (_, value) => value == null ? '–' : id === 'rate' ? value.toFixed(2) : String(value) },
      ...series.map((one) => ({ width: 2, value: show, points: { show: few, size: 5 }, ...one }))],
    hooks: {
      // Where nobody points, the values are those of the end.
      setCursor: [(self) => { if (self.cursor.idx == null) self.setLegend({ idx: last }); }],
      draw: [(self) => {
        for (const start of curves.starts) {
          const x = Math.round(self.valToPos(start, 'x', true)), { top, height } = self.bbox;
          self.ctx.save(); self.ctx.strokeStyle = '#a8a29e'; self.ctx.setLineDash([6, 4]);
          self.ctx.beginPath(); self.ctx.moveTo(x, top); self.ctx.lineTo(x, top + height); self.ctx.stroke(); self.ctx.restore();
        }
      }],
    },
  }, data, place);
  if (last >= 0) chart.setLegend({ idx: last });
};
const train = { label: 'training', stroke: '#2563eb' }, test = { label: 'test', stroke: '#ea580c' };
draw('loss', 'loss', 4, [train, test]);
draw('accuracy', ${JSON.stringify(accuracy)}, 2, [train, test]);
draw('rate', 'learning rate', 6, [{ label: 'rate', stroke: '#16a34a', points: { show: false } }]);
document.documentElement.dataset.drawn = 'yes';`;
}

/** The chart library's own style. */
export async function chartStyle(): Promise<string> {
  const folder = path.dirname(require.resolve('uplot/package.json'));
  return readFile(path.join(folder, 'dist', 'uPlot.min.css'), 'utf8');
}
