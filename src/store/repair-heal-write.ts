/**
 * Writes a pack once more, with pages that were found elsewhere (repair-heal-parts.ts). Local
 * numbers of segments stay, so that frames are copied byte by byte.
 *
 * Delta pages that were found are deltas of no bytes: on a full page that some pack has, or, where
 * none has it, on one that is written here, in a segment of its own.
 */
import { DIGEST_BYTES } from '#digest';
import { toHex } from '../bytes/hex.ts';
import { idFromText } from '../bytes/id.ts';
import { PAGE_BYTES } from '../bytes/page.ts';
import { BlockEncoder } from '../pack/block.ts';
import { pageDigests } from '../pack/check-frame.ts';
import { BLOCK, FRAME_BYTES } from '../pack/format.ts';
import { frameLayers } from '../pack/frame-layers.ts';
import { encodeKeptDeltas, type FullPagePlace } from '../pack/kept-deltas.ts';
import type { PackReader } from '../pack/reader.ts';
import { encodeStates } from '../pack/states.ts';
import type { CollectedFrame, PackWriter } from '../pack/writer.ts';
import {
  type FramePart,
  needsDigests,
  type SegmentParts,
  segmentsOf,
} from './repair-heal-parts.ts';
import {
  type BasesTarget,
  type FoundPages,
  HealingBases,
  REPAIR_LEVEL,
} from './repair-found-pages.ts';
import {
  digestsOfDeltas,
  type NeededSlots,
  NeededSlotsCopy,
  slotBits,
} from './repair-needed-slots.ts';
import type { RepairWork } from './repair-plan.ts';
import { identitiesOf, scanPack, type ScannedPack } from './repair-scan.ts';
import { stagePack } from './repair-staged.ts';

/** A pack that was written once more. */
export interface WrittenPack {
  readonly pack: ScannedPack;
  /** How many lost pages it has. */
  readonly pages: number;
  /** The former one: all that can be read of it is in the other. */
  readonly former: ScannedPack;
}

/**
 * Writes a pack once more.
 *
 * @returns undefined when no lost page of it has been found, and no digests are to be computed.
 */
export async function writeHealed(
  work: RepairWork,
  pack: ScannedPack,
  found: FoundPages,
): Promise<WrittenPack | undefined> {
  const reader = work.packs.reader(pack.name);
  const segments = await segmentsOf(work, pack, found);
  const healed = segments.flatMap(({ parts }) => parts).filter(({ kind }) => kind === 'healed');
  const unlisted = segments.map((segment) => segment.unlisted);
  const foundAgain = sumOf(unlisted, (slots) => slots.found.length);
  if (healed.length === 0 && foundAgain === 0 && !needsDigests(pack)) return undefined;
  const inLost = sumOf(healed, ({ table, index, found }) =>
    reader.isLost(table, index) ? found.size : 0,
  );
  const name = await stagePack(work, async (writer) => {
    for (const identity of reader.footer.references) writer.reference(identity);
    const copy = new HealedCopy(work, writer, pack, found);
    await copy.addBases(healed, unlisted);
    for (const segment of segments) await copy.addSegment(segment);
    await copy.addManifests(pack);
    if (pack.states !== undefined) writer.addStates(encodeStates(pack.states));
  });
  forgetLost(work, name);
  const written = await scanPack(work, name, true, work.pacer);
  const stillLost = lostPagesOf(pack) - inLost + sumOf(unlisted, ({ lost }) => lost.length);
  // A frame that could not be read may be as it was: a medium that fails does not always.
  if (lostPagesOf(written) > stillLost) {
    throw new Error('a pack that was healed is not as it was meant');
  }
  const pages = foundAgain + sumOf(healed, (part) => part.found.size);
  const problems = pack.problems.length > 0 ? pack.problems : ['deltas stand on lost pages'];
  return {
    pack: { ...written, listed: listedOf(written, pack) },
    pages,
    former: { ...pack, problems, isReplaced: true },
  };
}

/** Readers look here for what they looked for in the former pack, and for what is new. */
function listedOf(written: ScannedPack, former: ScannedPack): Set<string> {
  const before = identitiesOf(former);
  const added = [...identitiesOf(written)].filter((identity) => !before.has(identity));
  return new Set([...former.listed, ...added]);
}

/** What was written are the bytes of that name: what is known of others under it is over. */
function forgetLost({ packs, layout }: RepairWork, name: string): void {
  const file = layout.packFile(name);
  for (const offset of packs.lostFrames.offsetsOf(file)) packs.lostFrames.forget({ file, offset });
}

function lostPagesOf({ segments }: ScannedPack): number {
  return sumOf(segments, ({ lostPages }) => lostPages);
}

function sumOf<T>(items: readonly T[], valueOf: (item: T) => number): number {
  return items.reduce((sum, item) => sum + valueOf(item), 0);
}

/** Copies a pack. */
class HealedCopy {
  readonly #work: RepairWork;
  readonly #writer: PackWriter;
  readonly #reader: PackReader;
  readonly #found: FoundPages;
  readonly #target: BasesTarget;
  readonly #bases = new HealingBases();
  readonly #raw = new Uint8Array(FRAME_BYTES);

