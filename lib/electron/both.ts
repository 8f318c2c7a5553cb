// What both sides of a bridge give out: how to hold their ends of the channel, and what goes over it.

export {
  overMessagePort,
  overMessagePortMain,
  overProcess,
  overWorkerPort,
  type BridgePort,
  type MainPort,
  type PagePort,
  type ProcessPort,
  type WorkerPort,
} from './port';
export type * from './types';
export type { ErrorCode } from '../errors';
