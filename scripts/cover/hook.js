'use strict';

/**
 * Loaded first by every program that the tests start while coverage is taken (NODE_OPTIONS): puts counters into lib/ where it
 * is loaded from dist/, by the same two steps that jest takes in the tests' own processes, so that both can be added up. What
 * was counted is written when the process ends; one that is killed writes nothing.
 */

const { createHash, randomUUID } = require('node:crypto');
const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');

const root = path.join(__dirname, '..', '..');
const folder = process.env['DENSENET_COVERAGE'];

/**
 * The source of a file that is loaded; nothing for those that are not of lib/.
 *
 * @param {string} file
 */
function sourceOf(file) {
  const [first, ...rest] = path.relative(root, file).split(path.sep);
  if (first === 'lib') return file;
  if (first !== 'dist') return undefined;
  const place = path.join(root, 'lib', ...rest);
  return [place.replace(/\.js$/, '.ts'), place].find((one) => fs.existsSync(one));
}

/**
 * A file with counters, kept for the next process.
 *
 * @param {string} cache
 * @param {string} file
 * @returns {string}
 */
function withCounters(cache, file) {
  const text = fs.readFileSync(file, 'utf8');
  const kept = path.join(cache, `${createHash('sha256').update(file).update(text).digest('hex')}.js`);
  if (fs.existsSync(kept)) return fs.readFileSync(kept, 'utf8');
  const { createInstrumenter } = require('istanbul-lib-instrument');
  const { transform } = require('../../jest.config');
  const options = /** @type {any} */ (Object.values(transform ?? {})[0])[1];
  const { code, map } = require('@swc/core').transformSync(text, {
    ...options,
    filename: file,
    sourceMaps: true,
    module: { type: 'commonjs' },
  });
  const instrumented = createInstrumenter({ esModules: false, compact: false }).instrumentSync(
    code,
    file,
    JSON.parse(/** @type {string} */ (map)),
  );
  const beside = `${kept}.${randomUUID()}`;
  fs.writeFileSync(beside, instrumented);
  fs.renameSync(beside, kept);
  return instrumented;
}

if (folder !== undefined) {
  const cache = path.join(folder, 'cache');
  fs.mkdirSync(cache, { recursive: true });
  const extensions = /** @type {Record<string, (module: any, file: string) => void>} */ (
    /** @type {any} */ (Module)._extensions
  );
  const plain = extensions['.js'];
  extensions['.js'] = (module, file) => {
    const source = sourceOf(file);
    if (source === undefined) plain?.(module, file);
    else module._compile(withCounters(cache, source), file);
  };
  process.on('exit', () => {
    const counted = /** @type {any} */ (globalThis).__coverage__;
    if (counted === undefined) return;
    try {
      // Under another name until it is whole: a process may be killed while it writes.
      const file = path.join(folder, randomUUID());
      fs.writeFileSync(file, JSON.stringify(counted));
      fs.renameSync(file, `${file}.json`);
    } catch {
      // The folder of a test run that is over.
    }
  });
}
