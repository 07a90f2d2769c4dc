/**
 * Damaged packs that nobody needs: all that can be read of them is in other packs, and whatever is
 * lost is told there as well. So it is after healing, and after a healing that was cut off.
 */
import { sha256 } from '#digest';
import { toHex } from '../bytes/hex.ts';
import { isDamage } from '../errors.ts';
import { framesOf } from '../pack/frame-layers.ts';
import type { SlotPlace } from '../pack/frame-tables.ts';
import type { PackReader } from '../pack/reader.ts';
import { encodeStates, type States } from '../pack/states.ts';
import { groupBy } from './group-by.ts';
import { isBetter, type SegmentCopy } from './repair-choose.ts';
import type { HealedPack } from './repair-heal.ts';
import type { RepairWork } from './repair-plan.ts';
import type { ScannedPack } from './repair-scan.ts';

/** Tells damaged packs of which everything is in other packs from all others. */
export async function findRedundant(
  work: RepairWork,
  packs: readonly ScannedPack[],
  healed: readonly HealedPack[],
): Promise<{ readonly needed: ScannedPack[]; readonly redundant: ScannedPack[] }> {
  const needed = new Set(packs);
  const holders = new Holders(packs);
  // One that was written for its digests alone may be no more needed than the one before was.
  const isNew = new Set(healed.filter(({ pages }) => pages > 0).map(({ newName }) => newName));
  for (const pack of packs) {
    if (pack.problems.length === 0 || isNew.has(pack.name)) continue;
    needed.delete(pack);
    if (await isRedundant(work, pack, holders, needed)) continue;
    needed.add(pack);
  }
  return {
    needed: packs.filter((pack) => needed.has(pack)),
    redundant: packs.filter((pack) => !needed.has(pack)),
  };
}

/** Which packs hold what, each in the order of the packs. */
class Holders {
  readonly #segments: ReadonlyMap<string, readonly SegmentCopy[]>;
  readonly #manifests: ReadonlyMap<string, readonly { readonly pack: ScannedPack }[]>;
  readonly #packs: readonly ScannedPack[];
  /** Made when it is asked for: few packs tell of states, and fewer of them are damaged. */
  #states: ReadonlyMap<string | undefined, readonly ScannedPack[]> | undefined;

  constructor(packs: readonly ScannedPack[]) {
    this.#packs = packs;
    const copies = packs.flatMap((pack) => pack.segments.map((segment) => ({ pack, segment })));
    this.#segments = groupBy(copies, ({ segment }) => toHex(segment.identity));
    const manifests = packs.flatMap((pack) => {
      return pack.manifests.map(({ facts }) => ({ pack, digest: toHex(facts.manifestDigest) }));
    });
    this.#manifests = groupBy(manifests, ({ digest }) => digest);
  }

  /** Where readers look for a segment if there are no more packs than these. */
  bestCopy(identity: Uint8Array, among: ReadonlySet<ScannedPack>): SegmentCopy | undefined {
    const key = toHex(identity);
    let best: SegmentCopy | undefined;
    for (const copy of this.#segments.get(key) ?? []) {
      if (among.has(copy.pack) && (best === undefined || isBetter(key, copy, best))) best = copy;
    }
    return best;
  }

  /** Whether one of these packs has a manifest. */
  haveManifest(digest: Uint8Array, among: ReadonlySet<ScannedPack>): boolean {
    return (this.#manifests.get(toHex(digest)) ?? []).some(({ pack }) => among.has(pack));
  }

  /** Whether one of these packs has the same states. */
  haveStates(states: States, among: ReadonlySet<ScannedPack>): boolean {
    this.#states ??= groupBy(this.#packs, (pack) => pack.states && statesKey(pack.states));
    return (this.#states.get(statesKey(states)) ?? []).some((pack) => among.has(pack));
  }
}

function statesKey(states: States): string {
  return toHex(sha256(encodeStates(states)));
}

async function isRedundant(
  work: RepairWork,
  pack: ScannedPack,
  holders: Holders,
  others: ReadonlySet<ScannedPack>,
): Promise<boolean> {
  const { references, entries } = work.packs.reader(pack.name).footer;
  // By what the footer lists: what cannot be read here must be elsewhere all the same.
  for (const entry of entries) {
    if (entry.type === 'manifest' && !holders.haveManifest(entry.digest, others)) return false;
    if (entry.type !== 'frameTable') continue;
    const copy = holders.bestCopy(references[entry.segment] as Uint8Array, others);
    // What a table lists that cannot be read is not known: whoever has all tables lacks nothing.
    if (copy === undefined || !(pack.hasTables || copy.pack.hasTables)) return false;
    if (!(await isCovered(work, pack, entry.segment, copy))) return false;
  }
  return pack.states === undefined || holders.haveStates(pack.states, others);
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
