'use strict';

/** Electron's MessageChannelMain, as far as the bridge uses it: clones, keeps messages until `start`, tells of the end. */

const { EventEmitter } = require('node:events');

class MessagePortMain extends EventEmitter {
  /** @type {MessagePortMain | undefined} */
  peer;
  /** @type {unknown[] | undefined} Messages that came before `start`. */
  #waiting = [];
  #open = true;

  /** @param {unknown} message */
  postMessage(message) {
    if (!this.#open) return;
    const data = structuredClone(message);
    setImmediate(() => this.peer?.deliver(data));
  }

  /** @param {unknown} data */
  deliver(data) {
    if (this.#waiting !== undefined) this.#waiting.push(data);
    else this.emit('message', { data, ports: [] });
  }

  start() {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const data of waiting) this.deliver(data);
  }

  close() {
    if (!this.#open) return;
    this.#open = false;
    setImmediate(() => this.peer?.cut());
  }

  /** The other end is gone. */
  cut() {
    if (!this.#open) return;
    this.#open = false;
    this.emit('close');
  }
}

class MessageChannelMain {
  port1 = new MessagePortMain();
  port2 = new MessagePortMain();

  constructor() {
    this.port1.peer = this.port2;
    this.port2.peer = this.port1;
  }
}

module.exports = { MessageChannelMain, MessagePortMain };
