'use strict';

/** Electron's `utilityProcess.fork`, made of a forked process of Node's: ports that are sent along are carried on its channel. */

const { fork } = require('node:child_process');
const { EventEmitter } = require('node:events');
const path = require('node:path');

/** @typedef {import('./ports').MessagePortMain} MessagePortMain */

/**
 * @typedef {object} Carried What goes over the channel: a message of the process's own, or one of a port.
 * @property {unknown} [message]
 * @property {number[]} [ports] The numbers of the ports that come with it.
 * @property {number} [port] The port that it is of.
 * @property {boolean} [closed]
 */

class UtilityProcess extends EventEmitter {
  #child;
  /** @type {Map<number, MessagePortMain>} */
  #ports = new Map();
  #next = 1;

  /** @param {string} file */
  constructor(file) {
    super();
    // Electron's utility processes are no children of a shell: nothing but the channel connects them.
    this.#child = fork(path.join(__dirname, 'utility-start.js'), [file], {
      serialization: 'advanced',
      execArgv: [],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child.on('message', (/** @type {Carried} */ { message, port, closed }) => {
      if (port === undefined) this.emit('message', message);
      else if (closed) this.#ports.get(port)?.close();
      else this.#ports.get(port)?.postMessage(message);
    });
    this.#child.on('exit', (code, signal) => {
      for (const port of this.#ports.values()) port.close();
      this.emit('exit', code ?? (signal === 'SIGKILL' ? 9 : 15));
    });
  }

  get pid() {
    return this.#child.pid;
  }

  /**
   * @param {unknown} message
   * @param {MessagePortMain[]} [transfer]
   */
  postMessage(message, transfer = []) {
    const ports = transfer.map((port) => {
      const id = this.#next++;
      this.#ports.set(id, port);
      port.on('message', ({ data }) => this.#send({ port: id, message: data }));
      port.on('close', () => this.#send({ port: id, closed: true }));
      return id;
    });
    this.#send({ message, ports });
    for (const port of transfer) port.start();
  }

  kill() {
    return this.#child.kill('SIGTERM');
  }

  /** @param {Carried} carried */
  #send(carried) {
    if (this.#child.connected) this.#child.send(carried, () => undefined);
  }
}

/** @param {string} file */
const forkUtility = (file) => new UtilityProcess(file);

module.exports = { forkUtility, UtilityProcess };
