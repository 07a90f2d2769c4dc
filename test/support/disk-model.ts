/**
 * A disk that knows what of it would survive a power cut, as strictly as POSIX is read: the content
 * of a file is durable up to its last sync, the names in a directory up to the last sync of that
 * directory, and of everything since, any part may be there and any other part not.
 *
 * A rename into another directory is two changes, of which either may be lost alone.
 */
import type { DiskEvent } from './crashing-files.ts';

/** A change of a file's content that is not durable. */
export type PendingChange =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly sizeBytes: number };

/** A name that came to be (or came to be another file's), or went away. */
export interface PendingEdit {
  readonly name: string;
  readonly node: DiskNode | undefined;
}

/** A file or directory. */
export class DiskNode {
  readonly kind: 'file' | 'directory';
  /** Of a file that the door has created, on the real disk. */
  readonly inode: bigint | undefined;
  mode: number;
  durable: Buffer = Buffer.alloc(0);
  content: Buffer = Buffer.alloc(0);
  pending: PendingChange[] = [];
  readonly durableNames: Map<string, DiskNode> = new Map();
  readonly names: Map<string, DiskNode> = new Map();
  edits: PendingEdit[] = [];

  constructor(kind: 'file' | 'directory', mode: number, inode?: bigint) {
    this.kind = kind;
    this.mode = mode;
    this.inode = inode;
  }

  /** Changes a name in a directory; durable with the next sync. */
  edit(name: string, node: DiskNode | undefined): void {
    if (node === undefined) this.names.delete(name);
    else this.names.set(name, node);
    this.edits.push({ name, node });
  }

  /** Changes the content of a file; durable with the next sync. */
  change(change: PendingChange): void {
    this.content = applied(this.content, change);
    this.pending.push(change);
  }

  /** Makes what there is durable. */
  sync(): void {
    this.durable = this.content;
    this.pending = [];
    for (const { name, node } of this.edits) {
      if (node === undefined) this.durableNames.delete(name);
      else this.durableNames.set(name, node);
    }
    this.edits = [];
  }
}

/** The content after a change. */
export function applied(content: Buffer, change: PendingChange): Buffer {
  const end = change.kind === 'write' ? change.offset + change.bytes.length : change.sizeBytes;
  const length = change.kind === 'write' ? Math.max(content.length, end) : end;
  const result = Buffer.alloc(length);
  content.copy(result);
  if (change.kind === 'write') change.bytes.copy(result, change.offset);
  return result;
}

/** Names that only SQLite makes, and that the library may take away. */
const OF_SQLITE = /\.sqlite-(wal|shm|journal)$/;

/** The disk below the directory that was recorded, which is durable itself. */
export class Disk {
  readonly root: DiskNode = new DiskNode('directory', 0o700);
  readonly #open = new Map<number, DiskNode>();

  /** Plays one change. */
  apply(event: DiskEvent): void {
    if ('step' in event) return;
    if (event.kind === 'syncAll') this.#syncAll(this.root);
    else if ('path' in event) this.#applyToPath(event);
    else this.#applyToFile(event);
  }

  #applyToFile(event: Exclude<Extract<DiskEvent, { file: number }>, { path: string }>): void {
    const node = this.#open.get(event.file);
    if (node === undefined) throw new Error(`file ${event.file} was never opened`);
    if (event.kind === 'write' || event.kind === 'truncate') node.change(event);
    else if (event.kind === 'chmod') node.mode = event.mode;
    else node.sync();
  }

  #applyToPath(event: Extract<DiskEvent, { path: string }>): void {
    const { path } = event;
    if (event.kind === 'open') {
      const node = this.find(path);
      if (node !== undefined) this.#open.set(event.file, node);
      else if (!OF_SQLITE.test(path)) throw new Error(`${path} is opened, and is not there`);
      return;
    }
    const { parent, name } = this.#place(path);
    if (event.kind === 'create') {
      const node = new DiskNode('file', event.mode, event.inode);
      this.#open.set(event.file, node);
      parent.edit(name, node);
    } else if (event.kind === 'mkdir') parent.edit(name, new DiskNode('directory', event.mode));
    else if (event.kind === 'copy') {
      const node = new DiskNode('file', 0o600);
      node.change({ kind: 'write', offset: 0, bytes: event.bytes });
      parent.edit(name, node);
    } else if (event.kind === 'rename' || event.kind === 'link') {
      const node = parent.names.get(name);
      if (node === undefined) throw new Error(`${path} gets a name, and is not there`);
      const to = this.#place(event.to);
      to.parent.edit(to.name, node);
      if (event.kind === 'rename') parent.edit(name, undefined);
    } else this.#remove(parent, name);
  }

  /** Each name by itself: a tree that is removed may be left at any stage. */
  #remove(parent: DiskNode, name: string): void {
    const node = parent.names.get(name);
    if (node === undefined) return;
    for (const child of [...node.names.keys()]) this.#remove(node, child);
    parent.edit(name, undefined);
  }

  #place(path: string): { readonly parent: DiskNode; readonly name: string } {
    const at = path.lastIndexOf('/');
    const parent = at === -1 ? this.root : this.find(path.slice(0, at));
    if (parent === undefined) throw new Error(`${path} has no directory`);
    return { parent, name: path.slice(at + 1) };
  }

  /** What a path names now. */
  find(path: string): DiskNode | undefined {
    let node: DiskNode | undefined = this.root;
    if (path === '') return node;
    for (const name of path.split('/')) node = node?.names.get(name);
    return node;
  }

  #syncAll(node: DiskNode): void {
    node.sync();
    for (const child of node.names.values()) this.#syncAll(child);
  }
}
