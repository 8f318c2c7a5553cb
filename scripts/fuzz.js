'use strict';

/**
 * `npm run fuzz -- [--inputs 100000] [--seed 1] [--parser NAME]`: random files for the parsers of weights and data sets. Needs no
 * build. A fault is printed with its seed and number, which make the file again; the exit status is then 1.
 */

const { parseArgs } = require('node:util');
require('../test/typescript');
const { fuzz, fuzzTargets } = require('../test/fuzz/parsers');

async function main() {
  const { values } = parseArgs({
    options: {
      inputs: { type: 'string', default: '100000' },
      seed: { type: 'string', default: '1' },
      parser: { type: 'string' },
    },
  });
  let faults = 0;
  let [clean, broken] = [0, 0];
  for (const target of fuzzTargets()) {
    if (values.parser !== undefined && values.parser !== target.name) continue;
    const start = performance.now();
    const result = await fuzz(target, Number(values.seed), Number(values.inputs));
    const refused = Object.entries(result.refused).map(([code, count]) => `${count} ${code}`);
    console.log(
      `${target.name}: ${result.inputs} files in ${((performance.now() - start) / 1000).toFixed(1)} s, ` +
        `${result.taken} taken, refused ${refused.join(', ') || 'none'}; the slowest took ${result.slowest.toFixed(0)} ms`,
    );
    for (const fault of result.faults.slice(0, 20)) console.log(`  fault: ${fault}`);
    faults += result.faults.length;
    if (result.faults.length === 0) clean += 1;
    else broken += 1;
  }
  console.log(`\n${faults} faults; the process used ${Math.round(process.resourceUsage().maxRSS / 1024)} MB at most`);
  console.log(`\n${clean} passed, ${broken} failed`);
  process.exitCode = faults === 0 ? 0 : 1;
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
