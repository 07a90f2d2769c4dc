/**
 * Writes a pack once more, with pages that were found elsewhere. Local numbers of segments stay, so
 * that frames are copied byte by byte. A frame of which only some pages were found becomes two:
 * those, and the rest as it was, damaged, with the digests by which it may be found later.
 *
 * Delta pages that were found are deltas of no bytes: on a full page that some pack has, or, where
 * none has it, on one that is written here, in a segment of its own.
 */
import { DIGEST_BYTES } from '#digest';
import { toHex } from '../bytes/hex.ts';
import { idFromText } from '../bytes/id.ts';
import { PAGE_BYTES } from '../bytes/page.ts';
import { BlockEncoder } from '../pack/block.ts';
import { BLOCK, FRAME_BYTES } from '../pack/format.ts';
import { frameLayers, framesOf, type FramePlace } from '../pack/frame-layers.ts';
import { encodeKeptDeltas, type FullPagePlace } from '../pack/kept-deltas.ts';
import type { PackReader } from '../pack/reader.ts';
import { encodeStates } from '../pack/states.ts';
import type { CollectedFrame, PackWriter } from '../pack/writer.ts';
import { HealingBases, REPAIR_LEVEL, type FoundPages } from './repair-found-pages.ts';
import { hasDigests } from './repair-lost-pages.ts';
import type { RepairWork } from './repair-plan.ts';
import { scanPack, type ScannedPack } from './repair-scan.ts';
import { stagePack } from './repair-staged.ts';

/** A pack that was written once more. */
export interface WrittenPack {
  readonly pack: ScannedPack;
  /** How many lost pages it has. */
  readonly pages: number;
  /** What the former one is now: one that lacks these pages. */
  readonly former: ScannedPack;
}

/** A part of a frame, as it is written. */
interface FramePart extends FramePlace {
  readonly kind: 'right' | 'healed' | 'lost';
  /** Which of the frame's pages. */
  readonly ranks: readonly number[];
  /** Digests of those of them that were found, by their places in the frame. */
  readonly found: ReadonlyMap<number, Uint8Array>;
}

interface SegmentParts {
  readonly identity: Uint8Array;
  readonly parts: readonly FramePart[];
}

const NOTHING: ReadonlyMap<number, Uint8Array> = new Map();

/**
 * Writes a pack once more.
 *
 * @returns undefined when no lost page of it has been found.
 */
export async function writeHealed(
  work: RepairWork,
  pack: ScannedPack,
  found: FoundPages,
): Promise<WrittenPack | undefined> {
  const reader = work.packs.reader(pack.name);
  const segments = await segmentsOf(work, pack, found);
  const healed = segments.flatMap(({ parts }) => parts).filter(({ kind }) => kind === 'healed');
  if (healed.length === 0 || !hasDigests(reader)) return undefined;
  const inLost = sumOf(healed, ({ table, index, found }) =>
    reader.isLost(table, index) ? found.size : 0,
  );
  const name = await stagePack(work, async (writer) => {
    for (const identity of reader.footer.references) writer.reference(identity);
    const copy = new HealedCopy(work, writer, reader, found);
    await copy.addBases(healed);
    for (const { identity, parts } of segments) await copy.addSegment(identity, parts);
    await copy.addManifests(pack);
    if (pack.states !== undefined) writer.addStates(encodeStates(pack.states));
  });
  const former = formerOf(pack, reader, segments);
  if (name === pack.name) forgetLost(work, name);
  const written = await scanPack(work, name, true, work.pacer);
  if (lostPagesOf(written) !== lostPagesOf(pack) - inLost) {
    throw new Error('a pack that was healed is not as it was meant');
  }
  return { pack: written, pages: sumOf(healed, (part) => part.found.size), former };
}

/** Whether anything was found that a pack has lost. */
export async function isFound(
  work: RepairWork,
  pack: ScannedPack,
  found: FoundPages,
): Promise<boolean> {
  const segments = await segmentsOf(work, pack, found);
  return segments.some(({ parts }) => parts.some(({ kind }) => kind === 'healed'));
}

async function segmentsOf(
  work: RepairWork,
  pack: ScannedPack,
  found: FoundPages,
): Promise<SegmentParts[]> {
  const reader = work.packs.reader(pack.name);
  const segments: SegmentParts[] = [];
  for (const { local, identity, pages } of pack.segments) {
    if (pages === 0) continue;
    const findable = new Findable(found, pack, identity);
    segments.push({ identity, parts: await partsOf(work, reader, local, findable) });
  }
  return segments;
}

/** All was found, and what was written are the bytes that the pack had before it was damaged. */
function forgetLost({ packs, layout }: RepairWork, name: string): void {
  const file = layout.packFile(name);
  for (const offset of packs.lostFrames.offsetsOf(file)) packs.lostFrames.forget({ file, offset });
}

function lostPagesOf({ segments }: ScannedPack): number {
  return sumOf(segments, ({ lostPages }) => lostPages);
}

