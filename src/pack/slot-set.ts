/**
 * Sets of slots of one segment, as bits. Slots are dense from 0 (full pages) and 2^31 (deltas): a
 * set of a million slots takes 128 KiB. Encoded by frames of 64 (FORMAT.md, section 7).
 */
import { FIRST_DELTA_SLOT } from '../bytes/slot.ts';
import { ByteReader } from '../bytes/reader.ts';
import { ByteWriter } from '../bytes/writer.ts';
import { FIRST_DELTA_FRAME, FRAME_PAGES } from './format.ts';
import { countBits } from './frame-table.ts';

const ALL = 0xffffffff;
/** Frames of one kind: 2^31 slots of 64. */
const MAX_FRAMES = FIRST_DELTA_FRAME;
const FIRST_WORDS = 8;

/** A set of slots. */
export class SlotSet {
  /** Two words for each frame: its slots 0 to 31, and 32 to 63. */
  #full: Uint32Array = new Uint32Array(FIRST_WORDS);
  #delta: Uint32Array = new Uint32Array(FIRST_WORDS);
  /** Another number after each change, so that what was counted by the set can be remembered. */
  changes = 0;

  /** Adds a slot. */
  add(slot: number): void {
    this.addRun(slot, 1);
  }

  /** Adds consecutive slots of one kind. */
  addRun(slot: number, count: number): void {
    const isDelta = slot >= FIRST_DELTA_SLOT;
    const first = isDelta ? slot - FIRST_DELTA_SLOT : slot;
    const words = this.#wordsFor(isDelta, first + count);
    for (let at = first; at < first + count;) {
      const bit = at & 31;
      const bits = Math.min(32 - bit, first + count - at);
      const mask = bits === 32 ? ALL : ((1 << bits) - 1) << bit;
      const before = words[at >>> 5] as number;
      if ((~before & mask) !== 0) {
        words[at >>> 5] = before | mask;
        this.changes += 1;
      }
      at += bits;
    }
  }

  #wordsFor(isDelta: boolean, slots: number): Uint32Array {
    const words = isDelta ? this.#delta : this.#full;
    // An even number, since a frame has two.
    const needed = Math.ceil(slots / 64) * 2;
    if (needed <= words.length) return words;
    const larger = new Uint32Array(Math.max(needed, words.length * 2));
    larger.set(words);
    if (isDelta) this.#delta = larger;
    else this.#full = larger;
    return larger;
  }

  /** Whether a slot is in the set. */
  has(slot: number): boolean {
    const isDelta = slot >= FIRST_DELTA_SLOT;
    const at = isDelta ? slot - FIRST_DELTA_SLOT : slot;
    const word = (isDelta ? this.#delta : this.#full)[at >>> 5] ?? 0;
    return ((word >>> (at & 31)) & 1) === 1;
  }

  /** The bits of a frame's slots 0 to 31. */
  lowOf(frame: number): number {
    return this.#wordOf(frame, 0);
  }

  /** The bits of a frame's slots 32 to 63. */
  highOf(frame: number): number {
    return this.#wordOf(frame, 1);
  }

  #wordOf(frame: number, half: 0 | 1): number {
    const isDelta = frame >= FIRST_DELTA_FRAME;
    const at = isDelta ? frame - FIRST_DELTA_FRAME : frame;
    return (isDelta ? this.#delta : this.#full)[at * 2 + half] ?? 0;
  }

  /** Adds the slots of a frame whose bits are set. */
  addFrame(frame: number, low: number, high: number): void {
    const isDelta = frame >= FIRST_DELTA_FRAME;
    const at = isDelta ? frame - FIRST_DELTA_FRAME : frame;
    const words = this.#wordsFor(isDelta, (at + 1) * 64);
    const [lowBefore, highBefore] = [words[at * 2] as number, words[at * 2 + 1] as number];
    if (((~lowBefore & low) | (~highBefore & high)) === 0) return;
    words[at * 2] = lowBefore | low;
    words[at * 2 + 1] = highBefore | high;
    this.changes += 1;
  }

  /** Whether no slot is in the set. */
  get isEmpty(): boolean {
    return this.#full.every((word) => word === 0) && this.#delta.every((word) => word === 0);
  }

  /** How many slots are in the set. */
  get size(): number {
    let size = 0;
    for (const words of [this.#full, this.#delta]) {
      for (const word of words) size += countBits(word);
    }
    return size;
  }

  /** The slots in the set, ascending. */
  *slots(): Generator<number> {
    for (const frame of this.frames()) {
      const words = [this.lowOf(frame), this.highOf(frame)] as const;
      for (const [half, word] of words.entries()) {
        for (let bit = 0; bit < 32; bit++) {
          if (((word >>> bit) & 1) === 1) yield frame * FRAME_PAGES + half * 32 + bit;
        }
      }
    }
  }

  /** The frames that have slots in the set, ascending. */
  *frames(): Generator<number> {
    for (const [words, first] of [
      [this.#full, 0],
      [this.#delta, FIRST_DELTA_FRAME],
    ] as const) {
      for (let at = 0; at < words.length; at += 2) {
        if (words[at] !== 0 || words[at + 1] !== 0) yield first + at / 2;
      }
    }
  }
}

/** The set's bytes; none for an empty one. */
export function encodeSlotSet(set: SlotSet): Uint8Array {
  const frames = [...set.frames()];
  if (frames.length === 0) return new Uint8Array(0);
  const writer = new ByteWriter(16 + frames.length * 9);
  writer.varint(frames.length);
  let next = 0;
  for (const frame of frames) {
    const [low, high] = [set.lowOf(frame), set.highOf(frame)];
    const isWhole = low === ALL && high === ALL;
    writer.varint((frame - next) * 2 + (isWhole ? 1 : 0));
    if (!isWhole) {
      writer.u32(low);
      writer.u32(high);
    }
    next = frame + 1;
  }
  return writer.bytes();
}

/** @throws StoreError CORRUPT. */
export function decodeSlotSet(bytes: Uint8Array, file: string): SlotSet {
  const set = new SlotSet();
  if (bytes.length === 0) return set;
  const reader = new ByteReader(bytes, { code: 'CORRUPT', file });
  const count = reader.count(reader.remaining, 'frames of slots');
  let next = 0;
  for (let i = 0; i < count; i++) {
    const head = reader.varint();
    const frame = next + Math.floor(head / 2);
    if (frame >= 2 * MAX_FRAMES) throw reader.fail(`a set of slots has frame ${frame}`);
    const isWhole = head % 2 === 1;
    const [low, high] = isWhole ? [ALL, ALL] : [reader.u32(), reader.u32()];
    if (low === 0 && high === 0) throw reader.fail('a set of slots has an empty frame');
    set.addFrame(frame, low, high);
    next = frame + 1;
  }
  reader.end();
  return set;
}
