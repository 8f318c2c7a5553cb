// CheXNet's setting, on pictures that are drawn here: `node examples/chest-pictures.mjs [folder] [pictures]` writes 16-bit grey
// PNGs of something like a chest, each with several findings or none, a CSV file of them as the NIH's, and run.json, a
// configuration file to train by. Nobody should take them for medical data.

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';

const folder = process.argv[2] ?? 'chest-pictures';
const count = Number(process.argv[3] ?? 800);
const side = 64;

/** Random numbers from 0 to below 1, always the same ones (mulberry32). */
let state = 7;
function random(low = 0, high = 1) {
  state = (state + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return low + (((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * (high - low);
}

/** 1 inside an ellipse, 0 outside, with a soft edge. */
function ellipse(x, y, [centreX, centreY, width, height], edge = 0.15) {
  const distance = Math.hypot((x - centreX) / width, (y - centreY) / height);
  return Math.min(1, Math.max(0, (1 + edge - distance) / (2 * edge)));
}

/** Each finding changes the brightness, from 0 to 1, of a point; places are shares of the picture's side. */
const findings = {
  // A heart that is half as wide as the chest.
  Cardiomegaly: () => {
    const heart = [0.53, 0.68, random(0.27, 0.32), random(0.17, 0.2)];
    return (x, y, value) => value + 0.3 * ellipse(x, y, heart);
  },
  // Fluid, which stands at the foot of a lung.
  Effusion: (lung) => {
    const level = random(0.64, 0.72);
    return (x, y, value) =>
      value + 0.45 * ellipse(x, y, lung) * ellipse(x, y, [lung[0], level + 0.25, 0.4, 0.25], 0.08);
  },
  // A small round spot.
  Nodule: (lung) => {
    const spot = [
      lung[0] + random(-0.05, 0.05),
      lung[1] + random(-0.2, 0.05),
      random(0.035, 0.05),
      random(0.035, 0.05),
    ];
    return (x, y, value) => value + 0.4 * ellipse(x, y, spot, 0.4);
  },
  // Air at the top of a lung, where nothing is drawn any longer.
  Pneumothorax: (lung) => {
    const air = [lung[0], lung[1] - 0.22, 0.16, random(0.11, 0.15)];
    return (x, y, value) => value - value * 0.85 * ellipse(x, y, lung) * ellipse(x, y, air, 0.1);
  },
};

function draw(present) {
  const lungs = [
    [0.3 + random(-0.02, 0.02), 0.5, random(0.14, 0.17), random(0.31, 0.35)],
    [0.72 + random(-0.02, 0.02), 0.5, random(0.14, 0.17), random(0.31, 0.35)],
  ];
  const heart = [0.54, 0.64, random(0.12, 0.15), random(0.13, 0.16)];
  const ribs = random(22, 26);
  const light = random(0.85, 1.1);
  const changes = present.map((name) => findings[name](lungs[random() < 0.5 ? 0 : 1]));
  return Uint16Array.from({ length: side * side }, (_, place) => {
    const [x, y] = [(place % side) / side, Math.floor(place / side) / side];
    const inside = Math.max(...lungs.map((lung) => ellipse(x, y, lung)));
    let value = 0.62 * ellipse(x, y, [0.5, 0.55, 0.47, 0.6], 0.05) - 0.42 * inside;
    value += 0.06 * inside * Math.max(0, Math.sin(ribs * y + 3 * Math.abs(x - 0.5)));
    value += 0.25 * ellipse(x, y, heart);
    for (const change of changes) value = change(x, y, value);
    return 65_535 * Math.min(1, Math.max(0, value * light + random(-0.04, 0.04)));
  });
}

await mkdir(path.join(folder, 'images'), { recursive: true });
const lines = ['Image Index,Finding Labels'];
for (let number = 1; number <= count; number += 1) {
  const present = Object.keys(findings).filter(() => random() < 0.3);
  const name = `${String(number).padStart(5, '0')}.png`;
  await sharp(draw(present), { raw: { width: side, height: side, channels: 1 } })
    .toColourspace('grey16')
    .png()
    .toFile(path.join(folder, 'images', name));
  lines.push(`images/${name},${present.join('|') || 'No Finding'}`);
}
const list = path.join(folder, 'findings.csv');
await writeFile(list, `${lines.join('\n')}\n`);

const config = {
  data: {
    path: list,
    labels: { column: 'Finding Labels', none: 'No Finding' },
    imageSize: [side, side],
    channels: 1,
  },
  model: { growthRate: 12, blockConfig: [4, 6], initChannels: 24, normalization: { mean: [0.35], std: [0.25] } },
  trainer: { optimizer: { type: 'adam', lr: 0.002 } },
  augment: ['crop:4'],
  epochs: 15,
  batchSize: 32,
  seed: 1,
};
const file = path.join(folder, 'run.json');
await writeFile(file, `${JSON.stringify(config, undefined, 2)}\n`);
console.log(
  `${list}: ${count} pictures, ${Object.keys(findings).length} findings\n\nRun next: npx densenet train --config ${file}`,
);
