/**
 * Files in a private directory that an archive is unpacked into: with names of our own, or names
 * of images, which were checked.
 */
import { AppendFile } from '../files/append-file.ts';
import type { FilePath, Files } from '../files/files.ts';
import { readUpTo, writeAll } from '../files/transfer.ts';
import { StoreError } from '../errors.ts';
import type { SourcePlace } from '../tree/entry.ts';

const READ_BYTES = 256 * 1024;
/** Chunks between two times that timers and signals get their turn. */
const CHUNKS_A_TURN = 16;

/** One file for the contents of many small members, one after another. */
export class SpillFile {
  readonly path: string;
  readonly #file: AppendFile;
  #sizeBytes = 0;

  constructor(files: Files, path: string) {
    this.path = path;
    this.#file = new AppendFile(files, path);
  }

  /** Where what is written next will lie. */
  get place(): SourcePlace {
    return { path: this.path, offset: this.#sizeBytes };
  }

  /** Bytes written so far. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Appends bytes; they are copied. */
  write(bytes: Uint8Array): void {
    this.#file.write(bytes);
    this.#sizeBytes += bytes.length;
  }

  /** Makes what was written readable by others. */
  flush(): void {
    this.#file.flush();
  }

  /** Closes it. What was not flushed is lost. */
  close(): void {
    this.#file.close();
  }
}

/** A file of its own for one member, without a buffer: there may be very many of them. */
export class MemberFile {
  readonly #files: Files;
  readonly #fd: number;
  #sizeBytes = 0;

  constructor(files: Files, path: FilePath, mode = 0o600) {
    this.#files = files;
    this.#fd = files.open(path, 'create', 0o600);
    if (mode === 0o600) return;
    try {
      // The umask takes no part in it.
      files.chmod(this.#fd, mode);
    } catch (error) {
      files.close(this.#fd);
      throw error;
    }
  }

  /** Appends bytes. */
  write(bytes: Uint8Array): void {
    writeAll(this.#files, this.#fd, bytes, this.#sizeBytes);
    this.#sizeBytes += bytes.length;
  }

  /** Closes it. */
  close(): void {
    this.#files.close(this.#fd);
  }
}

/** Reads bytes that were spilled. */
export function readSpilled(files: Files, place: SourcePlace, sizeBytes: number): Uint8Array {
  const fd = files.open(place.path, 'read');
  try {
    const bytes = new Uint8Array(sizeBytes);
    if (readUpTo(files, fd, bytes, place.offset) === sizeBytes) return bytes;
    throw new StoreError('STORAGE', 'an unpacked file is too short', { file: place.path });
  } finally {
    files.close(fd);
  }
}

/** The bytes of a spilled file. Each chunk is valid until the next is asked for. */
export async function* spilledChunks(files: Files, path: string): AsyncGenerator<Uint8Array, void> {
  const fd = files.open(path, 'read');
  try {
    const buffer = new Uint8Array(READ_BYTES);
    let position = 0;
    for (let chunks = 1; ; chunks++) {
      const length = readUpTo(files, fd, buffer, position);
      if (length === 0) return;
      position += length;
      yield buffer.subarray(0, length);
      if (chunks % CHUNKS_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    files.close(fd);
  }
}
