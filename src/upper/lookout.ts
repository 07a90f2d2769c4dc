/**
 * Looks at many names of a directory on two threads: half of a walk's time is the kernel's, for one
 * name after the other. The walker hands half of each batch to another thread through shared memory
 * and meanwhile looks at the rest; where nobody is there to help, it looks at all of them.
 *
 * Neither side depends on the other: a helper that comes late, or dies, costs time only.
 */
import type { Files, NodeFacts, NodeType } from '../files/files.ts';

/** Names that are looked at in one batch. */
export const LOOKOUT_NAMES = 1024;

/** Fewer are looked at before they would be handed over. */
const WORTH_SHARING = 64;
const HALF = LOOKOUT_NAMES / 2;
/** A name has at most 255 bytes, and a zero. */
const NAME_BYTES = 256;
const NUMBERS = 9;
const LONGS = 4;

/** What the first word of the control memory says. */
const STATE = { absent: 0, ready: 1, asked: 2, answered: 3, ended: 4 } as const;
/** After so long without an answer, the walker looks itself. */
const PATIENCE_MS = 5000;

const TYPES: readonly NodeType[] = [
  'file',
  'directory',
  'link',
  'fifo',
  'socket',
  'character',
  'block',
];

/** Memory that both threads share. */
export interface LookoutMemory {
  /** State, descriptor of the directory, bytes of the names. */
  readonly control: Int32Array;
  readonly names: Uint8Array;
  /** Of each name, nine numbers; the first is 0 where looking failed. */
  readonly numbers: Float64Array;
  readonly longs: BigInt64Array;
}

/** New memory, with nobody there yet. */
export function newLookout(): LookoutMemory {
  return {
    control: new Int32Array(new SharedArrayBuffer(3 * 4)),
    names: new Uint8Array(new SharedArrayBuffer(HALF * NAME_BYTES)),
    numbers: new Float64Array(new SharedArrayBuffer(HALF * NUMBERS * 8)),
    longs: new BigInt64Array(new SharedArrayBuffer(HALF * LONGS * 8)),
  };
}

/** Sends the helper away; for whoever has waited for the walker. */
export function endLookout({ control }: LookoutMemory): void {
  Atomics.store(control, 0, STATE.ended);
  Atomics.notify(control, 0);
}

/** The helper's side: looks at what it is asked for until the walk has ended. */
export function serveLookout(files: Files, memory: LookoutMemory): void {
  const { control } = memory;
  Atomics.compareExchange(control, 0, STATE.absent, STATE.ready);
  for (;;) {
    const state = Atomics.load(control, 0);
    if (state === STATE.ended) return;
    if (state !== STATE.asked) {
      Atomics.wait(control, 0, state);
      continue;
    }
    answer(files, memory);
    Atomics.compareExchange(control, 0, STATE.asked, STATE.answered);
    Atomics.notify(control, 0);
  }
}

function answer(files: Files, memory: LookoutMemory): void {
  const { control, names, numbers } = memory;
  const [, fd = -1, bytes = 0] = control;
  const asked = Buffer.from(names.buffer).toString('latin1', 0, bytes).split('\0');
  const found = files.inspectNames(asked, fd);
  for (const [i, facts] of found.entries()) {
    // Where there are none, the walker looks itself, and says what is wrong.
    if (facts === undefined) numbers[i * NUMBERS] = 0;
    else write(memory, i, facts);
  }
}

function write({ numbers, longs }: LookoutMemory, i: number, facts: NodeFacts): void {
  let at = i * NUMBERS;
  numbers[at++] = TYPES.indexOf(facts.type) + 1;
  numbers[at++] = facts.mode;
  numbers[at++] = facts.linkCount;
  numbers[at++] = facts.uid;
  numbers[at++] = facts.gid;
  numbers[at++] = facts.sizeBytes;
  numbers[at++] = facts.allocatedBytes;
  numbers[at++] = facts.deviceMajor;
  numbers[at] = facts.deviceMinor;
  at = i * LONGS;
  longs[at++] = facts.inode;
  longs[at++] = facts.device;
  longs[at++] = facts.changedNs;
  longs[at] = facts.modifiedNs;
}

