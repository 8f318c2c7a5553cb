'use strict';

/** `npm start`: sets up what is missing, then trains a small DenseNet on the digits that ship with the package. */

const { runScript } = require('./report');
const { runInherited, setup } = require('./setup');

runScript(async () => {
  await setup();
  console.log();
  process.exitCode = await runInherited(['dist/cli/main.js', 'train', '--data', 'digits', ...process.argv.slice(2)]);
});
