/**
 * Finds out what of each snapshot can be restored, without reading its pages: its recipe is put
 * together, and each slot looked up in the tables of its pack. Deltas are followed down to full
 * pages where anything that they might stand on is lost; each frame of them is read once.
 */
import { PAGE_BYTES } from '../bytes/page.ts';
import { FIRST_DELTA_SLOT } from '../bytes/slot.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { isDamage, StoreError } from '../errors.ts';
import { LOST_SEGMENT, ZERO_SEGMENT, type PageRuns } from '../manifest/page-runs.ts';
import { FRAME_PAGES } from '../pack/format.ts';
import type { FrameTable } from '../pack/frame-table.ts';
import type { PackReader } from '../pack/reader.ts';
import type { Pacer } from './clock.ts';
import type { OperationOptions, StoreContext } from './context.ts';
import { findPagesLeft } from './snapshot-pages.ts';

/** What is lost of one file of a snapshot. */
export interface UnrepairedSpace {
  /** Name of the image; empty for the container's files. */
  readonly image: string;
  /** Name of the space whose pages it holds; undefined when it holds none. */
  readonly space: string | undefined;
  readonly lostBytes: number;
}

/** What was found out about a snapshot. */
export interface SnapshotFinding {
  /** Why nothing of it can be restored; undefined when something can. */
  readonly problem: string | undefined;
  /** Empty when it is whole. */
  readonly spaces: readonly UnrepairedSpace[];
}

/** Whether nothing of a snapshot is lost. */
export function isComplete({ problem, spaces }: SnapshotFinding): boolean {
  return problem === undefined && spaces.length === 0;
}

/** Bytes that a finding says are lost. */
export function lostBytesOf({ problem, spaces }: SnapshotFinding): number {
  if (problem !== undefined) return Infinity;
  return spaces.reduce((sum, { lostBytes }) => sum + lostBytes, 0);
}

/**
 * Looks at snapshots of a catalog.
 *
 * @param deep ids of snapshots whose deltas are followed in any case.
 */
export async function evaluate(
  context: StoreContext,
  rows: readonly SnapshotRow[],
  deep: ReadonlySet<string>,
  pacer: Pacer,
  onProgress: OperationOptions['onProgress'],
): Promise<Map<string, SnapshotFinding>> {
  context.segments.refresh();
  const slots = new SlotFinder(context);
  const findings = new Map<string, SnapshotFinding>();
  for (const [i, row] of rows.entries()) {
    findings.set(row.id, await evaluateOne(context, row, slots, deep.has(row.id), pacer));
    onProgress?.({ phase: 'snapshots', done: i + 1, total: rows.length });
    await pacer.pause();
  }
  return findings;
}

async function evaluateOne(
  context: StoreContext,
  row: SnapshotRow,
  slots: SlotFinder,
  deep: boolean,
  pacer: Pacer,
): Promise<SnapshotFinding> {
  try {
    const { files } = await findPagesLeft(context, row, pacer);
    const spaces: UnrepairedSpace[] = [];
    for (const { name, content, role, runs } of files) {
      const lost = await countLost(runs, slots, deep, pacer);
      if (lost === 0) continue;
      const image = Buffer.from(name).toString();
      spaces.push({ image, space: content.addresses?.name ?? role, lostBytes: lost * PAGE_BYTES });
    }
    return { problem: undefined, spaces };
  } catch (error) {
    if (!isDamage(error)) throw error;
    const problem = error instanceof StoreError ? error.message : String(error);
    return { problem, spaces: [] };
  }
}

async function countLost(
  runs: PageRuns,
  slots: SlotFinder,
  deep: boolean,
  pacer: Pacer,
): Promise<number> {
  let lost = 0;
  for (let run = 0; run < runs.length; run++) {
    const segment = runs.segment[run] as number;
    if (segment === ZERO_SEGMENT) continue;
    const first = runs.slot[run] as number;
    const start = run === 0 ? 0 : (runs.end[run - 1] as number);
    const end = first + (runs.end[run] as number) - start;
    for (let slot = first; slot < end;) {
      const { count, isLost } = slots.look(segment, slot, end - slot, deep);
      if (isLost) lost += count;
      slot += count;
      await pacer.pause();
    }
  }
  return lost;
}

/** Some consecutive slots that are all lost, or all there. */
interface LookedUp {
  readonly count: number;
  readonly isLost: boolean;
}

/** Deltas of a frame: what each of its 64 slots stands on, and what is known of it. */
interface DeltaBases {
  readonly segment: Uint32Array;
  readonly slot: Uint32Array;
  /** One of LOOKED. */
  readonly state: Uint8Array;
}

const LOOKED = { no: 0, there: 1, lost: 2 } as const;

/** Looks slots up in the tables of packs. */
class SlotFinder {
  readonly #context: StoreContext;
  /** Packs whose deltas might stand on something that is lost; undefined until it is asked for. */
  #doubtful: ReadonlySet<string> | undefined;
  /** By segment and frame. */
  readonly #frames = new Map<string, DeltaBases>();

  constructor(context: StoreContext) {
    this.#context = context;
  }

  /** Looks at a slot, and at those that follow it in its frame. */
  look(segment: number, slot: number, limit: number, deep: boolean): LookedUp {
    if (segment === LOST_SEGMENT) return { count: limit, isLost: true };
    const place = this.#place(segment, slot);
    if (place === undefined) return { count: 1, isLost: true };
    const { reader, table, index } = place;
    if (reader.isLost(table, index)) return { count: 1, isLost: true };
    if (slot >= FIRST_DELTA_SLOT && (deep || this.#isDoubtful(segment))) {
      return { count: 1, isLost: this.#isDeltaLost(segment, slot) };
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

  #isDeltaLost(segment: number, slot: number): boolean {
    const frame = this.#basesOf(segment, slot);
    const at = slot % FRAME_PAGES;
    if (frame.state[at] === LOOKED.no) {
      // Lost until it is known: a chain that comes back to itself never ends.
      frame.state[at] = LOOKED.lost;
      const base = frame.segment[at] as number;
      const isThere = base !== 0 && !this.look(base, frame.slot[at] as number, 1, true).isLost;
      if (isThere) frame.state[at] = LOOKED.there;
    }
    return frame.state[at] === LOOKED.lost;
  }

  #basesOf(segment: number, slot: number): DeltaBases {
    const key = `${segment} ${Math.floor(slot / FRAME_PAGES)}`;
    const known = this.#frames.get(key);
    if (known !== undefined) return known;
    const bases = {
      segment: new Uint32Array(FRAME_PAGES),
      slot: new Uint32Array(FRAME_PAGES),
      state: new Uint8Array(FRAME_PAGES),
    };
    const place = this.#place(segment, slot);
    if (place !== undefined) unlessDamaged(() => this.#readBases(place, bases));
    this.#frames.set(key, bases);
    return bases;
  }

  #readBases({ reader, table, index }: SlotInPack, bases: DeltaBases): void {
    const frame = reader.readDeltaFrame(table, index);
    for (const [rank, slot] of table.slotsAt(index).entries()) {
      const identity = reader.footer.references[frame.baseSegment[rank] as number];
      const number = identity === undefined ? 0 : this.#context.segments.find(identity);
      bases.segment[slot % FRAME_PAGES] = number;
      bases.slot[slot % FRAME_PAGES] = frame.baseSlot[rank] as number;
    }
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