  constructor(work: RepairWork, writer: PackWriter, pack: ScannedPack, found: FoundPages) {
    this.#work = work;
    this.#writer = writer;
    this.#reader = work.packs.reader(pack.name);
    this.#found = found;
    const encoder = new BlockEncoder(work.zstd);
    const segments = new Set(this.#reader.footer.references.map(toHex));
    this.#target = { writer, encoder, pacer: work.pacer, segments };
  }

  /** Finds the full pages that delta pages are the same as. */
  async addBases(healed: readonly FramePart[], unlisted: readonly NeededSlots[]): Promise<void> {
    const deltas = healed.filter(({ table, index }) => table.isDelta(index));
    const digests = deltas.flatMap(({ found }) => [...found.values()]);
    const others = unlisted.flatMap((slots) => digestsOfDeltas(this.#found, slots));
    await this.#bases.add(digests.concat(others), this.#found, this.#target);
  }

  async addSegment({ identity, parts, unlisted }: SegmentParts): Promise<void> {
    for (const layer of frameLayers(parts, ({ table, index }) => table.entryAt(index).frame)) {
      this.#writer.beginSegment(identity);
      for (const part of layer) {
        this.#addPart(part);
        await this.#work.pacer.pause();
      }
      this.#writer.endSegment();
    }
    await new NeededSlotsCopy(this.#found, this.#bases, this.#target).add(identity, unlisted);
  }

  #addPart(part: FramePart): void {
    const { table, index, kind } = part;
    const head = this.#describe(part);
    if (kind === 'right') this.#writer.addFrame(head, this.#reader.frameBlock(table, index));
    else if (kind === 'lost') {
      this.#writer.addFrame(head, this.#reader.damagedBlock(table, index));
    } else if (table.isDelta(index)) this.#writer.addFrame(head, this.#encodeDeltas(part));
    else this.#writer.addFrame(head, this.#encodePages(part));
  }

  #encodePages({ ranks, found }: FramePart): Uint8Array {
    for (const [place, rank] of ranks.entries()) {
      this.#raw.fill(0, place * PAGE_BYTES, (place + 1) * PAGE_BYTES);
      this.#raw.set(this.#found.read(found.get(rank) as Uint8Array), place * PAGE_BYTES);
    }
    const raw = this.#raw.subarray(0, ranks.length * PAGE_BYTES);
    return this.#target.encoder.encode(BLOCK.frame, raw, REPAIR_LEVEL);
  }

  #encodeDeltas({ table, index, ranks, found }: FramePart): Uint8Array {
    const copies = new Map<number, FullPagePlace>();
    for (const [rank, digest] of found) {
      copies.set(rank, this.#bases.of(digest));
    }
    const isAll = copies.size === ranks.length;
    const frame = isAll ? undefined : this.#reader.readDeltaFrame(table, index);
    const raw = encodeKeptDeltas(frame, ranks, (segment) => segment, copies);
    return this.#target.encoder.encode(BLOCK.deltaFrame, raw, REPAIR_LEVEL);
  }

  #digestsOf({ table, index, digests }: FramePart): Uint8Array {
    if (digests !== undefined) return digests;
    const reader = this.#reader;
    if (reader.digestBlocks.areRight(table, index)) return reader.frameDigests(table, index);
    reader.readFrame(table, index, this.#raw);
    return pageDigests(table, index, this.#raw);
  }

  #describe(part: FramePart): CollectedFrame {
    const { table, index, ranks, found } = part;
    const all = table.slotsAt(index);
    const isDelta = table.isDelta(index);
    const known = isDelta ? new Uint8Array(0) : this.#digestsOf(part);
    const digests = new Uint8Array(isDelta ? 0 : ranks.length * DIGEST_BYTES);
    const shortPages: CollectedFrame['shortPages'][number][] = [];
    for (const [place, rank] of ranks.entries()) {
      const slot = all[rank] as number;
      const digestFound = isDelta ? undefined : found.get(rank);
      // Nobody knew how long a page was that was lost with its pack.
      const bytes =
        digestFound === undefined ? table.pageBytes(slot) : this.#found.read(digestFound).length;
      if (bytes < PAGE_BYTES) shortPages.push({ slot, bytes });
      if (isDelta) continue;
      const digest = known.subarray(rank * DIGEST_BYTES, (rank + 1) * DIGEST_BYTES);
      digests.set(digest, place * DIGEST_BYTES);
    }
    const { frame } = table.entryAt(index);
    const slots = slotBits(ranks.map((rank) => all[rank] as number));
    return { frame, pages: ranks.length, slots, digests, shortPages };
  }

  /** All manifests that can be read. */
  async addManifests({ manifests }: ScannedPack): Promise<void> {
    for (const { facts } of manifests) {
      const { manifestDigest: digest, revision } = facts;
      const snapshotId = idFromText(facts.id) as Uint8Array;
      const bytes = this.#reader.readManifest(digest);
      const parts = this.#writer.addManifestParts({ snapshotId, revision, digest, bytes });
      for (const _ of parts) await this.#work.pacer.pause();
    }
  }
}
