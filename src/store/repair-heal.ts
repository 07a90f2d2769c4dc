/**
 * Healing: full pages of frames that are damaged, but whose digests are not, are looked for in all
 * other frames. A pack of which pages are found is written once more, under another name: what can
 * be read of it as it is, the pages that were found in their slots, and what is still lost as lost
 * as it was, so that a later repair may find the rest. No recipe changes.
 *
 * Pages of deltas have no digests: nobody can tell where else their content is.
 */
import { writeHealed } from './repair-heal-write.ts';
import { findWanted, searchPack } from './repair-lost-pages.ts';
import type { RepairWork } from './repair-plan.ts';
import { scanPack, type ScannedPack } from './repair-scan.ts';

/** A pack of which lost pages were found elsewhere. */
export interface HealedPack {
  /** Name of the damaged pack. */
  readonly name: string;
  /**
   * Name of the pack that has all of it, and the pages that were found. The same name says that it
   * is again, byte by byte, what it was; otherwise the damaged one goes to damaged/.
   */
  readonly newName: string;
  /** How many pages were found. */
  readonly pages: number;
}

/** What was healed, and the packs that there are now: damaged ones, and those in their places. */
export interface Healing {
  readonly packs: readonly ScannedPack[];
  readonly healed: readonly HealedPack[];
}

/** Heals what can be healed, in packs that are read from staging from here on. */
export async function healPacks(
  work: RepairWork,
  scanned: readonly ScannedPack[],
): Promise<Healing> {
  const { packs, layout, pacer } = work;
  const isDamaged = ({ name }: ScannedPack) => packs.lostFrames.mayHave(layout.packFile(name));
  if (!scanned.some(isDamaged)) return { packs: scanned, healed: [] };
  const known: ScannedPack[] = [];
  for (const pack of scanned) {
    // All that is wrong with a pack is found before it is written once more.
    known.push(isDamaged(pack) ? await scanPack(work, pack.name, true, pacer) : pack);
  }
  const damaged = known.filter(isDamaged);
  const wanted = await findWanted(work, known, damaged);
  if (wanted.size > 0) for (const pack of known) await searchPack(work, pack, wanted);
  const added: ScannedPack[] = [];
  const healed: HealedPack[] = [];
  for (const pack of damaged) {
    const written = await writeHealed(work, pack, wanted);
    if (written === undefined) continue;
    const { name: newName } = written.pack;
    added.push(written.pack);
    healed.push({ name: pack.name, newName, pages: written.pages });
  }
  const names = new Set(added.map(({ name }) => name));
  // All of a pack may be found: then it is what it was, by its name.
  return { packs: [...known.filter(({ name }) => !names.has(name)), ...added], healed };
}
