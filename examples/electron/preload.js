'use strict';

/** All that the page has of Electron: four functions and a channel. Runs sandboxed, so it may require `electron` alone. */

const { contextBridge, ipcRenderer } = require('electron');

/** @type {import('./bridge').DigitsApp} */
const digitsApp = {
  connect: () => ipcRenderer.invoke('host:connect'),
  chooseWeights: () => ipcRenderer.invoke('weights:open'),
  chooseTarget: () => ipcRenderer.invoke('weights:save'),
  // The listener gets the text, never the event, through which it would reach ipcRenderer.
  onHostGone: (listener) => void ipcRenderer.on('host:gone', (_, why) => listener(String(why))),
};

contextBridge.exposeInMainWorld('digitsApp', digitsApp);

// Ports do not go through the context bridge; a message to the page's own window carries them.
ipcRenderer.on('host:port', ({ ports }) => window.postMessage('host:port', window.location.origin, [...ports]));
