/**
 * Work that nobody waits for: it goes on in slices beside the operations of a store, which waits
 * for it when it is closed. Only for what may fail without harm: the next time does it again.
 */

/** The work that is going on. */
export class Background {
  readonly #running = new Set<Promise<void>>();

  /** Begins something. */
  start(work: () => Promise<void>): void {
    const running = this.#attempt(work).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch {
      // See above: nothing depends on it.
    }
  }

  /** Waits until nothing is going on any more. */
  async settle(): Promise<void> {
    await Promise.all(this.#running);
  }
}
