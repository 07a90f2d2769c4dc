/**
 * Looks at many names of a directory on two threads: most of a walk's time is the kernel's, for one
 * name after the other. Names are put into memory that both share, a ring; each thread takes the
 * next few that nobody has taken, the walker only when it has nothing better to do. Where nobody is
 * there to help, the walker looks at all of them. More names take the places of those that the walk
 * has left behind, while the helper is busy with others.
 *
 * The walk does not depend on the helper: one that comes late, or never, costs time only. That a
 * worker that dies fails the operation is the crew's affair.
 */
import type { Files, NodeFacts } from '../files/files.ts';
import { lookupMemory, NameLookups, type LookupMemory } from '../files/name-lookups.ts';
import type { StatxAnswers } from '../files/statx.ts';

/** Names that are in the memory at once, at most. */
export const LOOKOUT_NAMES = 4096;
/** Names that a thread takes at once. */
export const NAMES_OF_PART = 64;
/** Fewer are looked at before another thread would be awake. */
const WORTH_SHARING = 2 * NAMES_OF_PART;
const PARTS = LOOKOUT_NAMES / NAMES_OF_PART;

/** Fewer than these places are not filled again while others wait. */
const WORTH_ADDING = 8 * NAMES_OF_PART;
/** No name has this number. */
const NONE_LEFT = 2 ** 31 - 1;

/** Words of the control memory; behind them, one for each part: whether it has been looked at. */
const WORD = { round: 0, isBusy: 1, next: 2, names: 3, fd: 4, parts: 5 } as const;
/** The round says: odd, the memory is the walker's; even, there are names; this, the walk ended. */
const ENDED = -1;
/** Looks before going to sleep: mostly the other thread is done at once, and waking takes 50 us. */
const SPINS = 10_000;
/** After so long without the other thread, the walker goes on alone. */
const PATIENCE_MS = 5000;

/** Memory that both threads share. */
export interface LookoutMemory {
  readonly control: Int32Array;
  readonly lookups: LookupMemory;
}

/** New memory, with nothing to look at yet. */
export function newLookout(): LookoutMemory {
  const control = new Int32Array(new SharedArrayBuffer((WORD.parts + PARTS) * 4));
  control[WORD.round] = 1;
  return { control, lookups: lookupMemory(LOOKOUT_NAMES, true) };
}

/** Sends the helper away; for whoever has waited for the walker. */
export function endLookout({ control }: LookoutMemory): void {
  Atomics.store(control, WORD.round, ENDED);
  Atomics.notify(control, WORD.round);
}

/** The helper's side: looks at what nobody has taken yet until the walk has ended. */
export function serveLookout(files: Files, { control, lookups }: LookoutMemory): void {
  const names = new NameLookups(lookups);
  for (let seen = 0; ;) {
    const round = Atomics.load(control, WORD.round);
    if (round === ENDED) return;
    if (round === seen || round % 2 === 1) {
      Atomics.wait(control, WORD.round, round);
      continue;
    }
    seen = round;
    Atomics.store(control, WORD.isBusy, 1);
    try {
      // The walker takes the memory back in the other order: one of both sees what the other does.
      if (Atomics.load(control, WORD.round) === round) {
        while (takePart(files, names, control));
      }
    } finally {
      Atomics.store(control, WORD.isBusy, 0);
      Atomics.notify(control, WORD.isBusy);
    }
  }
}

/** Looks at the next part, if there is one that nobody has taken. */
function takePart(files: Files, lookups: NameLookups, control: Int32Array): boolean {
  const first = Atomics.load(control, WORD.next);
  const names = Atomics.load(control, WORD.names);
  if (first >= names) return false;
  const after = first + NAMES_OF_PART;
  // Whoever was quicker may have left another one.
  if (Atomics.compareExchange(control, WORD.next, first, after) !== first) return true;
  const place = first % LOOKOUT_NAMES;
  const end = place + Math.min(NAMES_OF_PART, names - first);
  try {
    files.inspectNames(lookups, place, end, control[WORD.fd] as number);
  } catch {
    // Without an answer, each is looked at by itself, which says what is wrong.
    for (let i = place; i < end; i++) lookups.answers.clear(i);
  }
  const word = WORD.parts + place / NAMES_OF_PART;
  Atomics.store(control, word, 1);
  Atomics.notify(control, word);
  return true;
}

/** The walker's side. */
export class Lookout {
  readonly #files: Files;
  /** Of this thread alone where there is no other one. */
  #memory: LookoutMemory;
  #lookups: NameLookups;
  #isHelped: boolean;
  /** Of the names, the one with the number 0 here. */
  #first = 0;

  /** @param memory undefined where there is no other thread; it is for one walk. */
  constructor(files: Files, memory: LookoutMemory | undefined) {
    this.#files = files;
    // Of a walk that was given up, the other thread may still be writing.
    const shared = memory !== undefined && hasEnded(memory) ? undefined : memory;
    this.#memory = shared ?? ownMemory();
    this.#lookups = new NameLookups(this.#memory.lookups);
    this.#isHelped = shared !== undefined;
  }

  /** What the system says of the names, as far as they are ready; see {@link placeOf}. */
  get answers(): StatxAnswers {
    return this.#lookups.answers;
  }

