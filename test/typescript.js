'use strict';

/** Lets `require` read TypeScript, as jest does for the tests, in programs that run without jest and without a build. */

const { readFileSync } = require('node:fs');
const swc = require('@swc/core');

/**
 * @param {{ _compile(code: string, file: string): void }} module
 * @param {string} file
 */
function loadTypeScript(module, file) {
  const { code } = swc.transformSync(readFileSync(file, 'utf8'), {
    filename: file,
    sourceMaps: 'inline',
    jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    module: { type: 'commonjs' },
  });
  module._compile(code, file);
}

require.extensions['.ts'] = /** @type {any} */ (loadTypeScript);
