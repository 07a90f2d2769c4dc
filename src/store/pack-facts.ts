/**
 * What the files of packs looked like when they were published, or seen for the first time. A pack
 * never changes: where size, inode or times are others than before, somebody has been there, and
 * what this process remembers of the pack is no longer believed.
 *
 * Damage that leaves no trace in these facts, such as of the medium itself, is found by whoever
 * reads it next.
 */
import type { FileFacts } from '../files/files.ts';

/** Packs that are remembered; beyond, the oldest is forgotten. */
const MAX_PACKS = 4096;

/** The facts about packs, by their names. */
export class PackFacts {
  readonly #facts = new Map<string, FileFacts>();

  /** Remembers what a pack looks like now. */
  remember(name: string, facts: FileFacts): void {
    this.#facts.delete(name);
    this.#facts.set(name, facts);
    if (this.#facts.size <= MAX_PACKS) return;
    for (const oldest of this.#facts.keys()) {
      this.#facts.delete(oldest);
      return;
    }
  }

  /** Whether a pack has changed since it was remembered; from now on it is remembered like this. */
  hasChanged(name: string, facts: FileFacts): boolean {
    const known = this.#facts.get(name);
    this.remember(name, facts);
    return known !== undefined && !isSame(known, facts);
  }
}

function isSame(a: FileFacts, b: FileFacts): boolean {
  return (
    a.sizeBytes === b.sizeBytes &&
    a.inode === b.inode &&
    a.device === b.device &&
    a.modifiedNs === b.modifiedNs &&
    a.changedNs === b.changedNs
  );
}
