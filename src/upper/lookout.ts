/**
 * Looks at many names of a directory on two threads: half of a walk's time is the kernel's, for one
 * name after the other. The walker hands half of each batch to another thread through shared memory
 * and meanwhile looks at the rest; where nobody is there to help, it looks at all of them.
 *
 * Neither side depends on the other: a helper that comes late, or dies, costs time only.
 */
import type { Files, NodeFacts } from '../files/files.ts';
import { lookupMemory, NameLookups, type LookupMemory } from '../files/name-lookups.ts';
import type { StatxAnswers } from '../files/statx.ts';

/** Names that are looked at in one batch. */
export const LOOKOUT_NAMES = 1024;

/** Fewer are looked at before they would be handed over. */
const WORTH_SHARING = 64;

/** What the first word of the control memory says. */
const STATE = { absent: 0, ready: 1, asked: 2, answered: 3, ended: 4 } as const;
/** After so long without an answer, the walker looks itself. */
const PATIENCE_MS = 5000;

/** Memory that both threads share. */
export interface LookoutMemory {
  /** State, descriptor of the directory, first and last name that is asked for. */
  readonly control: Int32Array;
  readonly lookups: LookupMemory;
}

/** New memory, with nobody there yet. */
export function newLookout(): LookoutMemory {
  return {
    control: new Int32Array(new SharedArrayBuffer(4 * 4)),
    lookups: lookupMemory(LOOKOUT_NAMES, true),
  };
}

/** Sends the helper away; for whoever has waited for the walker. */
export function endLookout({ control }: LookoutMemory): void {
  Atomics.store(control, 0, STATE.ended);
  Atomics.notify(control, 0);
}

/** The helper's side: looks at what it is asked for until the walk has ended. */
export function serveLookout(files: Files, { control, lookups }: LookoutMemory): void {
  const asked = new NameLookups(lookups);
  Atomics.compareExchange(control, 0, STATE.absent, STATE.ready);
  for (;;) {
    const state = Atomics.load(control, 0);
    if (state === STATE.ended) return;
    if (state !== STATE.asked) {
      Atomics.wait(control, 0, state);
      continue;
    }
    const [, fd = -1, first = 0, end = 0] = control;
    files.inspectNames(asked, first, end, fd);
    Atomics.compareExchange(control, 0, STATE.asked, STATE.answered);
    Atomics.notify(control, 0);
  }
}

/** The walker's side. */
export class Lookout {
  readonly #files: Files;
  #memory: LookoutMemory | undefined;
  #lookups: NameLookups;

  /** @param memory undefined where there is no other thread. */
  constructor(files: Files, memory: LookoutMemory | undefined) {
    this.#files = files;
    this.#memory = memory;
    this.#lookups = new NameLookups(memory?.lookups ?? lookupMemory(LOOKOUT_NAMES, false));
  }

  /**
   * Looks at names (latin1) of an open directory, from the number `first` up to `end`; at most
   * {@link LOOKOUT_NAMES}.
   *
   * @returns their answers, from the number 0 on; good until the next call.
   */
  look(names: readonly string[], first: number, end: number, fd: number): StatxAnswers {
    const count = end - first;
    this.#setNames(names, first, count);
    const here = this.#ask(count, fd);
    try {
      this.#files.inspectNames(this.#lookups, 0, here, fd);
      if (here === count || this.#awaitAnswer()) return this.#lookups.answers;
    } catch {
      // Which name it was is found out one by one.
      this.#goOnAlone();
      return this.#lookups.answers;
    }
    this.#goOnAlone();
    return this.look(names, first, end, fd);
  }

  #setNames(names: readonly string[], first: number, count: number): void {
    for (let i = 0; i < count; i++) this.#lookups.setName(i, names[first + i] as string);
  }

  /** Looks at one name. @throws what the system says. */
  inspect(name: string, fd: number): NodeFacts {
    return this.#files.inspect(Buffer.from(name, 'latin1'), fd);
  }

  /** Hands the second half of the names over; returns how many are left to look at here. */
  #ask(count: number, fd: number): number {
    const memory = this.#memory;
    const isReady = memory !== undefined && Atomics.load(memory.control, 0) === STATE.ready;
    if (!isReady || count < WORTH_SHARING) return count;
    const here = Math.ceil(count / 2);
    memory.control[1] = fd;
    memory.control[2] = here;
    memory.control[3] = count;
    Atomics.store(memory.control, 0, STATE.asked);
    Atomics.notify(memory.control, 0);
    return here;
  }

  /** Whether the other thread has answered. */
  #awaitAnswer(): boolean {
    const { control } = this.#memory as LookoutMemory;
    // Mostly it is there already, or will be at once: to sleep and wake takes 50 us.
    for (let i = 0; i < 2000 && Atomics.load(control, 0) === STATE.asked; i++);
    if (Atomics.load(control, 0) === STATE.asked)
      Atomics.wait(control, 0, STATE.asked, PATIENCE_MS);
    return Atomics.compareExchange(control, 0, STATE.answered, STATE.ready) === STATE.answered;
  }

  /** The other thread may still be writing: from now on, in memory of this one alone. */
  #goOnAlone(): void {
    this.close();
    this.#lookups = new NameLookups(lookupMemory(LOOKOUT_NAMES, false));
  }

  /** Sends the other thread away. */
  close(): void {
    if (this.#memory !== undefined) endLookout(this.#memory);
    this.#memory = undefined;
  }
}
