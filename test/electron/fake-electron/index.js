'use strict';

/**
 * What the example uses of Electron, with headless Chromium for its windows and forked processes of Node's for its utility
 * processes: so that main.js, preload.js, host.js and the page run as they are. It is no Electron: there is one world in the
 * page, and no sandbox. The test that forks it says what to do in the page, by messages.
 */

const { EventEmitter } = require('node:events');
const { readFile } = require('node:fs/promises');
const { MessageChannelMain } = require('./ports');
const { forkUtility } = require('./utility');
const wire = require('./wire');

/**
 * What is used of puppeteer-core, whose own types need a browser's.
 *
 * @typedef {object} Page
 * @property {(event: string, listener: (subject: any) => void) => void} on
 * @property {(on: boolean) => Promise<void>} setRequestInterception
 * @property {(name: string, call: (...args: any[]) => unknown) => Promise<void>} exposeFunction
 * @property {(code: string) => Promise<unknown>} evaluateOnNewDocument
 * @property {(code: string) => Promise<unknown>} evaluate
 * @property {(url: string) => Promise<unknown>} goto
 * @property {() => string} url
 * @property {(selector: string) => Promise<void>} click
 * @property {(options: { path: string }) => Promise<unknown>} screenshot
 * @property {(selector: string) => Promise<{ boundingBox(): Promise<{ x: number, y: number, width: number, height: number } | null> } | null>} $
 * @property {{ move(x: number, y: number, options?: { steps: number }): Promise<void>, down(): Promise<void>, up(): Promise<void> }} mouse
 */
/** @typedef {{ newPage(): Promise<Page>, close(): Promise<void> }} Browser */
/** @typedef {import('./ports').MessagePortMain} MessagePortMain */

/** @type {Map<string, (event: object, ...args: unknown[]) => unknown>} */
const handlers = new Map();
/** @type {Map<string, (request: Request) => Promise<Response>>} */
const schemes = new Map();
/** What the test asks about: how the app has set things. */
const seen = {
  /** @type {object[]} */ privileged: [],
  sandboxed: false,
  /** @type {object | undefined} */ preferences: undefined,
  /** @type {unknown} */ permission: undefined,
  /** @type {unknown} */ popup: undefined,
  /** @type {string[]} */ prevented: [],
  quit: false,
};

const app = Object.assign(new EventEmitter(), {
  enableSandbox: () => (seen.sandboxed = true),
  whenReady: () => Promise.resolve(),
  quit: () => (seen.quit = true),
  exit: (/** @type {number} */ code) => process.exit(code),
});

/** Electron's origin of the page, and the address that Chromium knows it by. */
const chromiumOrigin = 'http://digits.localhost';
let appOrigin = '';

/** A window: a page of Chromium's. */
class BrowserWindow extends EventEmitter {
  webContents = new WebContents();

  /** @param {{ webPreferences: { preload: string } }} options */
  constructor(options) {
    super();
    seen.preferences = options.webPreferences;
    this.preload = options.webPreferences.preload;
    app.emit('web-contents-created', {}, this.webContents);
  }

  /** @param {string} url */
  async loadURL(url) {
    const { protocol, host, pathname } = new URL(url);
    appOrigin = `${protocol}//${host}`;
    const driver = 'puppeteer-core';
    const { launch } = await import(driver);
    /** @type {Browser} */
    const browser = await launch({
      executablePath: /** @type {string} */ (process.env['CHROMIUM']),
      args: ['--no-sandbox', '--disable-gpu', '--force-color-profile=srgb', '--disable-dev-shm-usage'],
      defaultViewport: { width: 1160, height: 800 },
      pipe: true,
    });
    const page = await browser.newPage();
    await this.webContents.connect(page, await readFile(this.preload, 'utf8'));
    await page.goto(`${chromiumOrigin}${pathname}`);
    listenToTest(page, browser, this);
  }
}

class WebContents extends EventEmitter {
  /** @type {Page | undefined} */
  #page;
  /** @type {Map<number, MessagePortMain>} */
  #ports = new Map();

  /** @param {() => unknown} handler */
  setWindowOpenHandler(handler) {
    seen.popup = handler();
  }

