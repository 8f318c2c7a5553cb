import { stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DenseNetError, toDenseNetError } from '../errors';
import { download, hashOf } from '../runtime/download';
import { cacheFolder } from '../runtime/locate';
import { makeCacheFolder } from '../runtime/writable';
import { checkBoolean, checkOneOf, checkOptions, checkSignal, invalidArgument } from '../validate';

/** Where torchvision's weights are. */
const PUBLIC_ADDRESS = 'https://download.pytorch.org/models/';

/** Bytes that a file of weights may have; the largest of torchvision's DenseNets has 116 MB. */
const MOST_WEIGHT_BYTES = 1_000_000_000;

/** torchvision's weights, trained on ImageNet; each name carries the first eight digits of the file's SHA-256. */
const files = {
  densenet121: 'densenet121-a639ec97.pth',
  densenet161: 'densenet161-8d451a50.pth',
  densenet169: 'densenet169-b2777c0a.pth',
  densenet201: 'densenet201-c1103571.pth',
} as const;

/** A variant for which there are pretrained weights. */
export type PretrainedName = keyof typeof files;

/** Every {@link PretrainedName}. */
export const pretrainedNames = Object.keys(files) as PretrainedName[];

/** Options of `DenseNet.fromPretrained`. */
export interface PretrainedOptions {
  /** Never touch the network: what is in no cache is an error. Default false. */
  offline?: boolean;
  /** The address of a folder that holds the files, in place of PyTorch's own; default `LIBTORCH_DENSENET_HUB`, if set. */
  mirror?: string;
  /** Told how many bytes there are, and of how many where the server says so. */
  onProgress?: (done: number, total: number | undefined) => void;
  /** Ends the download; the next one goes on from there. */
  signal?: AbortSignal;
}

/** The keys of {@link PretrainedOptions}. */
export const pretrainedKeys = ['offline', 'mirror', 'onProgress', 'signal'] as const;

/**
 * The path of a variant's pretrained weights: in the cache of torch's hub, in this package's own, or downloaded to that.
 *
 * @throws DenseNetError `ERR_DOWNLOAD` when they cannot be had, `ERR_INVALID_ARGUMENT`.
 */
export async function findPretrained(name: PretrainedName, options?: PretrainedOptions): Promise<string> {
  checkOneOf('name', name, pretrainedNames, 'ERR_UNKNOWN_VARIANT');
  return findFile(files[name], options);
}

/** {@link findPretrained} for any file whose name ends in the first eight digits of its SHA-256, `NAME-01234567.pth`. */
export async function findFile(file: string, options?: PretrainedOptions): Promise<string> {
  const { offline = false, mirror, onProgress, signal } = checkOptions('options', options, pretrainedKeys);
  checkBoolean('offline', offline);
  checkSignal('signal', signal);
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw invalidArgument('onProgress', 'a function', onProgress);
  const target = path.join(cacheFolder(), 'weights', file);
  const tried: string[] = [];
  for (const place of [path.join(torchHubFolder(), 'checkpoints', file), target]) {
    const fault = await lookAt(place, hashPrefix(file));
    if (fault === undefined) return place;
    tried.push(`  ${place} - ${fault}`);
  }
  if (offline)
    throw new DenseNetError(
      'ERR_DOWNLOAD',
      [
        `${file} is not on this machine, and offline: true forbids to download it.`,
        'Places tried, in order:',
        ...tried,
        `Call it once without offline, or put ${file} there.`,
      ].join('\n'),
    );
  const url = addressOf(file, mirror);
  try {
    await makeCacheFolder(path.dirname(target));
    await download({
      url,
      file: target,
      sha256: hashPrefix(file),
      limit: MOST_WEIGHT_BYTES,
      ...(onProgress && { progress: onProgress }),
      ...(signal && { signal }),
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw toDenseNetError(error, 'ERR_DOWNLOAD');
  }
  return target;
}

/** As torch.hub.get_dir finds it. */
function torchHubFolder(env = process.env): string {
  const cache = env['XDG_CACHE_HOME'] ?? path.join(env['HOME'] ?? os.homedir(), '.cache');
  return path.join(env['TORCH_HOME'] ?? path.join(cache, 'torch'), 'hub');
}

function hashPrefix(file: string): string {
  return /-([0-9a-f]{8})\.pth$/.exec(file)?.[1] as string;
}

/** Why a file is not the one that is wanted; nothing when it is. */
async function lookAt(place: string, prefix: string): Promise<string | undefined> {
  const found = await stat(place).catch(() => undefined);
  if (!found?.isFile()) return 'not there';
  const hash = await hashOf(place).catch(() => undefined);
  if (hash === undefined) return 'it cannot be read';
  return hash.startsWith(prefix) ? undefined : `its SHA-256 begins with ${hash.slice(0, 8)}, so it is damaged`;
}

function addressOf(file: string, mirror = process.env['LIBTORCH_DENSENET_HUB'] ?? PUBLIC_ADDRESS): string {
  const base = typeof mirror === 'string' && URL.canParse(mirror) ? new URL(mirror) : undefined;
  if (base === undefined || !['http:', 'https:'].includes(base.protocol))
    throw invalidArgument('mirror', 'an http or https address', mirror);
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  return new URL(file, base).href;
}
