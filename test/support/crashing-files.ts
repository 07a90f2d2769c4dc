/**
 * A door to the file system that remembers everything that changes below one directory, in order,
 * and what SQLite's files held before each change: SQLite does not go through the door.
 *
 * A disk (disk-model.ts) plays the record again, and knows what a power cut may leave of it. What
 * this door cannot follow, it refuses, so that no change goes unnoticed.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';

/** Where a step of the test begins, or has been acknowledged. */
export interface Mark {
  readonly kind: 'prepare' | 'begin' | 'end';
  readonly step: number;
}

/** A change; paths are relative to the directory, files are numbers given when they are opened. */
export type DiskEvent =
  | { readonly kind: 'create'; path: string; file: number; mode: number; inode: bigint }
  | { readonly kind: 'open'; path: string; file: number }
  | { readonly kind: 'write'; file: number; offset: number; bytes: Buffer }
  | { readonly kind: 'truncate'; file: number; sizeBytes: number }
  | { readonly kind: 'chmod'; file: number; mode: number }
  | { readonly kind: 'sync'; file: number }
  | { readonly kind: 'syncAll' }
  | { readonly kind: 'mkdir'; path: string; mode: number }
  | { readonly kind: 'rename' | 'link'; path: string; to: string }
  | { readonly kind: 'unlink' | 'rmdir' | 'removeTree'; path: string }
  | { readonly kind: 'copy'; path: string; bytes: Buffer }
  | Mark;

/** What a database and its -wal hold. */
export interface DatabaseBytes {
  readonly main: Buffer;
  readonly wal: Buffer | undefined;
}

/** The databases by the numbers of their inodes. */
export type Databases = ReadonlyMap<bigint, DatabaseBytes>;

/** A change, and what SQLite's files held right before it. */
export interface RecordedEvent {
  readonly event: DiskEvent;
  readonly databases: Databases;
}

/** Calls that change nothing that is on a disk. */
const READS: readonly (keyof Files)[] = [
  ...([
    'close',
    'read',
    'stat',
    'lstat',
    'inspect',
    'inspectNames',
    'inspectOpen',
    'list',
    'entries',
  ] as const),
  ...(['readlink', 'realpath', 'space', 'openRegular', 'xattrs', 'dataRuns'] as const),
  'makeTemporaryDirectory',
];

/** Records all changes below a directory, which must not be used without this door. */
export class CrashingFiles {
  readonly files: Files;
  readonly events: RecordedEvent[] = [];
  readonly #prefix: string;
  /** Of the descriptors of the library: the numbers under which they were recorded. */
  readonly #open = new Map<number, number>();
  #nextFile = 1;
  readonly #watched = new Map<bigint, { readonly fd: number; path: string }>();
  #last: Databases = new Map();

  constructor(directory: string) {
    this.#prefix = `${directory}/`;
    const wrapped = Object.keys(nodeFiles).map((name): [string, unknown] => [
      name,
      (...values: unknown[]) => this.#call(name as keyof Files, values),
    ]);
    this.files = Object.fromEntries(wrapped) as unknown as Files;
  }

  /** Says that a step of the test begins, or that it has been acknowledged. */
  mark(kind: Mark['kind'], step: number): void {
    this.#record({ kind, step }, this.#databases());
  }

  /** Ends the record; the store must have been closed: this drops the locks of its files. */
  close(): void {
    for (const { fd } of this.#watched.values()) closeSync(fd);
  }

  #record(event: DiskEvent | undefined, databases: Databases): void {
    if (event !== undefined) this.events.push({ event, databases });
  }

