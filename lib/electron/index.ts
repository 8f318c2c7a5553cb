/**
 * The main process's part of a bridge: `libtorch-densenet/electron`. It starts and watches the process that holds the
 * models, connects pages with it, and grants them files. It loads nothing native.
 *
 * @module libtorch-densenet/electron
 */
export { DenseNetError, isDenseNetError, type ErrorCode } from '../errors';
export {
  HostProcess,
  type HostConnection,
  type HostExit,
  type HostProcessOptions,
  type UtilityProcess,
} from './host-process';
export { checkSender, type SenderFrame } from './sender';
export type { Access, Grant } from './types';
