/**
 * Finds out which slots can be read, without reading their pages: each is looked up in the tables
 * of its pack. Deltas are followed down to full pages where anything that they might stand on is
 * lost; each frame of them is read once.
 */
import { FIRST_DELTA_SLOT } from '../bytes/slot.ts';
import { isDamage } from '../errors.ts';
import { LOST_SEGMENT } from '../manifest/page-runs.ts';
import { FRAME_PAGES } from '../pack/format.ts';
import type { FrameTable } from '../pack/frame-table.ts';
import type { PackReader } from '../pack/reader.ts';
import type { StoreContext } from './context.ts';

/** Some consecutive slots that are all lost, or all there. */
export interface LookedUp {
  readonly count: number;
  readonly isLost: boolean;
  /** Of what is lost because no table lists it, or what it stands on: that slot. */
  readonly unlisted?: SlotNumber | undefined;
}

/** A slot of a segment, by the number of that. */
export interface SlotNumber {
  readonly segment: number;
  readonly slot: number;
}

/** Deltas of a frame: what each of its 64 slots stands on, and what is known of it. */
interface DeltaBases {
  readonly segment: Uint32Array;
  readonly slot: Uint32Array;
  /** One of LOOKED. */
  readonly state: Uint8Array;
  /** Slots that no table lists, at the ends of chains. */
  readonly unlisted: (SlotNumber | undefined)[];
}

const LOOKED = { no: 0, there: 1, lost: 2 } as const;

/** Looks slots up in the tables of packs. */
export class SlotFinder {
  readonly #context: StoreContext;
  /** Packs whose deltas might stand on something that is lost; undefined until it is asked for. */
  #doubtful: ReadonlySet<string> | undefined;
  /** By segment, frame, and where that is: one of which a part was healed is in two pieces. */
  readonly #frames = new Map<string, DeltaBases>();
  readonly #missingNumber: (identity: Uint8Array) => number;

  /** @param missingNumber a number for a segment that no pack has. */
  constructor(context: StoreContext, missingNumber = (_: Uint8Array): number => 0) {
    this.#context = context;
    this.#missingNumber = missingNumber;
  }

  /** Looks at a slot, and at those that follow it in its frame. */
  look(segment: number, slot: number, limit: number, deep: boolean): LookedUp {
    if (segment === LOST_SEGMENT) return { count: limit, isLost: true };
    const place = this.#place(segment, slot);
    if (place === undefined) return { count: 1, isLost: true, unlisted: { segment, slot } };
    const { reader, table, index } = place;
    if (reader.isLost(table, index)) return { count: 1, isLost: true };
    if (slot >= FIRST_DELTA_SLOT && (deep || this.#isDoubtful(segment))) {
      return { count: 1, ...this.#followDelta(segment, slot, place) };
    }
    return { count: table.consecutive(index, slot, limit), isLost: false };
  }

  #place(segment: number, slot: number): SlotInPack | undefined {
    const found = this.#context.segments.at(segment);
    if (found === undefined) return undefined;
    return unlessDamaged(() => {
      const reader = this.#context.packs.reader(found.packName);
      const place = reader.find(found.local, slot);
      return place && { reader, ...place };
    });
  }

  #isDoubtful(segment: number): boolean {
    this.#doubtful ??= doubtfulPacks(this.#context);
    const found = this.#context.segments.at(segment);
    return found === undefined || this.#doubtful.has(found.packName);
  }

  #followDelta(segment: number, slot: number, place: SlotInPack): Omit<LookedUp, 'count'> {
    const frame = this.#basesOf(segment, slot, place);
    const at = slot % FRAME_PAGES;
    if (frame.state[at] === LOOKED.no) {
      // Lost until it is known: a chain that comes back to itself never ends.
      frame.state[at] = LOOKED.lost;
      const base = frame.segment[at] as number;
      const below = base === 0 ? undefined : this.look(base, frame.slot[at] as number, 1, true);
      if (below?.isLost === false) frame.state[at] = LOOKED.there;
      frame.unlisted[at] = below?.unlisted;
    }
    return { isLost: frame.state[at] === LOOKED.lost, unlisted: frame.unlisted[at] };
  }

  #basesOf(segment: number, slot: number, place: SlotInPack): DeltaBases {
    const { offset } = place.table.entryAt(place.index);
    const key = `${segment} ${Math.floor(slot / FRAME_PAGES)} ${offset}`;
    const known = this.#frames.get(key);
    if (known !== undefined) return known;
    const bases = {
      segment: new Uint32Array(FRAME_PAGES),
      slot: new Uint32Array(FRAME_PAGES),
      state: new Uint8Array(FRAME_PAGES),
      unlisted: [],
    };
    unlessDamaged(() => this.#readBases(place, bases));
    this.#frames.set(key, bases);
    return bases;
  }

  #readBases({ reader, table, index }: SlotInPack, bases: DeltaBases): void {
    const frame = reader.readDeltaFrame(table, index);
    for (const [rank, slot] of table.slotsAt(index).entries()) {
      const identity = reader.footer.references[frame.baseSegment[rank] as number];
      const number = identity === undefined ? 0 : this.#numberOf(identity);
      bases.segment[slot % FRAME_PAGES] = number;
      bases.slot[slot % FRAME_PAGES] = frame.baseSlot[rank] as number;
    }
  }

  #numberOf(identity: Uint8Array): number {
    const number = this.#context.segments.find(identity);
    return number === 0 ? this.#missingNumber(identity) : number;
  }
}

interface SlotInPack {
  readonly reader: PackReader;
  readonly table: FrameTable;
  readonly index: number;
}

function unlessDamaged<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!isDamage(error)) throw error;
    return undefined;
  }
}

/** Packs that lack anything, and all that refer to them, one through the other. */
function doubtfulPacks({ packs, segments, layout }: StoreContext): ReadonlySet<string> {
  const names = new Set<string>();
  for (const number of segments.numbers()) names.add(segments.table.packName(number));
  const referrers = new Map<string, string[]>();
  const doubtful = new Set<string>();
  for (const name of names) {
    const references = unlessDamaged(() => packs.reader(name).footer.references) ?? [];
    const numbers = references.map((identity) => segments.find(identity));
    const hasLost = packs.lostFrames.mayHave(layout.packFile(name));
    if (references.length === 0 || hasLost || numbers.includes(0)) doubtful.add(name);
    for (const number of numbers) {
      if (number === 0) continue;
      const other = segments.table.packName(number);
      const list = referrers.get(other);
      if (list === undefined) referrers.set(other, [name]);
      else list.push(name);
    }
  }
  // A set goes on over what is added to it meanwhile.
  for (const name of doubtful) for (const other of referrers.get(name) ?? []) doubtful.add(other);
  return doubtful;
}
