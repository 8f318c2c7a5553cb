import { existsSync } from 'node:fs';

/** The Chromium of this machine, if it has one: tests that need a browser say so and pass over themselves without it. */
export const browser = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
