/** Lets timers and signals have their turn while a long archive is gone through. */
import { StoreError } from '../errors.ts';

/** Chunks, and steps of other work, between two turns: a few ms at most. */
const CHUNKS_A_TURN = 16;
const STEPS_A_TURN = 64;

/** Gives turns every so many steps. */
export class Turns {
  readonly #signal: AbortSignal | undefined;
  readonly #stepsEach: number;
  #steps = 0;

  /** @param signal stops the work. */
  constructor(signal: AbortSignal | undefined, stepsEach: number = STEPS_A_TURN) {
    this.#signal = signal;
    this.#stepsEach = stepsEach;
  }

  /** Whether it is time for a turn: to be asked at each step. */
  get isDue(): boolean {
    return ++this.#steps % this.#stepsEach === 0;
  }

  /** @throws StoreError ABORTED when the signal has fired. */
  check(): void {
    const signal = this.#signal;
    if (signal?.aborted !== true) return;
    throw new StoreError('ABORTED', 'the operation was stopped', { cause: signal.reason });
  }

  /** Lets others have their turn. */
  async give(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.check();
  }
}

/** The chunks, with turns for timers and signals in between; throws when the signal fires. */
export async function* paced(
  chunks: Iterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void> {
  const turns = new Turns(signal, CHUNKS_A_TURN);
  for (const chunk of chunks) {
    turns.check();
    yield chunk;
    if (turns.isDue) await turns.give();
  }
}
