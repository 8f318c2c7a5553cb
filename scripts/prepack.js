'use strict';

/** What npm runs before it packs: everything compiled, and the addon of this platform in prebuilds/. */

const { prebuildIfNeeded } = require('./prebuild');
const { runScript } = require('./report');

// npm prints what the packing script prints before its own result, so with --json nothing may go to stdout.
if (process.env['npm_config_json'] === 'true') console.log = console.error;

runScript(prebuildIfNeeded);
