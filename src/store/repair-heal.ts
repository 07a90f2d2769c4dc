/**
 * Healing: pages that are lost, but whose digests are known, are looked for in all that can be
 * read. A pack of which pages are found is written once more, under another name: what can be read
 * of it as it is, the pages that were found in their slots, and what is still lost as lost as it
 * was, so that a later repair may find the rest. No recipe changes. A pack whose digests are
 * damaged, and its frames at most beside, is written once more in any case, with those of the pages
 * that can be read. It goes on in rounds, each with a catalog that is tried out, until nothing more
 * is found; what rounds write waits in staging, and only what the last one left is published.
 *
 * Digests of full pages are beside them, in their packs; what a delta page was is known from heads
 * and leaves (repair-lost-slots.ts). A delta that cannot be read, in a damaged frame or because of
 * what it stands on, becomes one of no bytes on a full page. Of segments that no pack has any more,
 * what is found is written to a new pack.
 */
import { toHex } from '../bytes/hex.ts';
import type { StoreContext } from './context.ts';
import { FoundPages } from './repair-found-pages.ts';
import { writeMissing } from './repair-heal-segments.ts';
import { isFound } from './repair-heal-parts.ts';
import { writeHealed } from './repair-heal-write.ts';
import { addDigestsOfCopies, digestKey, findWanted, searchPacks } from './repair-lost-pages.ts';
import { findLostSlots } from './repair-lost-search.ts';
import type { RepairWork } from './repair-plan.ts';
import { scanPack, type ScannedPack } from './repair-scan.ts';

/** A pack of which lost pages were found elsewhere. */
export interface HealedPack {
  /** Name of the pack; undefined for segments of packs that are gone or cannot be opened. */
  readonly name: string | undefined;
  /**
   * Name of the pack that has all of it, and the pages that were found. The same name says that it
   * is again, byte by byte, what it was; otherwise the old one goes to damaged/.
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

/** What healing asks of a repair. */
export interface HealingStore {
  /** Whether pages of a snapshot are needed. */
  readonly isNeeded: (id: string) => boolean;
  /** Tries out a store of these packs, with a catalog that is made of them. */
  readonly tryOut: (
    packs: readonly ScannedPack[],
    use: (draft: StoreContext) => Promise<Healing | undefined>,
  ) => Promise<Healing | undefined>;
}

/** Heals what can be healed, in packs that are read from staging from here on. */
export async function healPacks(
  work: RepairWork,
  scanned: readonly ScannedPack[],
  { isNeeded, tryOut }: HealingStore,
): Promise<Healing> {
  const known = new KnownPacks(work, scanned);
  if (!known.areDamaged && !lackSegments(scanned)) return { packs: scanned, healed: [] };
  let healed: readonly HealedPack[] = [];
  for (;;) {
    await known.readDamaged();
    const round = await tryOut(known.packs, async (draft) => {
      return await heal(work, known, { draft, isNeeded });
    });
    if (round === undefined) continue;
    known.add(round);
    healed = joinHealed(healed, round.healed);
    // Leaves of which all is there again may tell what else was lost.
    if (!round.healed.some(({ pages }) => pages > 0)) return { packs: known.packs, healed };
  }
}

/** What was healed so far, and in one round more: of a pack that was healed again, one line. */
function joinHealed(
  before: readonly HealedPack[],
  round: readonly HealedPack[],
): readonly HealedPack[] {
  const again = new Set(round.map(({ name }) => name));
  const former = new Map(before.map((line) => [line.newName, line]));
  return [
    ...before.filter(({ newName }) => !again.has(newName)),
    ...round.map((line) => {
      const first = line.name === undefined ? undefined : former.get(line.name);
      if (first === undefined) return line;
      return { ...line, name: first.name, pages: first.pages + line.pages };
    }),
  ];
}

/** Packs, of which some are read in full: all that is wrong with them is found. */
class KnownPacks {
  packs: readonly ScannedPack[];
  readonly #work: RepairWork;
  readonly #read = new Set<string>();

