'use strict';

/** The results of a benchmark as a picture. */

const { writeFile } = require('node:fs/promises');
const path = require('node:path');

/**
 * @typedef {object} Bar
 * @property {string} name
 * @property {number} ratio How many times as long as ours its step takes.
 * @property {number} peak Bytes above the process at rest.
 */

/**
 * Draws two columns of bars, ratio and memory, a row a contender.
 *
 * @param {object} picture
 * @param {string} picture.title
 * @param {string} picture.subtitle
 * @param {Bar[]} picture.bars
 * @returns {string} An SVG.
 */
function draw({ title, subtitle, bars }) {
  // Its types need those of a browser, so it is asked for by its place.
  const echarts = require(require.resolve('echarts'));
  const height = 150 + 34 * bars.length;
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 960, height });
  const grid = { top: 96, bottom: 24, containLabel: true };
  const names = bars.map(({ name }) => name);
  /** @param {number} gridIndex @param {string} name */
  const axes = (gridIndex, name) => ({
    x: { gridIndex, type: 'value', name, nameLocation: 'middle', nameGap: 24, position: 'top', min: 0 },
    y: { gridIndex, type: 'category', data: names, inverse: true, axisTick: { show: false } },
  });
  const left = axes(0, 'time of a step, as a multiple of ours');
  const right = axes(1, 'peak memory, MB');
  /** @param {number} index @param {number[]} values @param {(value: number) => string} text @param {string} color */
  const series = (index, values, text, color) => ({
    type: 'bar',
    xAxisIndex: index,
    yAxisIndex: index,
    barMaxWidth: 20,
    itemStyle: { color },
    label: { show: true, position: 'right', formatter: (/** @type {{ value: number }} */ { value }) => text(value) },
    data: values,
  });
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: { text: title, subtext: subtitle, left: 12, top: 8 },
    grid: [
      { ...grid, left: 16, right: '52%' },
      { ...grid, left: '54%', right: 56 },
    ],
    xAxis: [left.x, right.x],
    yAxis: [left.y, { ...right.y, axisLabel: { show: false } }],
    series: [
      series(
        0,
        bars.map(({ ratio }) => ratio),
        (ratio) => `${ratio.toFixed(2)}×`,
        '#2f6f9f',
      ),
      series(
        1,
        bars.map(({ peak }) => peak / 1e6),
        (megabytes) => megabytes.toFixed(0),
        '#8a9a5b',
      ),
    ],
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

/**
 * Writes the picture as the file's ending says.
 *
 * @param {string} file Ends in `.svg` or `.png`.
 * @param {Parameters<typeof draw>[0]} picture
 */
async function plot(file, picture) {
  const svg = draw(picture);
  if (path.extname(file).toLowerCase() === '.svg') return writeFile(file, svg);
  const sharp = require('sharp');
  return writeFile(file, await sharp(Buffer.from(svg), { density: 144 }).png().toBuffer());
}

/** Whether a file's ending is one that can be written. @param {string} file */
function isPlottable(file) {
  return ['.svg', '.png'].includes(path.extname(file).toLowerCase());
}

module.exports = { isPlottable, plot };
