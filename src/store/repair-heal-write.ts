/**
 * Writes a damaged pack once more, with pages that were found elsewhere. Local numbers of segments
 * stay, so that frames are copied byte by byte. A frame of which only some pages were found becomes
 * two: those, and the rest as it was, damaged, with the digests by which it may be found later.
 */
import { DIGEST_BYTES } from '#digest';
import { idFromText } from '../bytes/id.ts';
import { PAGE_BYTES } from '../bytes/page.ts';
import { BlockEncoder } from '../pack/block.ts';
import { BLOCK, FRAME_BYTES } from '../pack/format.ts';
import { frameLayers, framesOf, type FramePlace } from '../pack/frame-layers.ts';
import type { PackReader } from '../pack/reader.ts';
import { encodeStates } from '../pack/states.ts';
import type { CollectedFrame, PackWriter } from '../pack/writer.ts';
import { digestKey, hasDigests, type PageSource, type WantedPages } from './repair-lost-pages.ts';
import type { RepairWork } from './repair-plan.ts';
import { scanPack, type ScannedPack } from './repair-scan.ts';
import { stagePack } from './repair-staged.ts';

/** A part of a frame, as it is written. */
interface FramePart extends FramePlace {
  readonly kind: 'right' | 'healed' | 'lost';
  /** Which of the frame's pages. */
  readonly ranks: readonly number[];
}

const LEVEL = 1;

/**
 * Writes a pack once more.
 *
 * @returns the new pack, and how many lost pages it has; undefined when none has been found.
 */
export async function writeHealed(
  work: RepairWork,
  pack: ScannedPack,
  wanted: WantedPages,
): Promise<{ readonly pack: ScannedPack; readonly pages: number } | undefined> {
  const reader = work.packs.reader(pack.name);
  const held = pack.segments.filter(({ pages }) => pages > 0);
  const parts = held.map(({ local, identity }) => {
    return { identity, parts: partsOf(reader, local, wanted) };
  });
  const healed = parts.flatMap((segment) => segment.parts).filter(({ kind }) => kind === 'healed');
  if (healed.length === 0 || !hasDigests(reader)) return undefined;
  const pages = healed.reduce((sum, { ranks }) => sum + ranks.length, 0);
  const name = await stagePack(work, async (writer) => {
    for (const identity of reader.footer.references) writer.reference(identity);
    const copy = new HealedCopy(work, writer, reader, wanted);
    for (const segment of parts) await copy.addSegment(segment.identity, segment.parts);
    await copy.addManifests(pack);
    if (pack.states !== undefined) writer.addStates(encodeStates(pack.states));
  });
  if (name === pack.name) forgetLost(work, name);
  const written = await scanPack(work, name, true, work.pacer);
  if (lostPagesOf(written) !== lostPagesOf(pack) - pages) {
    throw new Error('a pack that was healed is not as it was meant');
  }
  return { pack: written, pages };
}

/** All was found, and what was written are the bytes that the pack had before it was damaged. */
function forgetLost({ packs, layout }: RepairWork, name: string): void {
  const file = layout.packFile(name);
  for (const offset of packs.lostFrames.offsetsOf(file)) packs.lostFrames.forget({ file, offset });
}

function lostPagesOf({ segments }: ScannedPack): number {
  return segments.reduce((sum, { lostPages }) => sum + lostPages, 0);
}

function partsOf(reader: PackReader, local: number, wanted: WantedPages): FramePart[] {
  return [...framesOf(reader.frameTables(local))].flatMap(({ table, index }): FramePart[] => {
    const ranks = Array.from({ length: table.pagesAt(index) }, (_, rank) => rank);
    if (!reader.isLost(table, index)) return [{ table, index, kind: 'right', ranks }];
    if (table.isDelta(index)) return [{ table, index, kind: 'lost', ranks }];
    const digests = reader.frameDigests(table, index);
    const isFound = (rank: number) => wanted.get(digestKey(digests, rank)) !== undefined;
    const found = ranks.filter(isFound);
    const rest = ranks.filter((rank) => !isFound(rank));
    const parts = [
      { table, index, kind: 'healed' as const, ranks: found },
      { table, index, kind: 'lost' as const, ranks: rest },
    ];
    return parts.filter((part) => part.ranks.length > 0);
  });
}

