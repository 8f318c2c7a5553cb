import { statfs } from 'node:fs/promises';

/** Bytes as a person reads them: `530 MB`, `2.4 GB`. */
export function formatBytes(bytes: number): string {
  return bytes < 999.5e6 ? `${Math.max(1, Math.round(bytes / 1e6))} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** What to do about a full disk. */
export const moreRoom = 'Make room, or set LIBTORCH_DENSENET_CACHE to a folder on a larger disk.';

/** What this user may still write to the disk of a folder. */
export async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
