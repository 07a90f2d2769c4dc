/**
 * Lost pages of which the digest is known, and where else a page with that digest is: the digests
 * of all full frames of all packs are read, and a page counts when its bytes have it as well.
 */
import { DIGEST_BYTES, sha256Into } from '#digest';
import { PAGE_BYTES } from '../bytes/page.ts';
import { FIRST_DELTA_SLOT } from '../bytes/slot.ts';
import { isDamage } from '../errors.ts';
import { pageDigests } from '../pack/check-frame.ts';
import { FRAME_BYTES } from '../pack/format.ts';
import { framesOf, type FramePlace } from '../pack/frame-layers.ts';
import type { PackReader } from '../pack/reader.ts';
import type { StoreContext } from './context.ts';
import { bestCopies } from './repair-choose.ts';
import type { LostSlots } from './repair-lost-slots.ts';
import type { RepairWork } from './repair-plan.ts';
import type { ScannedPack } from './repair-scan.ts';

/** A full page that has the digest of one that is lost. */
export interface PageSource {
  /** Name of the pack. */
  readonly pack: string;
  /** Identity of its segment, and whether that pack is where readers look for the segment. */
  readonly segment: Uint8Array;
  readonly isBest: boolean;
  readonly place: FramePlace;
  /** Its place among the pages of the frame. */
  readonly rank: number;
  readonly slot: number;
  readonly bytes: number;
}

/** The pages that are wanted, by `digestKey`; undefined for those that have not been found. */
export type WantedPages = Map<string, PageSource | undefined>;

/** A digest as a key of a Map. */
export function digestKey(digests: Uint8Array, rank: number): string {
  const start = rank * DIGEST_BYTES;
  const end = start + DIGEST_BYTES;
  return Buffer.from(digests.buffer, digests.byteOffset, digests.length).toString(
    'latin1',
    start,
    end,
  );
}

/** Digests of all lost full pages of segments of which no better copy is there. */
export async function findWanted(
  work: RepairWork,
  known: readonly ScannedPack[],
): Promise<WantedPages> {
  const wanted: WantedPages = new Map();
  const best = bestCopies(known);
  const chosen = new Set([...best.values()].map(({ segment }) => segment));
  for (const { name, segments } of known) {
    if (segments.every(({ lostPages }) => lostPages === 0)) continue;
    const reader = work.packs.reader(name);
    for (const segment of segments) {
      if (!chosen.has(segment) || segment.lostPages === 0) continue;
      for (const { table, index } of framesOf(reader.tables.readable(segment.local))) {
        if (table.isDelta(index) || !reader.isLost(table, index)) continue;
        if (!reader.digestBlocks.areRight(table, index)) continue;
        const digests = reader.frameDigests(table, index);
        const pages = table.pagesAt(index);
        for (let rank = 0; rank < pages; rank++) wanted.set(digestKey(digests, rank), undefined);
        await work.pacer.pause();
      }
    }
  }
  return wanted;
}

/** Learns digests of slots that no table lists where readers look from other copies there. */
export async function addDigestsOfCopies(
  { packs, pacer }: RepairWork,
  known: readonly ScannedPack[],
  { draft, lost }: { readonly draft: StoreContext; readonly lost: LostSlots },
): Promise<void> {
  for (const { name, segments } of known) {
    for (const { identity, local } of segments) {
      const number = draft.segments.find(identity);
      const slots = lost.unlisted(number);
      if (slots.length === 0 || draft.segments.at(number)?.packName === name) continue;
      for (const slot of slots) {
        await pacer.pause();
        ignoringDamage(() => {
          const reader = packs.reader(name);
          const place = slot < FIRST_DELTA_SLOT ? reader.find(local, slot) : undefined;
          if (place === undefined || !reader.digestBlocks.areRight(place.table, place.index))
            return;
          const digests = reader.frameDigests(place.table, place.index);
          const start = place.table.rankOf(place.index, slot) * DIGEST_BYTES;
          lost.add(number, slot, digests.subarray(start, start + DIGEST_BYTES));
        });
      }
    }
  }
}

/** Finds wanted pages in packs, and reads them: only what is found right counts. */
export async function searchPacks(
  work: RepairWork,
  packs: readonly ScannedPack[],
  wanted: WantedPages,
): Promise<void> {
  if (wanted.size === 0) return;
  const best = new Set([...bestCopies(packs).values()].map(({ segment }) => segment));
  for (const { name, segments } of packs) {
    for (const segment of segments) {
      if (segment.pages === 0) continue;
      const { identity, local } = segment;
      const source = { pack: name, segment: identity, isBest: best.has(segment) };
      await searchSegment(work, { source, local }, wanted);
    }
  }
}

/** A segment to search. */
interface Searched {
  readonly source: Pick<PageSource, 'pack' | 'segment' | 'isBest'>;
  readonly local: number;
}

async function searchSegment(
  work: RepairWork,
  searched: Searched,
  wanted: WantedPages,
): Promise<void> {
  const reader = work.packs.reader(searched.source.pack);
  const buffer = Buffer.alloc(FRAME_BYTES);
  for (const place of framesOf(reader.tables.readable(searched.local))) {
    await work.pacer.pause();
    const { table, index } = place;
    // Those of deltas come last.
    if (table.isDelta(index)) break;
    if (reader.isLost(table, index)) continue;
    ignoringDamage(() => searchFrame(reader, { searched, place, wanted }, buffer));
  }
}

function searchFrame(
  reader: PackReader,
  { searched, place, wanted }: { searched: Searched; place: FramePlace; wanted: WantedPages },
  buffer: Buffer,
): void {
  const { table, index } = place;
  const { source } = searched;
  const hasDigests = reader.digestBlocks.areRight(table, index);
  if (!hasDigests) reader.readFrame(table, index, buffer);
  const digests = hasDigests
    ? reader.frameDigests(table, index)
    : pageDigests(table, index, buffer);
  const digest = Buffer.alloc(DIGEST_BYTES);
  let isRead = !hasDigests;
  for (const [rank, slot] of table.slotsAt(index).entries()) {
    const key = digestKey(digests, rank);
    const known = wanted.get(key);
    if (!wanted.has(key) || known?.isBest === true) continue;
    if (known !== undefined && !source.isBest) continue;
    if (!isRead) reader.readFrame(table, index, buffer);
    isRead = true;
    const bytes = table.pageBytes(slot);
    sha256Into(buffer.subarray(rank * PAGE_BYTES, rank * PAGE_BYTES + bytes), digest, 0);
    if (digestKey(digest, 0) === key) wanted.set(key, { ...source, place, rank, slot, bytes });
    else reader.reportLost(table, index);
  }
}

/** Whether it could be done. */
function ignoringDamage(action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (!isDamage(error)) throw error;
    return false;
  }
}
