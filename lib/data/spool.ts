import { open, rm, type FileHandle } from 'node:fs/promises';
import { DenseNetError, reasonOf } from '../errors';

/** Bytes that are gathered before they are written: small images would otherwise cost a call each. */
const PIECE = 1 << 20;

/** Writes images of one length one after another into a file, so that any of them can be read again. */
export class SpoolWriter {
  readonly #path: string;
  readonly #file: FileHandle;
  #waiting: Uint8Array[] = [];
  #bytes = 0;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /**
   * @param path A file that is there is replaced.
   * @throws DenseNetError `ERR_FILE`.
   */
  static async create(path: string): Promise<SpoolWriter> {
    try {
      return new SpoolWriter(path, await open(path, 'w'));
    } catch (error) {
      throw cannotWrite(path, error);
    }
  }

  /** @param image Must not change afterwards. */
  async append({ buffer, byteOffset, byteLength }: Uint8Array | Float32Array): Promise<void> {
    this.#waiting.push(new Uint8Array(buffer, byteOffset, byteLength));
    this.#bytes += byteLength;
    if (this.#bytes >= PIECE) await this.#flush();
  }

  async finish(): Promise<void> {
    await this.#flush();
    await this.#file.close();
  }

  /** Removes the file, which is of no use. */
  async discard(): Promise<void> {
    await this.#file.close();
    await rm(this.#path, { force: true });
  }

  async #flush(): Promise<void> {
    const piece = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#bytes = 0;
    try {
      await this.#file.appendFile(piece);
    } catch (error) {
      throw cannotWrite(this.#path, error);
    }
  }
}

/**
 * Reads an image of a file that a {@link SpoolWriter} wrote.
 *
 * @param into What it is read into; its length is an image's.
 * @throws DenseNetError `ERR_FILE`, also where the file became shorter.
 */
export async function readSpooled<Values extends Uint8Array | Float32Array>(
  path: string,
  index: number,
  into: Values,
): Promise<Values> {
  const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    for (let done = 0; done < bytes.length;) {
      const { bytesRead } = await file.read(bytes, done, bytes.length - done, index * bytes.length + done);
      if (bytesRead === 0) throw new Error('it is shorter than it was when it was written');
      done += bytesRead;
    }
    return into;
  } catch (error) {
    throw new DenseNetError(
      'ERR_FILE',
      `image ${index} cannot be read from the spool ${path}: ${reasonOf(error)}. Leave the file alone while the data set is in use.`,
      { cause: error },
    );
  } finally {
    await file?.close();
  }
}

function cannotWrite(path: string, error: unknown): DenseNetError {
  return new DenseNetError(
    'ERR_FILE',
    `the spool ${path} cannot be written: ${reasonOf(error)}. Check the folder, its permissions, and how much is free.`,
    { cause: error },
  );
}
