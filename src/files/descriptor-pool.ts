/**
 * Open descriptors for many immutable files, a bounded number at a time: the one that was used
 * longest ago is closed for the next. A descriptor is good until the next call of `use`.
 */
import type { Files } from './files.ts';

/** Keeps at most `limit` files open for reading. */
export class DescriptorPool {
  readonly #files: Files;
  readonly #limit: number;
  readonly #open = new Map<string, number>();

  constructor(files: Files, limit: number) {
    this.#files = files;
    this.#limit = limit;
  }

  /** A descriptor for reading `path`. */
  use(path: string): number {
    const known = this.#open.get(path);
    if (known !== undefined) {
      // A Map iterates in the order of insertion: moving to the end makes it the newest.
      this.#open.delete(path);
      this.#open.set(path, known);
      return known;
    }
    if (this.#open.size >= this.#limit) this.#closeOldest();
    const fd = this.#files.open(path, 'read');
    this.#open.set(path, fd);
    return fd;
  }

  #closeOldest(): void {
    for (const path of this.#open.keys()) {
      this.forget(path);
      return;
    }
  }

  /** Closes `path`, if it is open. */
  forget(path: string): void {
    const fd = this.#open.get(path);
    if (fd === undefined) return;
    this.#open.delete(path);
    this.#files.close(fd);
  }

  /** Closes everything. */
  close(): void {
    for (const path of [...this.#open.keys()]) this.forget(path);
  }
}
