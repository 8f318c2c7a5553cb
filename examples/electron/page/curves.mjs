import uPlot from './uplot.mjs';

const height = 320;

/** A chart of two curves by epoch. */
class Curve {
  #figure;
  #plot;
  #data = [[], [], []];

  /**
   * @param {HTMLElement} figure
   * @param {[number | null, number | null]} range Of the values; null follows them.
   */
  constructor(figure, range) {
    this.#figure = figure;
    const grid = { stroke: '#f0eeea', width: 1 };
    const axis = { stroke: '#6b6560', font: '12px system-ui, sans-serif', grid, ticks: { show: false } };
    const series = (label, stroke) => ({ label, stroke, width: 2, points: { size: 4, fill: stroke } });
    this.#plot = new uPlot(
      {
        width: figure.clientWidth,
        height,
        legend: { live: false },
        scales: {
          x: { time: false, range: (_, __, most) => [1, Math.max(2, most ?? 2)] },
          y: {
            range: (_, least, most) => [range[0] ?? (least ?? 0) * 0.95, range[1] ?? Math.max(most ?? 1, 0.01) * 1.05],
          },
        },
        axes: [
          { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100], space: 30, size: 30 },
          { ...axis, size: 44 },
        ],
        series: [{ label: 'epoch' }, series('training', '#2563eb'), series('test', '#ea580c')],
      },
      this.#data,
      figure,
    );
    new ResizeObserver(() => this.#plot.setSize({ width: figure.clientWidth, height })).observe(figure);
  }

  /**
   * @param {number} train
   * @param {number} test
   */
  add(train, test) {
    const [epochs, trained, tested] = this.#data;
    epochs.push(epochs.length + 1);
    trained.push(train);
    tested.push(test);
    this.#plot.setData(this.#data);
    this.#figure.dataset.points = String(epochs.length);
  }

  clear() {
    this.#data = [[], [], []];
    this.#plot.setData(this.#data);
    this.#figure.dataset.points = '0';
  }
}

/** The two charts of a run. */
export class Curves {
  #accuracy = new Curve(document.getElementById('accuracy-curve'), [null, 100]);
  #loss = new Curve(document.getElementById('loss-curve'), [0, null]);

  /** @param {import('libtorch-densenet').EpochEvent} event */
  add({ train, validation }) {
    this.#accuracy.add(train.top1 * 100, validation.top1 * 100);
    this.#loss.add(train.loss, validation.loss);
  }

  clear() {
    this.#accuracy.clear();
    this.#loss.clear();
  }
}
