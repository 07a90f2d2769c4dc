/**
 * A model of a container's files for tests of the plan: inodes with times, hard links, pages that
 * are numbers. It changes by random edits as a kernel would change it, and never by looking at what
 * is tested.
 */
import fc from 'fast-check';

/** What a path leads to. A page is a number that no other content has; 0 is a hole. */
export interface ModelInode {
  readonly number: bigint;
  readonly kind: 'directory' | 'file' | 'link';
  changed: bigint;
  pages: number[];
  /** Bytes of the last page. */
  lastBytes: number;
  target: string;
}

/** One edit, whose numbers choose among what is there. */
export interface Edit {
  readonly kind: (typeof EDITS)[number];
  readonly at: number;
  readonly other: number;
  readonly pages: number;
}

const EDITS = [
  'create',
  'create',
  'create',
  'makeDirectory',
  'remove',
  'recreate',
  'grow',
  'shrink',
  'rewrite',
  'rewriteAll',
  'punch',
  'empty',
  'rename',
  'renameDirectory',
  'link',
  'linkName',
  'touch',
  'turnIntoDirectory',
  'turnIntoFile',
] as const;

/** Edits; most files are small. */
export const edits: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom(...EDITS),
  at: fc.nat(1000),
  other: fc.nat(1000),
  pages: fc.oneof(
    { weight: 6, arbitrary: fc.nat(4) },
    { weight: 1, arbitrary: fc.integer({ min: 250, max: 700 }) },
  ),
});

const NAMES = ['a', 'a-', 'a.b', 'b', 'c', 'dd', 'e', '\u0001', 'z'];

/** A tree of files. */
export class TreeModel {
  readonly paths: Map<string, ModelInode> = new Map();
  readonly #removed: string[] = [];
  #clock = 1n;
  #inodes = 1n;
  #pages = 0;

  constructor() {
    this.paths.set('', this.#make('directory'));
  }

  /** Paths in the order of a tree, by comparing lists of names. */
  sorted(): [string, ModelInode][] {
    const parts = (path: string): string[] => (path === '' ? [] : path.split('/'));
    return [...this.paths].sort(([a], [b]) => {
      const [left, right] = [parts(a), parts(b)];
      const common = left.findIndex((name, i) => name !== right[i]);
      if (common < 0 || common >= right.length) return left.length - right.length;
      return Buffer.compare(Buffer.from(left[common] ?? ''), Buffer.from(right[common] ?? ''));
    });
  }

  /** Makes a file; what was there goes. */
  write(path: string, pages: number): ModelInode {
    this.#removeAll(path);
    const inode = this.#make('file');
    inode.pages = this.#fresh(pages);
    inode.lastBytes = 1 + (this.#pages % 4096);
    this.paths.set(path, inode);
    return inode;
  }

  /** Removes a path and what is below. */
  remove(path: string): void {
    this.#removed.push(path);
    this.#removeAll(path);
  }

  /** Applies an edit, if there is something to apply it to. */
  apply(edit: Edit): void {
    const { kind, pages } = edit;
    if (kind === 'create') this.write(this.#newPath(edit), pages);
    else if (kind === 'makeDirectory') this.#directory(this.#newPath(edit));
    else if (kind === 'recreate') this.#recreate(pages);
    else if (kind === 'renameDirectory') this.#rename(this.#choose('directory', edit.at), edit);
    else if (kind === 'turnIntoFile') this.#turnIntoFile(edit);
    else this.#applyToFile(edit);
  }

  #applyToFile(edit: Edit): void {
    const path = this.#choose('file', edit.at);
    const inode = path === undefined ? undefined : this.paths.get(path);
    if (path === undefined || inode === undefined) return;
    if (edit.kind === 'remove') this.remove(path);
    else if (edit.kind === 'rename') this.#rename(path, edit);
    else if (edit.kind === 'turnIntoDirectory') this.#directory(path);
    else if (edit.kind === 'linkName') this.#symbolicLink(this.#newPath(edit), path);
    else if (edit.kind === 'link') {
      const name = this.#newPath(edit);
      if (name === path) return;
      this.#removeAll(name);
      this.paths.set(name, inode);
      inode.changed = this.#tick();
    } else this.#editContent(inode, edit);
  }

  #editContent(inode: ModelInode, { kind, other, pages }: Edit): void {
    const before = inode.pages;
    const at = before.length === 0 ? 0 : other % before.length;
    if (kind === 'grow') inode.pages = [...before, ...this.#fresh(pages)];
    else if (kind === 'shrink') inode.pages = before.slice(0, at);
    else if (kind === 'rewriteAll') inode.pages = this.#fresh(pages);
    else if (kind === 'empty') inode.pages = [];
    else if (kind === 'punch') {
      inode.pages = before.map((page, i) => (i >= at && i < at + pages ? 0 : page));
    } else if (kind === 'rewrite' && before.length > 0) {
      inode.pages = before.with(at, ++this.#pages);
    }
    // Any of them, and `touch`, which is nothing else.
    inode.changed = this.#tick();
  }

  #recreate(pages: number): void {
    const path = this.#removed.pop();
    const parent = path?.includes('/') === true ? path.slice(0, path.lastIndexOf('/')) : '';
    if (path !== undefined && this.paths.get(parent)?.kind === 'directory') this.write(path, pages);
  }

  #turnIntoFile({ at, pages }: Edit): void {
    const path = this.#choose('directory', at);
    if (path !== undefined && path !== '') this.write(path, pages);
  }

  #directory(path: string): void {
    if (path === '') return;
    this.#removeAll(path);
    this.paths.set(path, this.#make('directory'));
  }

  #symbolicLink(path: string, target: string): void {
    if (path === target) return;
    this.#removeAll(path);
    const inode = this.#make('link');
    inode.target = target;
    this.paths.set(path, inode);
  }

  #rename(from: string | undefined, edit: Edit): void {
    const to = this.#newPath({ ...edit, at: edit.other });
    const isInside = from !== undefined && `${to}/`.startsWith(`${from}/`);
    if (from === undefined || from === '' || isInside || `${from}/`.startsWith(`${to}/`)) return;
    const moved = [...this.paths].filter(([path]) => path === from || path.startsWith(`${from}/`));
    this.#removeAll(to);
    for (const [path, inode] of moved) {
      this.paths.delete(path);
      this.paths.set(to + path.slice(from.length), inode);
    }
    // What is below a renamed directory does not know it.
    const top = this.paths.get(to);
    if (top !== undefined) top.changed = this.#tick();
  }

  #removeAll(path: string): void {
    for (const [other, inode] of [...this.paths]) {
      if (other !== path && !other.startsWith(`${path}/`)) continue;
      this.paths.delete(other);
      inode.changed = this.#tick();
    }
  }

  #newPath({ at, other }: Pick<Edit, 'at' | 'other'>): string {
    const parent = this.#choose('directory', at) ?? '';
    const name = NAMES[other % NAMES.length] as string;
    return parent === '' ? name : `${parent}/${name}`;
  }

  #choose(kind: ModelInode['kind'], number: number): string | undefined {
    const among = this.sorted().filter(([, inode]) => inode.kind === kind);
    return among[number % Math.max(1, among.length)]?.[0];
  }

  #make(kind: ModelInode['kind']): ModelInode {
    const number = ++this.#inodes;
    return { number, kind, changed: this.#tick(), pages: [], lastBytes: 4096, target: '' };
  }

  #fresh(pages: number): number[] {
    return Array.from({ length: pages }, () => ++this.#pages);
  }

  #tick(): bigint {
    return ++this.#clock;
  }
}