  /**
   * Gives a page the app's files, and the preload script its `electron`.
   *
   * @param {Page} page
   * @param {string} preload
   */
  async connect(page, preload) {
    this.#page = page;
    page.on('console', (message) => console.log(`page: ${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => console.log(`page: error: ${error}`));
    await page.setRequestInterception(true);
    page.on('request', async (request) => {
      const url = request.url();
      if (!url.startsWith(chromiumOrigin)) return request.abort();
      const answer = schemes.get(new URL(appOrigin).protocol.slice(0, -1));
      const response = await answer?.(new Request(url.replace(chromiumOrigin, appOrigin)));
      await request.respond({
        status: response?.status ?? 404,
        headers: Object.fromEntries(response?.headers ?? []),
        body: Buffer.from((await response?.arrayBuffer()) ?? new ArrayBuffer(0)),
      });
    });
    await page.exposeFunction('fakeInvoke', async (/** @type {string} */ text) => {
      const { channel, args } = /** @type {{ channel: string, args: unknown[] }} */ (wire.decode(text));
      return wire.encode(await this.invoke(channel, args, page.url().replace(chromiumOrigin, appOrigin), null));
    });
    await page.exposeFunction('fakePost', (/** @type {number} */ id, /** @type {string} */ text) =>
      this.#ports.get(id)?.postMessage(wire.decode(text)),
    );
    const glue = `const wire = (${wire.make})();\n(${glueOfPage})(wire, (require, window) => {\n${preload}\n});`;
    await page.evaluateOnNewDocument(`{\n${glue}\n}`);
  }

  /**
   * What `ipcRenderer.invoke` comes to: a value, or an error's text.
   *
   * @param {string} channel
   * @param {unknown[]} args
   * @param {string} url Of the frame that asks.
   * @param {object | null} parent Of that frame.
   */
  async invoke(channel, args, url, parent) {
    const senderFrame = {
      url,
      parent,
      postMessage: (
        /** @type {string} */ name,
        /** @type {unknown} */ message,
        /** @type {MessagePortMain[]} */ ports,
      ) => this.#deliver(name, message, ports),
    };
    try {
      return { value: await handlers.get(channel)?.({ sender: this, senderFrame }, ...args) };
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) };
    }
  }

  /**
   * @param {string} channel
   * @param {unknown[]} args
   */
  send(channel, ...args) {
    void this.#run('fakeReceive', channel, wire.encode(args), []);
  }

  /**
   * @param {string} channel
   * @param {unknown} message
   * @param {MessagePortMain[]} ports
   */
  #deliver(channel, message, ports) {
    const ids = ports.map((port) => {
      const id = this.#ports.size + 1;
      this.#ports.set(id, port);
      port.on('message', ({ data }) => void this.#run('fakeToPort', id, wire.encode(data)));
      port.on('close', () => void this.#run('fakeClosePort', id));
      return id;
    });
    void this.#run('fakeReceive', channel, wire.encode([message]), ids).then(() =>
      ports.forEach((port) => port.start()),
    );
  }

  /**
   * Calls one of the page's functions.
   *
   * @param {string} name
   * @param {unknown[]} args
   */
  async #run(name, ...args) {
    // The page may be gone by now.
    await this.#page?.evaluate(`window[${JSON.stringify(name)}](...${JSON.stringify(args)})`).catch(() => undefined);
  }
}

/** Runs in the page: `electron` for the preload script. As text, so that it needs nothing from here. */
const glueOfPage = `(wire, preload) => {
  const listeners = new Map();
  const ports = new Map();
  const ipcRenderer = {
    async invoke(channel, ...args) {
      const { value, error } = wire.decode(await window.fakeInvoke(wire.encode({ channel, args })));
      if (error !== undefined) throw new Error("Error invoking remote method '" + channel + "': " + error);
      return value;
    },
    on(channel, listener) {
      listeners.set(channel, [...(listeners.get(channel) ?? []), listener]);
      return ipcRenderer;
    },
  };
  const contextBridge = {
    exposeInMainWorld: (name, api) => Object.defineProperty(window, name, { value: Object.freeze(api) }),
  };
  window.fakeReceive = (channel, text, ids) => {
    const ends = ids.map((id) => {
      const { port1, port2 } = new MessageChannel();
      ports.set(id, port1);
      port1.onmessage = ({ data }) => window.fakePost(id, wire.encode(data));
      return port2;
    });
    for (const listener of listeners.get(channel) ?? []) listener({ ports: ends }, ...wire.decode(text));
  };
  window.fakeToPort = (id, text) => ports.get(id).postMessage(wire.decode(text));
  window.fakeClosePort = (id) => ports.get(id).close();
  preload((name) => {
    if (name === 'electron') return { contextBridge, ipcRenderer };
    throw new Error('a sandboxed preload script cannot require ' + name);
  }, window);
}`;

/** @type {import('./utility').UtilityProcess[]} */
const utilities = [];

/** @type {(string | null)[]} What the next dialogs are answered with; null for a dialog that is closed. */
const chosen = [];

/**
 * Does what the test says, one thing after the other.
 *
 * @param {Page} page
 * @param {Browser} browser
 * @param {BrowserWindow} window
 */
function listenToTest(page, browser, window) {
  /** @type {Record<string, (...args: any[]) => unknown>} */
  const commands = {
    evaluate: (/** @type {string} */ code) => page.evaluate(code),
    click: (/** @type {string} */ selector) => page.click(selector),
    fill: (/** @type {string} */ selector, /** @type {string} */ text) =>
      page.evaluate(`document.querySelector(${JSON.stringify(selector)}).value = ${JSON.stringify(text)}`),
    screenshot: (/** @type {string} */ file) => page.screenshot({ path: file }).then(() => null),
    choose: (/** @type {string | null} */ file) => chosen.push(file),
    invokeFrom: (/** @type {string} */ url, /** @type {boolean} */ inside, /** @type {string} */ channel) =>
      window.webContents.invoke(channel, [], url, inside ? {} : null),
    killHost: () => process.kill(/** @type {number} */ (utilities.at(-1)?.pid), 'SIGKILL'),
    hosts: () => utilities.length,
    seen: () => seen,
    prevent() {
      for (const event of ['will-navigate', 'will-attach-webview'])
        window.webContents.emit(event, { preventDefault: () => seen.prevented.push(event) });
    },
    async draw(/** @type {[number, number][]} */ points) {
      const box = await (await page.$('#pad'))?.boundingBox();
      if (!box) throw new Error('there is no pad');
      const [[x, y] = [0, 0], ...rest] = points.map(([across, down]) => [
        box.x + across * box.width,
        box.y + down * box.height,
      ]);
      await page.mouse.move(/** @type {number} */ (x), /** @type {number} */ (y));
      await page.mouse.down();
      for (const [across, down] of rest)
        await page.mouse.move(/** @type {number} */ (across), /** @type {number} */ (down), { steps: 4 });
      await page.mouse.up();
    },
    async close() {
      await browser.close();
      window.emit('closed');
      app.emit('window-all-closed');
    },
  };
  process.on('message', async (/** @type {{ id: number, name: string, args: unknown[] }} */ { id, name, args }) => {
    try {
      process.send?.({ id, value: await commands[name]?.(...args) });
    } catch (error) {
      process.send?.({ id, error: String(error) });
    }
  });
  process.send?.({ id: 0 });
}

const answerDialog = () => {
  const file = chosen.shift() ?? null;
  return Promise.resolve({ canceled: file === null, filePath: file, filePaths: file === null ? [] : [file] });
};

module.exports = {
  app,
  BrowserWindow,
  dialog: { showOpenDialog: answerDialog, showSaveDialog: answerDialog },
  ipcMain: {
    handle: (/** @type {string} */ channel, /** @type {(event: object, ...args: unknown[]) => unknown} */ handler) =>
      handlers.set(channel, handler),
  },
  MessageChannelMain,
  protocol: {
    registerSchemesAsPrivileged: (/** @type {object[]} */ list) => (seen.privileged = list),
    handle: (/** @type {string} */ scheme, /** @type {(request: Request) => Promise<Response>} */ handler) =>
      schemes.set(scheme, handler),
  },
  session: {
    defaultSession: {
      setPermissionRequestHandler: (
        /** @type {(contents: object, permission: string, answer: (given: boolean) => void) => void} */ handler,
      ) => handler({}, 'camera', (given) => (seen.permission = given)),
    },
  },
  utilityProcess: {
    fork(/** @type {string} */ file) {
      const utility = forkUtility(file);
      utilities.push(utility);
      return utility;
    },
  },
};
