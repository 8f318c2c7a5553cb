'use strict';

/**
 * Loaded first by every program while C++ is counted (NODE_OPTIONS): the first, which runs the tests, is counted; what the
 * programs that it starts count goes to the folder DENSENET_UNCOUNTED. The tests kill some of them, and one that is killed
 * while it writes its counts makes those of all unreadable.
 */

const first = (process.env['DENSENET_COUNTED'] ??= String(process.pid));
if (first !== String(process.pid)) process.env['GCOV_PREFIX'] = process.env['DENSENET_UNCOUNTED'];
