import { DenseNetError } from '../errors';
import { damaged, type ByteSource } from './byte-source';
import type { PickleValue, StorageNode } from './pickle-values';
import { readSafetensors } from './safetensors';
import { legacyStart, readTorchLegacy } from './torch-legacy';
import { readTorchZip } from './torch-zip';

/** A file of weights, whatever its format: a tree of values with tensors in it, and where those lie. */
export interface Checkpoint {
  readonly format: 'safetensors' | 'torch zip' | 'legacy torch';
  /** Of safetensors a dictionary of the tensors; of torch's formats whatever was saved. */
  readonly root: PickleValue;
  /** Texts that this package or others keep beside the tensors. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The place of a storage's first byte in the file. */
  locate(storage: StorageNode): number;
  /** Checks the checksums of all storages that were located, where the format has them. */
  verify(): Promise<void>;
}

/**
 * Reads what a file of weights says of itself, never its tensors. Its first bytes decide what it is, not its name.
 *
 * @throws DenseNetError `ERR_FILE_FORMAT` when it is damaged, or is nothing that holds weights.
 */
export async function readCheckpoint(source: ByteSource): Promise<Checkpoint> {
  const start = await source.read(0, Math.min(source.size, 512));
  if (isZip(start)) return readTorchZip(source);
  if (start.subarray(0, legacyStart.length).equals(legacyStart.subarray(0, start.length)) && start.length > 1)
    return readTorchLegacy(source);
  if (start[8] === 0x7b) return readSafetensors(source);
  const kind = nameOther(start);
  if (kind !== undefined) throw new DenseNetError('ERR_FILE_FORMAT', `${source.name} is ${kind}`);
  throw damaged(source, 'safetensors, .pth or .pt', 'it begins like none of them');
}

/** "PK" and the mark of an entry, or of the end of an empty archive. */
function isZip(start: Buffer): boolean {
  return start.length >= 4 && [0x04034b50, 0x06054b50].includes(start.readUInt32LE());
}

/** What a file is that holds no weights, as the rest of a sentence that also says what to do. */
function nameOther(start: Buffer): string | undefined {
  const text = start.toString('latin1');
  if (text.startsWith('ustar', 257))
    return 'a tar archive, as torch wrote before 0.1.10; that layout is not read. Load it in Python with an old torch and save it again with torch.save(model.state_dict(), path).';
  if (start.length === 0) return 'empty; the download or the copy of it did not end.';
  if (text.startsWith('version https://git-lfs'))
    return "a pointer of Git LFS in the place of the file; get the file itself with 'git lfs pull'.";
  if (/^\s*<(!doctype|html|\?xml)/i.test(text)) return 'a web page and no file of weights; download it again.';
  if (text.startsWith('\x1f\x8b')) return 'packed with gzip; unpack it first.';
  if (text.startsWith('\x89HDF')) return 'an HDF5 file, as Keras writes; only PyTorch and safetensors files are read.';
  if (start[0] === 0x80 && (start[1] ?? 6) <= 5)
    return 'a plain pickle that torch.save did not write; save the weights with torch.save(model.state_dict(), path).';
  return undefined;
}