  constructor(work: RepairWork, packs: readonly ScannedPack[]) {
    this.#work = work;
    this.packs = packs;
  }

  get areDamaged(): boolean {
    return this.packs.some((pack) => this.#isDamaged(pack));
  }

  #isDamaged({ name, hasDigests }: ScannedPack): boolean {
    const { packs, layout } = this.#work;
    return !hasDigests || packs.lostFrames.mayHave(layout.packFile(name));
  }

  async readDamaged(): Promise<void> {
    const packs: ScannedPack[] = [];
    for (const pack of this.packs) packs.push(this.#isDamaged(pack) ? await this.read(pack) : pack);
    this.packs = packs;
  }

  /** Goes on with what a round has left and written. */
  add({ packs, healed }: Healing): void {
    this.packs = packs;
    for (const { newName } of healed) this.#read.add(newName);
  }

  /** Reads every frame of a pack, unless that has been done. */
  async read(pack: ScannedPack): Promise<ScannedPack> {
    if (this.#read.has(pack.name)) return pack;
    this.#read.add(pack.name);
    const { listed, isReplaced } = pack;
    const read = await scanPack(this.#work, pack.name, true, this.#work.pacer);
    return { ...read, listed, isReplaced };
  }
}

/** @returns undefined when more damage was met than was known: before anything is written. */
async function heal(
  work: RepairWork,
  known: KnownPacks,
  { draft, isNeeded }: { readonly draft: StoreContext } & Pick<HealingStore, 'isNeeded'>,
): Promise<Healing | undefined> {
  const { lostFrames } = work.packs;
  const { found: damageBefore } = lostFrames;
  const lost = await findLostSlots(draft, isNeeded, work.pacer);
  await addDigestsOfCopies(work, known.packs, { draft, lost });
  const wanted = await findWanted(work, known.packs);
  for (const digest of lost.digests()) wanted.set(digestKey(digest, 0), undefined);
  await searchPacks(work, known.packs, wanted);
  const found = new FoundPages(draft, lost, wanted);
  const packs: ScannedPack[] = [];
  for (const pack of known.packs) {
    // What is copied has been read, and not only what is damaged is written once more.
    const isWanted = !pack.isReplaced && (await isFound(work, pack, found));
    packs.push(isWanted ? await known.read(pack) : pack);
  }
  known.packs = packs;
  return lostFrames.found > damageBefore ? undefined : await writeAll(work, known, found);
}

async function writeAll(work: RepairWork, known: KnownPacks, found: FoundPages): Promise<Healing> {
  const added: ScannedPack[] = [];
  const healed: HealedPack[] = [];
  const kept: ScannedPack[] = [];
  for (const pack of known.packs) {
    // What was damaged under that name has just been written as it was.
    if (added.some(({ name }) => name === pack.name)) continue;
    const written = pack.isReplaced ? undefined : await writeHealed(work, pack, found);
    kept.push(written?.former ?? pack);
    if (written === undefined) continue;
    const { name: newName } = written.pack;
    added.push(written.pack);
    healed.push({ name: pack.name, newName, pages: written.pages });
  }
  const missing = await writeMissing(work, found);
  if (missing !== undefined) {
    added.push(missing.pack);
    healed.push({ name: undefined, newName: missing.pack.name, pages: missing.pages });
  }
  const names = new Set(added.map(({ name }) => name));
  // All of a pack may be found: then it is what it was, by its name.
  return { packs: [...kept.filter(({ name }) => !names.has(name)), ...added], healed };
}

/** Whether anything refers to segments that no pack has. */
function lackSegments(packs: readonly ScannedPack[]): boolean {
  const here = new Set(
    packs.flatMap(({ segments }) => segments.map(({ identity }) => toHex(identity))),
  );
  return packs.some(({ references }) => [...references].some((identity) => !here.has(identity)));
}
