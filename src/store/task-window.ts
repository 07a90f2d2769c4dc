/** Tasks that run at the same time, a bounded number of them; the first failure is kept. */

/** Lets tasks in as others end. */
export class TaskWindow {
  readonly #limit: number;
  readonly #running = new Set<Promise<void>>();
  #failure: unknown;
  #hasFailed = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes a task that runs, and waits until there is room for another. @throws a failure. */
  async add(task: Promise<unknown>): Promise<void> {
    const watched = this.#watch(task).finally(() => this.#running.delete(watched));
    this.#running.add(watched);
    if (this.#running.size >= this.#limit) await Promise.race(this.#running);
    this.#check();
  }

  async #watch(task: Promise<unknown>): Promise<void> {
    try {
      await task;
    } catch (error) {
      if (!this.#hasFailed) this.#failure = error;
      this.#hasFailed = true;
    }
  }

  #check(): void {
    if (this.#hasFailed) throw this.#failure;
  }

  /** Waits for all of them. @throws the first failure. */
  async end(): Promise<void> {
    await this.settle();
    this.#check();
  }

  /** Waits for all of them, whatever came of them. */
  async settle(): Promise<void> {
    await Promise.all(this.#running);
  }
}