  #call(name: keyof Files, values: readonly unknown[]): unknown {
    const databases = READS.includes(name) ? this.#last : this.#databases();
    const result = (nodeFiles[name] as (...all: readonly unknown[]) => unknown)(...values);
    this.#record(this.#eventOf(name, values, result), databases);
    return result;
  }

  #eventOf(name: keyof Files, values: readonly unknown[], result: unknown): DiskEvent | undefined {
    const [first, second, third] = values;
    if (name === 'open') return this.#opened(first, second, third, result as number);
    if (name === 'close') this.#open.delete(first as number);
    if (READS.includes(name)) return undefined;
    if (typeof first === 'number') return this.#changeOf(name, first, second, third, result);
    const path = this.#inside(first);
    const to = name === 'setMode' ? undefined : this.#inside(second);
    if (name === 'copyApart') {
      if (to === undefined) return undefined;
      return { kind: 'copy', path: to, bytes: readFileSync(this.#prefix + to) };
    }
    if (path === undefined && to === undefined) return undefined;
    if (path === undefined) throw new Error(`${name} from elsewhere cannot be followed`);
    if (name === 'mkdir')
      return { kind: name, path, mode: (second as number | undefined) ?? 0o700 };
    if (name === 'unlink' || name === 'rmdir' || name === 'removeTree') return { kind: name, path };
    if ((name !== 'rename' && name !== 'link') || to === undefined) {
      throw new Error(`${name} of ${path} cannot be followed`);
    }
    for (const database of this.#watched.values()) {
      // A catalog gets its place by a link: it is opened under its last name.
      if (database.path === path) database.path = to;
    }
    return { kind: name, path, to };
  }

  #opened(at: unknown, how: unknown, mode: unknown, fd: number): DiskEvent | undefined {
    this.#open.delete(fd);
    const path = this.#inside(at);
    if (path === undefined) return undefined;
    const file = this.#nextFile++;
    this.#open.set(fd, file);
    if (how !== 'create') return { kind: 'open', path, file };
    const inode = fstatSync(fd, { bigint: true }).ino;
    if (path.endsWith('.sqlite')) {
      this.#watched.set(inode, { fd: openSync(this.#prefix + path, 'r'), path });
    }
    return { kind: 'create', path, file, mode: (mode as number | undefined) ?? 0o600, inode };
  }

  #changeOf(
    name: keyof Files,
    fd: number,
    value: unknown,
    position: unknown,
    result: unknown,
  ): DiskEvent | undefined {
    const file = this.#open.get(fd);
    if (file === undefined) return undefined;
    if (name === 'write') {
      const bytes = Buffer.from((value as Uint8Array).subarray(0, result as number));
      return { kind: 'write', file, offset: position as number, bytes };
    }
    if (name === 'truncate') return { kind: 'truncate', file, sizeBytes: value as number };
    if (name === 'chmod') return { kind: 'chmod', file, mode: value as number };
    if (name === 'sync' || name === 'dataSync') return { kind: 'sync', file };
    if (name === 'syncFileSystem') return { kind: 'syncAll' };
    throw new Error(`${name} cannot be followed`);
  }

  /** A path below the directory, relative to it; empty for the directory itself. */
  #inside(path: unknown): string | undefined {
    if (typeof path !== 'string' && !Buffer.isBuffer(path)) return undefined;
    const text = path.toString();
    if (`${text}/` === this.#prefix) return '';
    return text.startsWith(this.#prefix) ? text.slice(this.#prefix.length) : undefined;
  }

  #databases(): Databases {
    const now = new Map<bigint, DatabaseBytes>();
    let isSame = this.#last.size === this.#watched.size;
    for (const [inode, { fd, path }] of this.#watched) {
      const last = this.#last.get(inode);
      // Never closed before the end: that would drop SQLite's locks. A -wal has none.
      const main = shared(readAll(fd), last?.main);
      const wal = shared(readIfThere(`${this.#prefix}${path}-wal`), last?.wal);
      isSame &&= main === last?.main && wal === last?.wal;
      now.set(inode, { main: main ?? Buffer.alloc(0), wal });
    }
    if (!isSame) this.#last = now;
    return this.#last;
  }
}

function shared(now: Buffer | undefined, last: Buffer | undefined): Buffer | undefined {
  return last !== undefined && now?.equals(last) === true ? last : now;
}

function readAll(fd: number): Buffer {
  const bytes = Buffer.alloc(fstatSync(fd).size);
  return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0));
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
