'use strict';

/**
 * The main process: it opens the window, starts the process that holds the model, and brings the two together. It never
 * touches a tensor, and it takes no path from the page.
 */

const path = require('node:path');
const {
  app,
  BrowserWindow,
  dialog,
  ipcMain,
  MessageChannelMain,
  protocol,
  session,
  utilityProcess,
} = require('electron');
const { HostProcess, checkSender } = require('libtorch-densenet/electron');
const { origin, readPage, scheme } = require('./pages');

// Both before the app is ready: the page gets an origin of its own, and no page a process without a sandbox.
protocol.registerSchemesAsPrivileged([{ scheme, privileges: { standard: true, secure: true } }]);
app.enableSandbox();

/** @type {import('electron').BrowserWindow | undefined} */
let window;

/** @type {import('libtorch-densenet/electron').HostConnection | undefined} The page's, while the host lives. */
let connection;

const host = new HostProcess(
  () => utilityProcess.fork(path.join(__dirname, 'host.js'), [], { serviceName: 'DenseNet host' }),
  {
    onGone({ code, stopped }) {
      connection = undefined;
      if (!stopped) window?.webContents.send('host:gone', `it ended with code ${code}`);
    },
  },
);

const weights = [{ name: 'Weights', extensions: ['safetensors'] }];

/** What the page may ask of this process; each is for the app's own page alone. */
const requests = {
  /** Connects the page with the host, which is started if it does not run. The page gets its end of the channel. */
  'host:connect': (event) => {
    connection?.disconnect();
    const { port1, port2 } = new MessageChannelMain();
    connection = host.connect(port1);
    event.senderFrame.postMessage('host:port', null, [port2]);
  },
  'weights:open': async () => {
    const { canceled, filePaths } = await dialog.showOpenDialog(window, {
      properties: ['openFile'],
      filters: weights,
    });
    return canceled ? null : grant(filePaths[0], 'read');
  },
  'weights:save': async () => {
    const { canceled, filePath } = await dialog.showSaveDialog(window, {
      defaultPath: 'digits.safetensors',
      filters: weights,
    });
    return canceled ? null : grant(filePath, 'write');
  },
};

/** What the page gets instead of the path that a person has chosen. */
async function grant(file, access) {
  if (connection === undefined) throw new Error('the host is gone');
  return connection.grant(file, access);
}

for (const [channel, answer] of Object.entries(requests))
  ipcMain.handle(channel, (event) => {
    checkSender(event, [origin]);
    return answer(event);
  });

// The page is the app's own, and stays it: no other page, window, embedded page or permission.
app.on('web-contents-created', (_, contents) => {
  contents.setWindowOpenHandler(() => ({ action: 'deny' }));
  for (const event of ['will-navigate', 'will-attach-webview'])
    contents.on(event, (attempt) => attempt.preventDefault());
});

async function open() {
  await app.whenReady();
  protocol.handle(scheme, (request) => readPage(request.url));
  session.defaultSession.setPermissionRequestHandler((_, __, answer) => answer(false));
  window = new BrowserWindow({
    width: 1160,
    height: 800,
    backgroundColor: '#f6f5f2',
    webPreferences: {
      preload: path.join(__dirname, 'preload.js'),
      contextIsolation: true,
      sandbox: true,
      nodeIntegration: false,
      webviewTag: false,
    },
  });
  window.on('closed', () => (window = undefined));
  await window.loadURL(`${origin}/`);
}

app.on('window-all-closed', async () => {
  await host.stop();
  app.quit();
});

open().catch((error) => {
  console.error(error);
  app.exit(1);
});
