/**
 * Whether the paths of a stored tree make a tree: bytes with the right checksums may still have
 * been written by an enemy. What restore and export take for granted is looked at here: that no
 * path leads out, that everything is in a directory, and that one more name is that of a file which
 * comes before it, below the same top-level directory. So no chain of names is longer than one.
 */
import { StoreError } from '../errors.ts';
import type { TreeBody } from '../tree/body.ts';
import { comparePaths, type TreeKind } from '../tree/entry.ts';
import { checkNode } from '../upper/tree-node-check.ts';

/** Reads the paths of a tree in their order, from before the first one. */
export interface PathCursor {
  readonly path: Uint8Array;
  readonly body: TreeBody;
  next(): boolean;
}

/** Kinds that have further names. */
const NAMED: ReadonlySet<TreeKind> = new Set<TreeKind>([
  'file',
  'link',
  'fifo',
  'socket',
  'character',
  'block',
]);

/** One more name of a file. */
interface MoreName {
  readonly path: Uint8Array;
  readonly target: Uint8Array;
}

/** Checks the paths of a tree one after the other. */
export class TreeShape {
  /** The directories that the last path is in, or is, from the top. */
  readonly #above: Uint8Array[] = [];
  readonly #names: MoreName[] = [];

  /** @throws StoreError CORRUPT for a path that cannot be there. */
  add(path: Uint8Array, body: TreeBody): void {
    checkNode({ ...body, path });
    while (this.#above.length > 0 && !isBelow(path, this.#above.at(-1)!)) this.#above.pop();
    const isDeep = path.includes(SLASH);
    const parent = path.subarray(0, isDeep ? path.lastIndexOf(SLASH) : 0);
    if (isDeep && !isSame(this.#above.at(-1), parent)) refuse('not in a directory', path);
    if (body.kind === 'directory' && path.length > 0) this.#above.push(path.slice());
    if (body.kind !== 'hard') return;
    const target = body.target ?? new Uint8Array(0);
    if (!isSame(firstPart(target), firstPart(path))) refuse('a name of a file elsewhere', path);
    if (comparePaths(target, path) >= 0) refuse('a name that comes before its file', path);
    this.#names.push({ path: path.slice(), target: target.slice() });
  }

  /**
   * Checks what further names are names of, in another walk: to remember every path of the first
   * would take as much memory as the tree.
   *
   * @throws StoreError CORRUPT.
   */
  checkTargets(cursor: PathCursor): void {
    if (this.#names.length === 0) return;
    const names = this.#names.sort((a, b) => comparePaths(a.target, b.target));
    let isThere = cursor.next();
    for (const { path, target } of names) {
      while (isThere && comparePaths(cursor.path, target) < 0) isThere = cursor.next();
      if (!isThere || !isSame(cursor.path, target))
        refuse('a name of a file that is missing', path);
      const { kind } = cursor.body;
      if (!NAMED.has(kind)) refuse(`one more name of a ${kind}`, path);
    }
  }
}

const SLASH = 0x2f;

function isBelow(path: Uint8Array, directory: Uint8Array): boolean {
  if (path[directory.length] !== SLASH) return false;
  return isSame(path.subarray(0, directory.length), directory);
}

function isSame(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}

function firstPart(path: Uint8Array): Uint8Array {
  const slash = path.indexOf(SLASH);
  return slash < 0 ? path : path.subarray(0, slash);
}

function refuse(message: string, path: Uint8Array): never {
  throw new StoreError('CORRUPT', message, { file: Buffer.from(path).toString() });
}