/** Copies a pack. */
class HealedCopy {
  readonly #work: RepairWork;
  readonly #writer: PackWriter;
  readonly #reader: PackReader;
  readonly #wanted: WantedPages;
  readonly #encoder: BlockEncoder;
  readonly #frame = new Uint8Array(FRAME_BYTES);
  readonly #raw = new Uint8Array(FRAME_BYTES);
  /** The frame that is in `#frame`. */
  #read: FramePlace | undefined;

  constructor(work: RepairWork, writer: PackWriter, reader: PackReader, wanted: WantedPages) {
    this.#work = work;
    this.#writer = writer;
    this.#reader = reader;
    this.#wanted = wanted;
    this.#encoder = new BlockEncoder(work.zstd);
  }

  async addSegment(identity: Uint8Array, parts: readonly FramePart[]): Promise<void> {
    for (const layer of frameLayers(parts, ({ table, index }) => table.entryAt(index).frame)) {
      this.#writer.beginSegment(identity);
      for (const part of layer) {
        this.#addPart(part);
        await this.#work.pacer.pause();
      }
      this.#writer.endSegment();
    }
  }

  #addPart(part: FramePart): void {
    const { table, index, kind } = part;
    const head = this.#describe(part);
    if (kind === 'right') this.#writer.addFrame(head, this.#reader.frameBlock(table, index));
    else if (kind === 'lost') {
      this.#writer.addFrame(head, this.#reader.damagedBlock(table, index));
    } else {
      for (const [place, rank] of part.ranks.entries()) {
        const source = this.#wanted.get(digestKey(head.digests, place));
        if (source === undefined) throw new Error(`page ${rank} was not found`);
        this.#raw.fill(0, place * PAGE_BYTES, (place + 1) * PAGE_BYTES);
        this.#raw.set(this.#readPage(source), place * PAGE_BYTES);
      }
      const raw = this.#raw.subarray(0, part.ranks.length * PAGE_BYTES);
      this.#writer.addFrame(head, this.#encoder.encode(BLOCK.frame, raw, LEVEL));
    }
  }

  #describe({ table, index, ranks }: FramePart): CollectedFrame {
    const all = table.slotsAt(index);
    const isDelta = table.isDelta(index);
    const known = isDelta ? new Uint8Array(0) : this.#reader.frameDigests(table, index);
    const digests = new Uint8Array(isDelta ? 0 : ranks.length * DIGEST_BYTES);
    const shortPages: CollectedFrame['shortPages'][number][] = [];
    let [low, high] = [0, 0];
    for (const [place, rank] of ranks.entries()) {
      const slot = all[rank] as number;
      const bit = slot % 64;
      if (bit < 32) low |= 1 << bit;
      else high |= 1 << (bit - 32);
      const bytes = table.pageBytes(slot);
      if (bytes < PAGE_BYTES) shortPages.push({ slot, bytes });
      if (isDelta) continue;
      const digest = known.subarray(rank * DIGEST_BYTES, (rank + 1) * DIGEST_BYTES);
      digests.set(digest, place * DIGEST_BYTES);
    }
    const { frame } = table.entryAt(index);
    return { frame, pages: ranks.length, slots: { low, high }, digests, shortPages };
  }

  /** A page that was found right by its digest; it is looked at once more in the new pack. */
  #readPage({ pack, place, rank, bytes }: PageSource): Uint8Array {
    // Neighbours are mostly found together.
    const isRead = this.#read?.table === place.table && this.#read.index === place.index;
    if (!isRead) this.#work.packs.reader(pack).readFrame(place.table, place.index, this.#frame);
    this.#read = place;
    return this.#frame.subarray(rank * PAGE_BYTES, rank * PAGE_BYTES + bytes);
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