  /** Which answer is that of a name, by its number since `look`. */
  placeOf(number: number): number {
    return number % LOOKOUT_NAMES;
  }

  /**
   * Begins to look at names (latin1) of an open directory. Their numbers here count from `first`.
   * The descriptor is wanted up to the next call, or `stop`.
   *
   * @returns up to which of the names there was room.
   */
  look(names: readonly string[], first: number, fd: number): number {
    this.stop();
    const { control } = this.#memory;
    this.#first = first;
    control[WORD.names] = 0;
    control[WORD.fd] = fd;
    const end = this.#put(names, first, Math.min(first + LOOKOUT_NAMES, names.length));
    Atomics.store(control, WORD.next, 0);
    if (end - first >= WORTH_SHARING) this.#call();
    return end;
  }

  /**
   * Goes on with the names from `asked` on, as far as there is room now that all before `next` have
   * been left behind.
   *
   * @returns up to which there was room.
   */
  lookFurther(names: readonly string[], next: number, asked: number): number {
    const end = Math.min(this.#first + this.#roomUpTo(next - this.#first), names.length);
    if (end - asked < WORTH_ADDING && end < names.length) return asked;
    if (end <= asked) return asked;
    this.#put(names, asked, end);
    this.#call();
    return end;
  }

  /** Places are free by whole parts. */
  #roomUpTo(left: number): number {
    return left - (left % NAMES_OF_PART) + LOOKOUT_NAMES;
  }

  #put(names: readonly string[], from: number, end: number): number {
    const { control } = this.#memory;
    for (let i = from; i < end; i++) {
      const place = this.placeOf(i - this.#first);
      if (place % NAMES_OF_PART === 0) control[WORD.parts + place / NAMES_OF_PART] = 0;
      this.#lookups.setName(place, names[i] as string);
    }
    Atomics.store(control, WORD.names, end - this.#first);
    return end;
  }

  /** Calls the helper; the round is even from now on. */
  #call(): void {
    const { control } = this.#memory;
    if (!this.#isHelped) return;
    const round = Atomics.load(control, WORD.round);
    Atomics.store(control, WORD.round, round + (round % 2 === 1 ? 1 : 2));
    Atomics.notify(control, WORD.round);
  }

  /**
   * Waits for an answer, and looks at names meanwhile.
   *
   * @param number of the name, since `look`.
   * @returns the number behind those whose answers are ready, and follow each other in memory.
   */
  ready(number: number): number {
    let part = Math.floor(number / NAMES_OF_PART);
    while (!this.#isReady(part)) {
      if (!takePart(this.#files, this.#lookups, this.#memory.control)) this.#await(part);
    }
    const names = this.#memory.control[WORD.names] as number;
    do part += 1;
    while (part % PARTS !== 0 && part * NAMES_OF_PART < names && this.#isReady(part));
    return Math.min(part * NAMES_OF_PART, names);
  }

  #isReady(part: number): boolean {
    return Atomics.load(this.#memory.control, WORD.parts + (part % PARTS)) === 1;
  }

  /** Waits for a part that the other thread has taken. */
  #await(part: number): void {
    for (let i = 0; i < SPINS; i++) if (this.#isReady(part)) return;
    Atomics.wait(this.#memory.control, WORD.parts + (part % PARTS), 0, PATIENCE_MS);
    if (!this.#isReady(part)) this.#goOnAlone();
  }

  /** Looks at one name. @throws what the system says. */
  inspect(name: string, fd: number): NodeFacts {
    return this.#files.inspect(Buffer.from(name, 'latin1'), fd);
  }

  /** Waits until nobody looks any more; what is not ready never will be. */
  stop(): void {
    const { control } = this.#memory;
    const round = Atomics.load(control, WORD.round);
    if (!this.#isHelped || round % 2 === 1) return;
    Atomics.compareExchange(control, WORD.round, round, round + 1);
    Atomics.store(control, WORD.next, NONE_LEFT);
    for (let i = 0; i < SPINS; i++) if (Atomics.load(control, WORD.isBusy) === 0) return;
    Atomics.wait(control, WORD.isBusy, 1, PATIENCE_MS);
    if (Atomics.load(control, WORD.isBusy) === 1) this.#goOnAlone();
  }

  /**
   * The other thread may still be writing: from now on, in memory of this one alone. There are no
   * answers there: each name is looked at by itself.
   */
  #goOnAlone(): void {
    this.close();
    const { control } = this.#memory;
    this.#memory = ownMemory();
    const own = this.#memory.control;
    own.fill(1, WORD.parts);
    own[WORD.names] = control[WORD.names] as number;
    own[WORD.fd] = control[WORD.fd] as number;
    // Whole parts: those that come next are looked at here.
    own[WORD.next] = Math.ceil((own[WORD.names] as number) / NAMES_OF_PART) * NAMES_OF_PART;
    this.#lookups = new NameLookups(this.#memory.lookups);
  }

  /** Sends the other thread away. */
  close(): void {
    if (this.#isHelped) endLookout(this.#memory);
    this.#isHelped = false;
  }
}

function hasEnded({ control }: LookoutMemory): boolean {
  return Atomics.load(control, WORD.round) === ENDED;
}

function ownMemory(): LookoutMemory {
  const control = new Int32Array(WORD.parts + PARTS);
  return { control, lookups: lookupMemory(LOOKOUT_NAMES, false) };
}
