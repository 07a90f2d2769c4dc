/** What could not be put in place. Only so many paths are named: a bad tree may have millions. */

/** What of a path is not as it was. */
export type SkippedPart = 'owner' | 'mode' | 'device' | 'xattr' | 'socket' | 'host' | 'name';

/** A path that is not as it was. */
export interface Skipped {
  readonly path: Uint8Array;
  /**
   * - `owner`, `mode`, `xattr` it is there without them; `mode`: without setuid and setgid
   * - `device` it would have to be made, and is not there
   * - `socket`, `host` it is never made
   * - `name` one more name of a file that is not there
   */
  readonly what: SkippedPart;
}

const MAX_NAMED = 10_000;

/** Collects what is skipped. */
export class SkippedList {
  readonly #named: Skipped[] = [];
  #count = 0;

  /** Adds a path, whose bytes are copied. */
  add(path: Uint8Array, what: SkippedPart): void {
    this.#count += 1;
    if (this.#named.length < MAX_NAMED) this.#named.push({ path: path.slice(), what });
  }

  /** The first 10,000. */
  get named(): readonly Skipped[] {
    return this.#named;
  }

  /** All, those that are not named too. */
  get count(): number {
    return this.#count;
  }
}
