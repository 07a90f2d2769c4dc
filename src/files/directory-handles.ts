/**
 * Ways to files below a directory that nobody can bend: each directory on a way is opened by its
 * name in the one before it, never through a link, and a file is named through the descriptor of
 * its directory. Whoever replaces a directory by a link gets an error out of it, and nothing else.
 *
 * Neighbours share what is open. Deeper than 64 directories, the upper ones are closed, and opened
 * again, step by step, when they are wanted; no path is too long or too deep.
 */
import { StoreError } from '../errors.ts';
import type { Files } from './files.ts';
import { isRelativePath, splitPath } from './relative-path.ts';

const MAX_OPEN_DIRECTORIES = 64;

/** A directory on the current way; undefined: closed, because too many are open below it. */
interface Level {
  readonly name: string;
  fd: number | undefined;
}

/** Opens directories below one that the caller has open, and keeps. */
export class DirectoryHandles {
  readonly #files: Files;
  readonly #root: number;
  /** From the root's child down. What is open is without gaps and ends at the last. */
  readonly #levels: Level[] = [];
  /** How many levels above are closed. */
  #closed = 0;
  /** Of the last level; undefined while that may not be open. */
  #path: Uint8Array | undefined = new Uint8Array(0);

  constructor(files: Files, rootFd: number) {
    this.#files = files;
    this.#root = rootFd;
  }

  /**
   * A path for system calls to what is, or will be, at `path`. Good until the next call.
   *
   * @throws StoreError CORRUPT for a path that is none of a tree; system errors, such as ENOENT,
   * and ENOTDIR where a link stands in the way.
   */
  inside(path: Uint8Array): Buffer {
    if (!isRelativePath(path)) refuse(path);
    const { parent, name } = splitPath(path);
    const prefix = `/proc/self/fd/${this.directory(parent)}/`;
    // Without a name, /proc/self/fd/N would be a link.
    const last = name.length === 0 ? '.' : latin1(name);
    return Buffer.from(prefix + last, 'latin1');
  }

  /** A descriptor of the directory at `path`, good until the next call. */
  directory(path: Uint8Array): number {
    if (this.#path === undefined || Buffer.compare(this.#path, path) !== 0) this.#enter(path);
    return this.#levels.at(-1)?.fd ?? this.#root;
  }

  #enter(path: Uint8Array): void {
    if (!isRelativePath(path)) refuse(path);
    const names = path.length === 0 ? [] : latin1(path).split('/');
    this.#path = undefined;
    let shared = 0;
    while (shared < names.length && this.#levels[shared]?.name === names[shared]) shared++;
    this.#leave(shared);
    // Nothing open is on the way: from the root, all again.
    if (this.#closed >= shared) this.#leave(0);
    for (let i = this.#levels.length; i < names.length; i++) this.#step(names[i]!);
    this.#path = path.slice();
  }

  #step(name: string): void {
    const above = this.#levels.at(-1)?.fd ?? this.#root;
    const place = Buffer.from(`/proc/self/fd/${above}/${name}`, 'latin1');
    const fd = this.#files.open(place, 'subdirectory');
    this.#levels.push({ name, fd });
    if (this.#levels.length - this.#closed > MAX_OPEN_DIRECTORIES) {
      this.#closeLevel(this.#levels[this.#closed]!);
      this.#closed += 1;
    }
  }

  /** Leaves all levels but the first `count`. */
  #leave(count: number): void {
    const left = this.#levels.splice(count);
    this.#closed = Math.min(this.#closed, count);
    for (const level of left) this.#closeLevel(level);
  }

  #closeLevel(level: Level): void {
    const { fd } = level;
    level.fd = undefined;
    if (fd !== undefined) this.#files.close(fd);
  }

  /** Closes what it has opened; it may be used again. */
  close(): void {
    this.#path = undefined;
    this.#leave(0);
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

function refuse(path: Uint8Array): never {
  const text = JSON.stringify(Buffer.from(path).toString());
  throw new StoreError('CORRUPT', `not a path in a tree: ${text}`);
}