/** What a pack lacks that the one in its place has: deltas that stand on what is lost as well. */
function formerOf(
  pack: ScannedPack,
  reader: PackReader,
  parts: readonly SegmentParts[],
): ScannedPack {
  const segments = pack.segments.map((segment) => {
    const inIt = parts.find(({ identity }) => identity === segment.identity)?.parts ?? [];
    const more = sumOf(inIt, ({ table, index, kind, found }) => {
      return kind === 'healed' && !reader.isLost(table, index) ? found.size : 0;
    });
    return { ...segment, lostPages: segment.lostPages + more };
  });
  const problems = pack.problems.length > 0 ? pack.problems : ['deltas stand on lost pages'];
  return { ...pack, segments, problems };
}

/** Which lost pages of a segment can be had from elsewhere: none for a copy that nobody reads. */
class Findable {
  readonly #found: FoundPages;
  readonly #number: number;

  constructor(found: FoundPages, { name }: ScannedPack, identity: Uint8Array) {
    const { segments } = found.draft;
    this.#found = found;
    // Where several packs have a segment, readers look for it in one of them.
    const number = segments.find(identity);
    this.#number = segments.at(number)?.packName === name ? number : 0;
  }

  /** The digest of a delta page that is lost, if it is known and the page is there. */
  delta(slot: number): Uint8Array | undefined {
    const digest = this.#found.lost.digestOf(this.#number, slot);
    return digest !== undefined && this.has(digest) ? digest : undefined;
  }

  /** Whether a page is there. */
  has(digest: Uint8Array): boolean {
    return this.#number > 0 && this.#found.has(digest);
  }
}

async function partsOf(
  { pacer }: RepairWork,
  reader: PackReader,
  local: number,
  findable: Findable,
): Promise<FramePart[]> {
  const parts: FramePart[] = [];
  for (const place of framesOf(reader.frameTables(local))) {
    parts.push(...partsOfFrame(reader, place, findable));
    await pacer.pause();
  }
  return parts;
}

function partsOfFrame(
  reader: PackReader,
  { table, index }: FramePlace,
  findable: Findable,
): FramePart[] {
  const slots = table.slotsAt(index);
  const ranks = [...slots.keys()];
  const isLost = reader.isLost(table, index);
  const isDelta = table.isDelta(index);
  const found = new Map<number, Uint8Array>();
  if (isDelta) {
    for (const [rank, slot] of slots.entries()) {
      const digest = findable.delta(slot);
      if (digest !== undefined) found.set(rank, digest);
    }
  } else if (isLost) {
    const digests = reader.frameDigests(table, index);
    for (const rank of ranks) {
      const digest = digests.subarray(rank * DIGEST_BYTES, (rank + 1) * DIGEST_BYTES);
      if (findable.has(digest)) found.set(rank, digest);
    }
  }
  if (!isLost) {
    const kind = found.size > 0 ? 'healed' : 'right';
    return [{ table, index, kind, ranks, found }];
  }
  const parts: FramePart[] = [
    { table, index, kind: 'healed', ranks: [...found.keys()], found },
    { table, index, kind: 'lost', ranks: ranks.filter((rank) => !found.has(rank)), found: NOTHING },
  ];
  return parts.filter((part) => part.ranks.length > 0);
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
  readonly #encoder: BlockEncoder;
  readonly #bases = new HealingBases();
  readonly #raw = new Uint8Array(FRAME_BYTES);

  constructor(work: RepairWork, writer: PackWriter, reader: PackReader, found: FoundPages) {
    this.#work = work;
    this.#writer = writer;
    this.#reader = reader;
    this.#found = found;
    this.#encoder = new BlockEncoder(work.zstd);
  }

  /** Finds the full pages that delta pages are the same as. */
  async addBases(healed: readonly FramePart[]): Promise<void> {
    const deltas = healed.filter(({ table, index }) => table.isDelta(index));
    const digests = deltas.flatMap(({ found }) => [...found.values()]);
    const segments = new Set(this.#reader.footer.references.map(toHex));
    const [writer, encoder, { pacer }] = [this.#writer, this.#encoder, this.#work];
    const target = { writer, encoder, pacer, segments };
    await this.#bases.add(digests, this.#found, target);
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
    } else if (table.isDelta(index)) this.#writer.addFrame(head, this.#encodeDeltas(part));
    else this.#writer.addFrame(head, this.#encodePages(part));
  }

  #encodePages({ ranks, found }: FramePart): Uint8Array {
    for (const [place, rank] of ranks.entries()) {
      this.#raw.fill(0, place * PAGE_BYTES, (place + 1) * PAGE_BYTES);
      this.#raw.set(this.#found.read(found.get(rank) as Uint8Array), place * PAGE_BYTES);
    }
    const raw = this.#raw.subarray(0, ranks.length * PAGE_BYTES);
    return this.#encoder.encode(BLOCK.frame, raw, REPAIR_LEVEL);
  }

  #encodeDeltas({ table, index, ranks, found }: FramePart): Uint8Array {
    const copies = new Map<number, FullPagePlace>();
    for (const [rank, digest] of found) {
      copies.set(rank, this.#bases.of(digest));
    }
    const isAll = copies.size === ranks.length;
    const frame = isAll ? undefined : this.#reader.readDeltaFrame(table, index);
    const raw = encodeKeptDeltas(frame, ranks, (segment) => segment, copies);
    return this.#encoder.encode(BLOCK.deltaFrame, raw, REPAIR_LEVEL);
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
