/**
 * Collects the nodes of a tree in any order: makes up directories that only paths speak of, and
 * gives hard links their file.
 */
import { comparePaths, type SourceNode, type SourcePlace, type TreeKind } from '../tree/entry.ts';
import type { LimitCounter } from './limits.ts';
import { latin1 } from './pax.ts';
import type { TarMember } from './tar-member.ts';

/** A node that no archive spoke of: of root, from 1970. */
export function madeNode(path: Uint8Array, kind: TreeKind, mode: number): SourceNode {
  return {
    path,
    kind,
    mode,
    uid: 0,
    gid: 0,
    modifiedSeconds: 0,
    modifiedNanoseconds: 0,
    sizeBytes: 0,
    dataRuns: undefined,
    target: undefined,
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: [],
    content: undefined,
  };
}

/** The node of a member at another path, with the target that links have there. */
export function memberNode(
  path: Uint8Array,
  member: TarMember,
  target: Uint8Array | undefined,
  content?: SourcePlace,
): SourceNode {
  return {
    path,
    kind: member.kind,
    mode: member.mode,
    uid: member.uid,
    gid: member.gid,
    modifiedSeconds: member.modifiedSeconds,
    modifiedNanoseconds: member.modifiedNanoseconds,
    sizeBytes: member.sizeBytes,
    dataRuns: undefined,
    target,
    deviceMajor: member.deviceMajor,
    deviceMinor: member.deviceMinor,
    xattrs: member.xattrs,
    content,
  };
}

/** A tree in the making. */
export class TreeBuilder {
  readonly #nodes = new Map<string, SourceNode>();

  /** The node at a path. */
  get(path: Uint8Array): SourceNode | undefined {
    return this.#nodes.get(latin1(path));
  }

  /**
   * Adds a node, or replaces it, and makes up directories above it where there is nothing.
   *
   * @param counter counts those, where no member spoke of them that was counted for it.
   */
  put(node: SourceNode, counter?: LimitCounter): void {
    const key = latin1(node.path);
    this.#nodes.set(key, node);
    for (const above of keysAbove(key)) {
      if (this.#nodes.has(above)) return;
      counter?.addMember(above.length);
      const path = node.path.slice(0, above.length);
      this.#nodes.set(above, madeNode(path, 'directory', 0o755));
    }
  }

  /** What is above a path and is no directory. */
  nonDirectoryAbove(path: Uint8Array): SourceNode | undefined {
    for (const above of keysAbove(latin1(path))) {
      const node = this.#nodes.get(above);
      // Whatever is above a directory is one.
      if (node !== undefined) return node.kind === 'directory' ? undefined : node;
    }
    return undefined;
  }

  /** All nodes in the order of a tree; of names of one file, the first is the file. */
  finish(): SourceNode[] {
    const nodes = [...this.#nodes.values()].sort((a, b) => comparePaths(a.path, b.path));
    // First names, where another name comes before the one that the archive has first.
    const renamed = new Map<string, Uint8Array>();
    return nodes.map((node) => {
      if (node.kind !== 'hard') {
        const first = renamed.get(latin1(node.path));
        if (first === undefined) return node;
        const nothing = { sizeBytes: 0, content: undefined, deviceMajor: 0, deviceMinor: 0 };
        return { ...node, ...nothing, kind: 'hard', target: first };
      }
      const key = latin1(node.target!);
      const first = renamed.get(key);
      if (first !== undefined) return { ...node, target: first };
      const file = this.#nodes.get(key)!;
      if (comparePaths(file.path, node.path) < 0) return node;
      renamed.set(key, node.path);
      return { ...file, path: node.path };
    });
  }
}

/** Keys of the directories above a path, from the nearest on: slices, which cost no memory. */
function* keysAbove(key: string): Generator<string> {
  for (let end = key.lastIndexOf('/'); end > 0; end = key.lastIndexOf('/', end - 1)) {
    yield key.slice(0, end);
  }
}
