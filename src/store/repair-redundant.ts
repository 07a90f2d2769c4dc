/**
 * Damaged packs that nobody needs: all that can be read of them is in other packs, and whatever is
 * lost is told there as well. So it is after healing, and after a healing that was cut off.
 */
import { sameBytes, toHex } from '../bytes/hex.ts';
import { isDamage } from '../errors.ts';
import { framesOf } from '../pack/frame-layers.ts';
import type { SlotPlace } from '../pack/frame-tables.ts';
import type { PackReader } from '../pack/reader.ts';
import { bestCopies, type SegmentCopy } from './repair-choose.ts';
import type { HealedPack } from './repair-heal.ts';
import type { RepairWork } from './repair-plan.ts';
import type { ScannedPack } from './repair-scan.ts';
import { encodeStates } from '../pack/states.ts';

/** Tells damaged packs of which everything is in other packs from all others. */
export async function findRedundant(
  work: RepairWork,
  packs: readonly ScannedPack[],
  healed: readonly HealedPack[],
): Promise<{ readonly needed: ScannedPack[]; readonly redundant: ScannedPack[] }> {
  let needed = [...packs];
  const redundant: ScannedPack[] = [];
  // One that was written for its digests alone may be no more needed than the one before was.
  const isNew = new Set(healed.filter(({ pages }) => pages > 0).map(({ newName }) => newName));
  for (const pack of packs) {
    if (pack.problems.length === 0 || isNew.has(pack.name)) continue;
    const others = needed.filter((other) => other !== pack);
    if (!(await isRedundant(work, pack, others))) continue;
    needed = others;
    redundant.push(pack);
  }
  return { needed, redundant };
}

async function isRedundant(
  work: RepairWork,
  pack: ScannedPack,
  others: readonly ScannedPack[],
): Promise<boolean> {
  const { references, entries } = work.packs.reader(pack.name).footer;
  const best = bestCopies(others);
  // By what the footer lists: what cannot be read here must be elsewhere all the same.
  for (const entry of entries) {
    if (entry.type === 'manifest' && !others.some((other) => hasManifest(other, entry.digest))) {
      return false;
    }
    if (entry.type !== 'frameTable') continue;
    const copy = best.get(toHex(references[entry.segment] as Uint8Array));
    // What a table lists that cannot be read is not known: whoever has all tables lacks nothing.
    if (copy === undefined || !(pack.hasTables || copy.pack.hasTables)) return false;
    if (!(await isCovered(work, pack, entry.segment, copy))) return false;
  }
  return hasStates(pack, others);
}

function hasManifest({ manifests }: ScannedPack, digest: Uint8Array): boolean {
  return manifests.some(({ facts }) => sameBytes(facts.manifestDigest, digest));
}

function hasStates({ states }: ScannedPack, others: readonly ScannedPack[]): boolean {
  if (states === undefined) return true;
  const bytes = encodeStates(states);
  return others.some((other) => {
    return other.states !== undefined && sameBytes(encodeStates(other.states), bytes);
  });
}

/** Whether a copy has every slot of a segment, and can read every one that can be read here. */
async function isCovered(
  { packs, pacer }: RepairWork,
  { name }: ScannedPack,
  local: number,
  copy: SegmentCopy,
): Promise<boolean> {
  const reader = packs.reader(name);
  const other = packs.reader(copy.pack.name);
  for (const { table, index } of framesOf(reader.tables.readable(local))) {
    await pacer.pause();
    for (const slot of table.slotsAt(index)) {
      const place = findIn(other, copy.segment.local, slot);
      if (place === undefined) return false;
      if (other.isLost(place.table, place.index) && !reader.isLost(table, index)) return false;
    }
  }
  return true;
}

/** Where a slot is; undefined where a damaged table might tell. */
function findIn(reader: PackReader, local: number, slot: number): SlotPlace | undefined {
  try {
    return reader.find(local, slot);
  } catch (error) {
    if (!isDamage(error)) throw error;
    return undefined;
  }
}
