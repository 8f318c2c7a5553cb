'use strict';

/** The page's files by the addresses that it knows; there is nothing else under its scheme. */

const { readFile } = require('node:fs/promises');
const path = require('node:path');

const scheme = 'app';
const origin = `${scheme}://digits`;

const page = (name) => path.join(__dirname, 'page', name);
const uplot = (name) => path.join(path.dirname(require.resolve('uplot/package.json')), 'dist', name);

/** Address, then file and type. */
const files = new Map([
  ['/', [page('index.html'), 'text/html; charset=utf-8']],
  ['/style.css', [page('style.css'), 'text/css; charset=utf-8']],
  ['/app.mjs', [page('app.mjs'), 'text/javascript']],
  ['/curves.mjs', [page('curves.mjs'), 'text/javascript']],
  ['/pad.mjs', [page('pad.mjs'), 'text/javascript']],
  // The client as one module, which lies beside what require would get.
  [
    '/client.mjs',
    [path.join(path.dirname(require.resolve('libtorch-densenet/electron/client')), 'client.mjs'), 'text/javascript'],
  ],
  ['/uplot.mjs', [uplot('uPlot.esm.js'), 'text/javascript']],
  ['/uplot.css', [uplot('uPlot.min.css'), 'text/css; charset=utf-8']],
]);

/** Only the app's own files run, and nothing leaves the page. */
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/**
 * Answers a request of the page.
 *
 * @param {string} url
 * @returns {Promise<Response>}
 */
async function readPage(url) {
  const [file, type] = files.get(new URL(url).pathname) ?? [];
  if (file === undefined) return new Response('There is no such file.', { status: 404 });
  return new Response(await readFile(file), {
    headers: { 'content-type': type, 'content-security-policy': policy, 'x-content-type-options': 'nosniff' },
  });
}

module.exports = { origin, readPage, scheme };
