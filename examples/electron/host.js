'use strict';

/** The utility process: it holds the model, and serves the page over the channel that the main process gives it. */

const { serveHost } = require('libtorch-densenet/electron/host');

// The digits need far less than the library's own limits; a page that was taken over shall have no more than that.
serveHost(undefined, { limits: { models: 2, modelValues: 5_000_000, bytes: 64 * 2 ** 20 } });
