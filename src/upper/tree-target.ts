/**
 * Puts a tree in place in an empty directory that nobody else can enter. Directories come before
 * what is in them, and a file before more names of it; everything is made with rights for its maker
 * alone, and gets what it had when it is finished.
 *
 * Finishing goes owner, attributes, mode, times, because a change of the owner takes setuid and
 * security.capability away, and each change sets a time. Directories are finished at the end,
 * deepest first: what is made in them changes their times.
 *
 * No path leads out, whatever it is: all go through descriptors of directories.
 */
import { storageError, StoreError, systemCode } from '../errors.ts';
import { DirectoryHandles } from '../files/directory-handles.ts';
import type { FilePath, Files, NodeFacts } from '../files/files.ts';
import type { TreeNode } from '../tree/entry.ts';
import { SkippedList, type SkippedPart } from './skipped.ts';
import { checkNode, checkPath } from './tree-node-check.ts';

/** Where a tree goes, and what is to be done without the right to make all of it. */
export interface TreeTargetOptions {
  readonly files: Files;
  /** The open directory, which stays the caller's. */
  readonly rootFd: number;
  /** Its path, for errors. */
  readonly rootPath: string;
  /** Whether to fail where a right is missing, or to go on without and to list it. */
  readonly privileges: 'require' | 'skip';
}

const SETUID_AND_SETGID = 0o6000;

const ACCESS_LIST_PREFIX = 'system.posix_acl_';
/** Version 2, without entries: the kernel takes the list away. */
const EMPTY_ACCESS_LIST = Uint8Array.of(2, 0, 0, 0);

/** What the system says for want of a right, or of a file system that could. */
const MISSING_RIGHTS: readonly unknown[] = ['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP'];

/** What it takes. */
const RIGHTS = {
  owner: 'setting an owner needs CAP_CHOWN',
  device: 'making a device needs CAP_MKNOD',
  xattr: 'setting the attribute needs CAP_SYS_ADMIN, or a file system that has attributes',
} as const;

/** A tree in the making. After an error it is in no known state: remove it. */
export class TreeTarget {
  /** What is not as it was: sockets, and with `skip` what rights were missing for. */
  readonly skipped: SkippedList = new SkippedList();
  readonly #files: Files;
  readonly #rootPath: string;
  readonly #mustHaveRights: boolean;
  readonly #handles: DirectoryHandles;
  /** Of the files that get more names: two paths at a time must stay good. */
  readonly #targets: DirectoryHandles;
  readonly #directories: TreeNode[] = [];
  /** Latin1 paths of what was skipped as a whole: no more than there are sockets and devices. */
  readonly #absent = new Set<string>();

  constructor({ files, rootFd, rootPath, privileges }: TreeTargetOptions) {
    this.#files = files;
    this.#rootPath = rootPath;
    this.#mustHaveRights = privileges === 'require';
    this.#handles = new DirectoryHandles(files, rootFd);
    this.#targets = new DirectoryHandles(files, rootFd);
    const root = new Uint8Array(0);
    this.#at(root, 'prepare', () => this.#dropInherited(this.#handles.inside(root)));
  }

