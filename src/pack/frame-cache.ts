/**
 * Decoded frames, as many as fit into a number of bytes. What has to leave is chosen by chance.
 *
 * Captures walk through all frames of their base in the same order, again and again: of such a walk
 * through more than fits, the least recently used entry is always the one that is needed next, and
 * nothing would ever be found; by chance, as much is found as fits. The chance is a sequence of
 * fixed numbers, so that the same work always takes the same time.
 */

/** What the cache keeps. */
export interface CacheEntry {
  readonly key: number;
  /** Of memory. */
  readonly bytes: number;
  /** Where the entry is in the cache; -1 once it has left. */
  place: number;
}

/** A bounded cache. */
export class FrameCache<Entry extends CacheEntry> {
  readonly #limitBytes: number;
  readonly #onLeave: (entry: Entry) => void;
  readonly #byKey = new Map<number, Entry>();
  readonly #entries: Entry[] = [];
  #usedBytes = 0;
  #chance = 1;

  /** @param onLeave called with each entry that leaves. */
  constructor(limitBytes: number, onLeave: (entry: Entry) => void) {
    this.#limitBytes = limitBytes;
    this.#onLeave = onLeave;
  }

  /** The entry with this key. */
  get(key: number): Entry | undefined {
    return this.#byKey.get(key);
  }

  /** Takes an entry in; there must be room for it. */
  add(entry: Entry): void {
    entry.place = this.#entries.push(entry) - 1;
    this.#byKey.set(entry.key, entry);
    this.#usedBytes += entry.bytes;
  }

  /** Lets entries leave until there is room for `bytes`, or none is left. */
  makeRoom(bytes: number): void {
    while (this.#usedBytes + bytes > this.#limitBytes && this.#entries.length > 0) {
      this.#leave(this.#entries[this.#draw(this.#entries.length)] as Entry);
    }
  }

  /** Marsaglia's xorshift, of 32 bits. */
  #draw(count: number): number {
    this.#chance ^= this.#chance << 13;
    this.#chance ^= this.#chance >>> 17;
    this.#chance ^= this.#chance << 5;
    return (this.#chance >>> 0) % count;
  }

  #leave(entry: Entry): void {
    const last = this.#entries.pop() as Entry;
    if (last !== entry) {
      this.#entries[entry.place] = last;
      last.place = entry.place;
    }
    entry.place = -1;
    // Another one may have taken its place.
    if (this.#byKey.get(entry.key) === entry) this.#byKey.delete(entry.key);
    this.#usedBytes -= entry.bytes;
    this.#onLeave(entry);
  }

  /** Lets everything leave. */
  clear(): void {
    this.makeRoom(Infinity);
  }
}
