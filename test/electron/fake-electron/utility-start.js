'use strict';

/** The beginning of a utility process: `process.parentPort` as Electron gives it, then the app's own file. */

const { EventEmitter } = require('node:events');
const { MessageChannelMain } = require('./ports');

/** @type {Map<number, import('./ports').MessagePortMain>} Our ends of the ports that were sent here. */
const ports = new Map();

/** @param {import('./utility').Carried} carried */
const send = (carried) => process.connected && process.send?.(carried, undefined, undefined, () => undefined);

const parentPort = Object.assign(new EventEmitter(), {
  postMessage: (/** @type {unknown} */ message) => send({ message }),
});

/** @param {number} id */
function receivePort(id) {
  const { port1, port2 } = new MessageChannelMain();
  ports.set(id, port1);
  port1.on('message', ({ data }) => send({ port: id, message: data }));
  port1.on('close', () => send({ port: id, closed: true }));
  port1.start();
  return port2;
}

process.on('message', (/** @type {import('./utility').Carried} */ { message, ports: ids = [], port, closed }) => {
  if (port === undefined) parentPort.emit('message', { data: message, ports: ids.map(receivePort) });
  else if (closed) ports.get(port)?.close();
  else ports.get(port)?.postMessage(message);
});
process.on('disconnect', () => process.exit(0));

Object.assign(process, { parentPort });
require(/** @type {string} */ (process.argv[2]));