function read({ numbers, longs }: LookoutMemory, i: number): NodeFacts | undefined {
  const at = i * NUMBERS;
  const type = TYPES[(numbers[at] as number) - 1];
  if (type === undefined) return undefined;
  const long = i * LONGS;
  return {
    type,
    kind: type === 'file' || type === 'directory' || type === 'link' ? type : 'other',
    mode: numbers[at + 1] as number,
    linkCount: numbers[at + 2] as number,
    uid: numbers[at + 3] as number,
    gid: numbers[at + 4] as number,
    sizeBytes: numbers[at + 5] as number,
    allocatedBytes: numbers[at + 6] as number,
    deviceMajor: numbers[at + 7] as number,
    deviceMinor: numbers[at + 8] as number,
    inode: BigInt.asUintN(64, longs[long] as bigint),
    device: BigInt.asUintN(64, longs[long + 1] as bigint),
    changedNs: longs[long + 2] as bigint,
    modifiedNs: longs[long + 3] as bigint,
  };
}

/** The walker's side. */
export class Lookout {
  readonly #files: Files;
  #memory: LookoutMemory | undefined;

  /** @param memory undefined where there is no other thread. */
  constructor(files: Files, memory: LookoutMemory | undefined) {
    this.#files = files;
    this.#memory = memory;
  }

  /**
   * Looks at names (latin1) of an open directory, at most {@link LOOKOUT_NAMES}.
   *
   * @returns for each its facts, or undefined where they could not be got.
   */
  look(names: readonly string[], fd: number): (NodeFacts | undefined)[] {
    const first = this.#ask(names, fd);
    if (first === names.length) return this.#files.inspectNames(names, fd);
    const facts = this.#files.inspectNames(names.slice(0, first), fd);
    const memory = this.#awaitAnswer();
    for (let i = first; i < names.length; i++) {
      facts.push(memory === undefined ? undefined : read(memory, i - first));
    }
    return facts;
  }

  /** Looks at one name. @throws what the system says. */
  inspect(name: string, fd: number): NodeFacts {
    return this.#files.inspect(Buffer.from(name, 'latin1'), fd);
  }

  /** Hands the second half of the names over; returns how many are left to look at here. */
  #ask(names: readonly string[], fd: number): number {
    const memory = this.#memory;
    const isReady = memory !== undefined && Atomics.load(memory.control, 0) === STATE.ready;
    if (!isReady || names.length < WORTH_SHARING) return names.length;
    const first = Math.ceil(names.length / 2);
    const bytes = Buffer.from(memory.names.buffer).write(names.slice(first).join('\0'), 'latin1');
    memory.control[1] = fd;
    memory.control[2] = bytes;
    Atomics.store(memory.control, 0, STATE.asked);
    Atomics.notify(memory.control, 0);
    return first;
  }

  #awaitAnswer(): LookoutMemory | undefined {
    const { control } = this.#memory as LookoutMemory;
    // Mostly it is there already, or will be at once: to sleep and wake takes 50 us.
    for (let i = 0; i < 2000 && Atomics.load(control, 0) === STATE.asked; i++);
    if (Atomics.load(control, 0) === STATE.asked)
      Atomics.wait(control, 0, STATE.asked, PATIENCE_MS);
    const memory = this.#memory;
    if (Atomics.compareExchange(control, 0, STATE.answered, STATE.ready) === STATE.answered) {
      return memory;
    }
    this.close();
    return undefined;
  }

  /** Sends the other thread away. */
  close(): void {
    if (this.#memory !== undefined) endLookout(this.#memory);
    this.#memory = undefined;
  }
}
