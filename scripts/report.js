'use strict';

/** How the scripts tell what they do: a line a step, redrawn on a terminal while it goes on, with its time at the end. */

const terminal = Boolean(process.stdout.isTTY);

/**
 * Runs one step and tells of it.
 *
 * @template Result
 * @param {string} title
 * @param {(update: (detail: string) => void) => Promise<Result>} work `update` shows how far it is.
 * @param {(result: Result) => string} [outcome] What to say when it is done.
 * @returns {Promise<Result>}
 */
async function step(title, work, outcome = () => '') {
  const started = performance.now();
  let shown = '';
  let drawn = -Infinity;
  const draw = (/** @type {string} */ detail) => {
    // A log gets a line every ten seconds; a terminal sees every change.
    if (detail === shown || (!terminal && performance.now() - drawn < 10_000)) return;
    shown = detail;
    drawn = performance.now();
    if (terminal) process.stdout.write(`\r\x1b[2K… ${title}: ${detail}`.slice(0, (process.stdout.columns || 80) + 5));
    else console.log(`  ${title}: ${detail}`);
  };
  if (terminal) process.stdout.write(`… ${title}`);
  try {
    const result = await work(draw);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const said = outcome(result);
    console.log(`${terminal ? '\r\x1b[2K' : ''}✔ ${title}${said && `: ${said}`} (${seconds} s)`);
    return result;
  } catch (error) {
    console.log(`${terminal ? '\r\x1b[2K' : ''}✘ ${title}`);
    throw error;
  }
}

/**
 * Runs the main function of a script; an error becomes its message and exit code 1.
 *
 * @param {() => Promise<unknown>} main
 */
function runScript(main) {
  main().catch((error) => {
    console.error(`\n${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  });
}

module.exports = { runScript, step };
