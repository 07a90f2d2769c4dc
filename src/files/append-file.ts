/**
 * A new file that is written front to back through one buffer: many small writes become few big
 * ones of 1 MiB. Not durable until `sync`.
 */
import type { Files } from './files.ts';
import { writeAll } from './transfer.ts';

const BUFFER_BYTES = 1024 * 1024;

/** Appends to a file that it creates. */
export class AppendFile {
  readonly #files: Files;
  readonly #fd: number;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #buffered = 0;
  #flushed = 0;

  /** @throws a system error, such as EEXIST. */
  constructor(files: Files, path: string, mode = 0o600) {
    this.#files = files;
    this.#fd = files.open(path, 'create', mode);
  }

  /** Appends bytes; they are copied. */
  write(bytes: Uint8Array): void {
    if (this.#buffered + bytes.length > BUFFER_BYTES) this.#flush();
    if (bytes.length > BUFFER_BYTES) {
      writeAll(this.#files, this.#fd, bytes, this.#flushed);
      this.#flushed += bytes.length;
      return;
    }
    this.#buffer.set(bytes, this.#buffered);
    this.#buffered += bytes.length;
  }

  #flush(): void {
    writeAll(this.#files, this.#fd, this.#buffer.subarray(0, this.#buffered), this.#flushed);
    this.#flushed += this.#buffered;
    this.#buffered = 0;
  }

  /** Writes out what is buffered. */
  flush(): void {
    if (this.#buffered > 0) this.#flush();
  }

  /** Makes everything durable. A failed sync is final: begin anew. */
  sync(): void {
    this.flush();
    this.#files.sync(this.#fd);
  }

  /** Makes everything durable, and the file read-only. A failed sync is final: begin anew. */
  seal(): void {
    this.flush();
    this.#files.chmod(this.#fd, 0o400);
    this.#files.sync(this.#fd);
  }

  /** Closes the file, whether it is complete or not. */
  close(): void {
    this.#files.close(this.#fd);
  }
}