  /** Access lists that the root has from the directory above it would go on to all of the tree. */
  #dropInherited(place: FilePath): void {
    for (const { name } of this.#files.xattrs(place)) {
      if (!latin1(name).startsWith(ACCESS_LIST_PREFIX)) continue;
      this.#files.setXattr(place, name, EMPTY_ACCESS_LIST);
    }
  }

  /** Makes a directory with mode 0700, to be finished at the end; the root is there already. */
  makeDirectory(node: TreeNode): void {
    checkNode(node);
    if (node.kind !== 'directory') throw this.#corrupt(node.path, 'not a directory');
    if (node.path.length > 0) {
      this.#make(node, (place) => {
        this.#files.mkdir(place, 0o700);
      });
    }
    this.#directories.push(node);
  }

  /** Makes an empty file with mode 0600. */
  makeFile(node: TreeNode): void {
    checkNode(node);
    if (node.kind !== 'file') throw this.#corrupt(node.path, 'not a file');
    this.#make(node, (place) => {
      this.#files.close(this.#files.open(place, 'create', 0o600));
    });
  }

  /** Opens a file that was made for writing; the caller closes it before it is finished. */
  openFile(path: Uint8Array): number {
    checkPath(path);
    return this.#at(path, 'open', () => this.#files.open(this.#handles.inside(path), 'write'));
  }

  /** Makes a link, fifo, device, or one more name of a file; lists a socket as skipped. */
  makeOther(node: TreeNode): void {
    checkNode(node);
    const { kind, target, path, deviceMajor, deviceMinor } = node;
    switch (kind) {
      case 'link':
        this.#make(node, (place) => {
          this.#files.symlink(Buffer.from(target!), place);
        });
        return;
      case 'fifo':
        this.#make(node, (place) => {
          this.#files.makeNode(place, kind, 0o600, 0, 0);
        });
        return;
      case 'character':
      case 'block':
        this.#withRight(path, 'device', () => {
          this.#make(node, (place) => {
            this.#files.makeNode(place, kind, 0o600, deviceMajor, deviceMinor);
          });
        });
        return;
      case 'hard':
        this.#makeName(node, target!);
        return;
      case 'socket':
      case 'host':
        this.#leaveOut(path, kind);
        return;
      default:
        throw this.#corrupt(path, `a ${kind} is not made like this`);
    }
  }

  #makeName(node: TreeNode, target: Uint8Array): void {
    if (this.#absent.has(latin1(target))) {
      this.#leaveOut(node.path, 'name');
      return;
    }
    const from = this.#at(target, 'find', () => {
      const place = this.#targets.inside(target);
      if (this.#files.inspect(place).type !== 'directory') return place;
      throw this.#corrupt(node.path, 'one more name of a directory');
    });
    this.#make(node, (place) => {
      this.#files.link(from, place);
    });
  }

  /**
   * Gives a node what it had: a file its size, and everything but one more name its owner,
   * attributes, mode and times. Nothing happens to directories: see `finishDirectory`.
   */
  finish(node: TreeNode): void {
    const { kind, path } = node;
    if (kind === 'directory' || kind === 'hard' || kind === 'socket' || kind === 'host') return;
    checkNode(node);
    if (!this.#absent.has(latin1(path))) this.#at(path, 'finish', () => this.#finish(node));
  }

  /**
   * Finishes the deepest directory that is left; false when there is none. Once it was called,
   * nothing may be made.
   */
  finishDirectory(): boolean {
    const directory = this.#directories.pop();
    if (directory === undefined) return false;
    this.#at(directory.path, 'finish', () => this.#finish(directory));
    return true;
  }

  #finish(node: TreeNode): void {
    const { path, kind } = node;
    const place = this.#handles.inside(path);
    const facts = this.#files.inspect(place);
    if (facts.type !== kind) throw this.#corrupt(path, `a ${kind} that was not made as one`);
    if (kind === 'file' && facts.sizeBytes !== node.sizeBytes) {
      this.#truncate(place, node.sizeBytes);
    }
    const hasOwner = this.#setOwner(place, node, facts);
    for (const { name, value } of node.xattrs) {
      this.#withRight(path, 'xattr', () => this.#files.setXattr(place, name, value));
    }
    if (kind !== 'link') this.#setMode(place, node, hasOwner);
    this.#files.setTimes(place, node.modifiedSeconds, node.modifiedNanoseconds);
  }

  #truncate(place: FilePath, sizeBytes: number): void {
    const fd = this.#files.open(place, 'write');
    try {
      this.#files.truncate(fd, sizeBytes);
    } finally {
      this.#files.close(fd);
    }
  }

  #setOwner(place: FilePath, { path, uid, gid }: TreeNode, facts: NodeFacts): boolean {
    if (facts.uid === uid && facts.gid === gid) return true;
    return this.#withRight(path, 'owner', () => this.#files.setOwner(place, uid, gid));
  }

  #setMode(place: FilePath, { path, mode }: TreeNode, hasOwner: boolean): void {
    // With the bits but not the owner, it would run as whoever restores.
    const isUnsafe = !hasOwner && (mode & SETUID_AND_SETGID) !== 0;
    if (isUnsafe) this.skipped.add(path, 'mode');
    this.#files.setMode(place, isUnsafe ? mode & ~SETUID_AND_SETGID : mode);
  }

  /** Whether a call that needs a right was done; with `require`, it is an error if not. */
  #withRight(path: Uint8Array, right: keyof typeof RIGHTS, call: () => void): boolean {
    try {
      call();
      return true;
    } catch (error) {
      const cause = error instanceof StoreError ? error.cause : error;
      if (!MISSING_RIGHTS.includes(systemCode(cause))) throw error;
      if (this.#mustHaveRights) {
        const file = this.#name(path);
        throw new StoreError('STORAGE', `${RIGHTS[right]}: ${String(cause)}`, { file, cause });
      }
      if (right === 'device') this.#leaveOut(path, right);
      else this.skipped.add(path, right);
      return false;
    }
  }

  #leaveOut(path: Uint8Array, what: SkippedPart): void {
    this.#absent.add(latin1(path));
    this.skipped.add(path, what);
  }

  #make({ path }: TreeNode, make: (place: Buffer) => void): void {
    this.#at(path, 'make', () => {
      const place = this.#handles.inside(path);
      try {
        make(place);
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') throw error;
        throw this.#corrupt(path, 'two times in the tree', error);
      }
    });
  }

  /** Runs calls about a path, and says what their errors mean. */
  #at<T>(path: Uint8Array, action: string, calls: () => T): T {
    try {
      return calls();
    } catch (error) {
      const code = systemCode(error);
      if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') {
        throw this.#corrupt(path, 'not made, or not in a directory of the tree', error);
      }
      throw storageError(action, this.#name(path), error);
    }
  }

  #corrupt(path: Uint8Array, message: string, cause?: unknown): StoreError {
    return new StoreError('CORRUPT', message, { file: this.#name(path), cause });
  }

  #name(path: Uint8Array): string {
    return path.length === 0 ? this.#rootPath : `${this.#rootPath}/${Buffer.from(path).toString()}`;
  }

  /** Closes what it has opened. */
  close(): void {
    this.#handles.close();
    this.#targets.close();
  }
}

function latin1(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.length).toString('latin1');
}
