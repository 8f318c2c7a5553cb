import type { Access, Grant } from './types';

// What the main process and the host say to each other. Pages have no part in it.

/** To the host; `connect` comes with the client's port. */
export type ToHost =
  | { type: 'connect'; session: number }
  | { type: 'disconnect'; session: number }
  | { type: 'grant'; session: number; grant: Grant; path: string; access: Access }
  | { type: 'revoke'; session: number; grant: Grant };

/** From the host: the grant holds from now on. */
export interface FromHost {
  type: 'granted';
  grant: Grant;
}
