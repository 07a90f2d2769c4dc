/**
 * Checks the nodes of a stored tree before a tar is made of them: a tree that was damaged, or made
 * by an enemy, must not become an archive that leads whoever unpacks it out of a directory.
 */
import { StoreError } from '../errors.ts';
import { isRelativePath } from '../files/relative-path.ts';
import { comparePaths, type TreeNode } from '../tree/entry.ts';
import { printableName } from './member-names.ts';
import { latin1 } from './pax.ts';
import { isBelow } from './tree-path.ts';

/** What other names name, by key: whether a file was found there that has come already. */
export type LinkTargets = Map<string, boolean>;

/** Checks nodes one after another, in the order of a tree. */
export class NodeChecker {
  readonly #file: string;
  readonly #targets: LinkTargets;
  readonly #isComplete: boolean;
  #last: TreeNode | undefined;

  /**
   * @param file where the tree is, for errors.
   * @param targets which paths have other names: empty for a first time through the tree, that
   * fills it, and what it was filled with for a second, that finds whether each is a file. So
   * nothing is remembered of all the paths that have one name.
   */
  constructor(file: string, targets: LinkTargets) {
    this.#file = file;
    this.#targets = targets;
    this.#isComplete = targets.size > 0;
  }

  /** @throws StoreError CORRUPT when the node could not have come from a tree. */
  check(node: TreeNode): void {
    const { path, kind, target } = node;
    if (!isRelativePath(path)) throw this.#fail(node, 'is no path inside a tree');
    if (path.length === 0 && kind !== 'directory') throw this.#fail(node, 'is no directory');
    const last = this.#last;
    if (last !== undefined) {
      if (comparePaths(last.path, path) >= 0) throw this.#fail(node, 'is out of order');
      // Whatever is below a path comes right behind it.
      if (last.kind !== 'directory' && isBelow(path, last.path)) {
        throw this.#fail(node, 'is below what is no directory');
      }
    }
    this.#last = node;
    if (kind === 'hard') this.#checkTarget(node);
    else if (kind !== 'directory' && this.#targets.size > 0) {
      const key = latin1(path);
      if (this.#targets.has(key)) this.#targets.set(key, true);
    }
    if (kind === 'link' && (target === undefined || target.length === 0 || target.includes(0))) {
      throw this.#fail(node, 'is a link to what is no path');
    }
  }

  #checkTarget(node: TreeNode): void {
    const { path, target } = node;
    const isPath = target !== undefined && target.length > 0 && isRelativePath(target);
    if (!isPath || comparePaths(target, path) >= 0) throw this.#fail(node, NO_NAME);
    const key = latin1(target);
    if (!this.#isComplete) this.#targets.set(key, false);
    else if (this.#targets.get(key) !== true) throw this.#fail(node, NO_NAME);
  }

  #fail({ path }: TreeNode, complaint: string): StoreError {
    const message = `the stored path ${printableName(path)} ${complaint}`;
    return new StoreError('CORRUPT', message, { file: this.#file });
  }
}

const NO_NAME = 'is another name of no file before it';
