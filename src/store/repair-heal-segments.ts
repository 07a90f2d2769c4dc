/**
 * Writes segments that no pack has any more, as far as their pages were found elsewhere: in one new
 * pack, each page in the slot that recipes and deltas refer to. So even a pack that is gone is
 * healed, for all but the snapshot whose manifest was in it.
 */
import { toHex } from '../bytes/hex.ts';
import { BlockEncoder } from '../pack/block.ts';
import { HealingBases, type FoundPages } from './repair-found-pages.ts';
import {
  digestsOfDeltas,
  neededSlots,
  NeededSlotsCopy,
  type NeededSlots,
} from './repair-needed-slots.ts';
import type { RepairWork } from './repair-plan.ts';
import { identitiesOf, scanPack, type ScannedPack } from './repair-scan.ts';
import { stagePack } from './repair-staged.ts';

interface MissingSegment {
  readonly identity: Uint8Array;
  readonly slots: NeededSlots;
}

/** Writes what was found of missing segments; undefined when nothing was. */
export async function writeMissing(
  work: RepairWork,
  found: FoundPages,
): Promise<{ readonly pack: ScannedPack; readonly pages: number } | undefined> {
  const segments = missingSegments(found);
  if (segments.length === 0) return undefined;
  const name = await stagePack(work, async (writer) => {
    const encoder = new BlockEncoder(work.zstd);
    const here = new Set(segments.map(({ identity }) => toHex(identity)));
    const target = { writer, encoder, pacer: work.pacer, segments: here };
    const bases = new HealingBases();
    await bases.add(
      segments.flatMap(({ slots }) => digestsOfDeltas(found, slots)),
      found,
      target,
    );
    const copy = new NeededSlotsCopy(found, bases, target);
    for (const { identity, slots } of segments) await copy.add(identity, slots);
  });
  const pages = segments.reduce((sum, { slots }) => sum + slots.found.length, 0);
  const pack = await scanPack(work, name, true, work.pacer);
  return { pack: { ...pack, listed: identitiesOf(pack) }, pages };
}

/** Those of which anything was found, in an order that is the same whenever it is done. */
function missingSegments(found: FoundPages): MissingSegment[] {
  return [...found.lost.missing()]
    .map(({ identity, number }) => ({ identity, slots: neededSlots(found, number) }))
    .filter(({ slots }) => slots.found.length > 0)
    .sort((a, b) => (toHex(a.identity) < toHex(b.identity) ? -1 : 1));
}
