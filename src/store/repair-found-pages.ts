/**
 * Lost pages that were found elsewhere: where each of them is, and what is in it. They are known by
 * their digests; whoever writes them somewhere looks at them once more there.
 */
import { sha256, startSha256 } from '#digest';
import { toHex } from '../bytes/hex.ts';
import { PAGE_BYTES } from '../bytes/page.ts';
import type { BlockEncoder } from '../pack/block.ts';
import { FRAME_BYTES, SEGMENT_ID_BYTES } from '../pack/format.ts';
import { FullFrames } from '../pack/frame-builder.ts';
import type { FramePlace } from '../pack/frame-layers.ts';
import type { FullPagePlace } from '../pack/kept-deltas.ts';
import { PageDecoder } from '../pack/page-decoder.ts';
import type { PackSet } from '../pack/pack-set.ts';
import type { PackWriter } from '../pack/writer.ts';
import type { Pacer } from './clock.ts';
import type { StoreContext } from './context.ts';
import { digestKey, type PageSource, type WantedPages } from './repair-lost-pages.ts';
import type { LostSlots } from './repair-lost-slots.ts';

/** The level at which a repair compresses. */
export const REPAIR_LEVEL = 1;
const CACHE_BYTES = 16 * 1024 * 1024;

/** Reads pages that were found. */
export class FoundPages {
  /** The store as it is tried out. */
  readonly draft: StoreContext;
  readonly lost: LostSlots;
  readonly #wanted: WantedPages;
  readonly #packs: PackSet;
  readonly #decoder: PageDecoder;
  readonly #frame = new Uint8Array(FRAME_BYTES);
  /** The frame that is in `#frame`. */
  #read: FramePlace | undefined;

  constructor(draft: StoreContext, lost: LostSlots, wanted: WantedPages) {
    this.draft = draft;
    this.lost = lost;
    this.#wanted = wanted;
    this.#packs = draft.packs;
    this.#decoder = new PageDecoder(draft.packs, CACHE_BYTES);
    this.#decoder.begin(draft.segments.table, true);
  }

  /** Whether a page with this digest was found. */
  has(digest: Uint8Array): boolean {
    const key = digestKey(digest, 0);
    return this.#wanted.get(key) !== undefined || this.lost.copies.has(key);
  }

  /** The page with this digest; valid until the next call. */
  read(digest: Uint8Array): Uint8Array {
    const key = digestKey(digest, 0);
    const source = this.#wanted.get(key);
    if (source !== undefined) return this.#readFull(source);
    const place = this.lost.copies.get(key);
    if (place === undefined) throw new Error('a page was not found');
    this.#read = undefined;
    this.#decoder.read(place.segment, place.slot, this.#frame, 0);
    return this.#frame.subarray(0, place.bytes);
  }

  #readFull({ pack, place, rank, bytes }: PageSource): Uint8Array {
    // Neighbours are mostly found together.
    const isRead = this.#read?.table === place.table && this.#read.index === place.index;
    if (!isRead) this.#packs.reader(pack).readFrame(place.table, place.index, this.#frame);
    this.#read = place;
    return this.#frame.subarray(rank * PAGE_BYTES, rank * PAGE_BYTES + bytes);
  }

  /** A full page with this digest where readers of the store look for it. */
  fullPage(digest: Uint8Array): PageSource | undefined {
    const source = this.#wanted.get(digestKey(digest, 0));
    return source?.isBest === true ? source : undefined;
  }
}

/** The pack that bases are written to. */
export interface BasesTarget {
  readonly writer: PackWriter;
  readonly encoder: BlockEncoder;
  readonly pacer: Pacer;
  /** Identities of the segments that it has in any case, in hex. */
  readonly segments: ReadonlySet<string>;
}

/** Full pages on which deltas of no bytes stand, by the digests of both. */
export class HealingBases {
  readonly #places = new Map<string, FullPagePlace>();

  /** Where the page with this digest is, for a delta page that is the same. */
  of(digest: Uint8Array): FullPagePlace {
    return this.#places.get(digestKey(digest, 0)) as FullPagePlace;
  }

  /**
   * Finds the pages for digests. Those of which no pack has a full page are written to `writer`, in
   * a segment of their own, whose identity is made of what is in it: of one repair that is made
   * twice there is one pack.
   */
  async add(digests: Iterable<Uint8Array>, found: FoundPages, target: BasesTarget): Promise<void> {
    const missing = new Map<string, Uint8Array>();
    for (const digest of digests) {
      const key = digestKey(digest, 0);
      const source = found.fullPage(digest);
      if (source === undefined) missing.set(key, digest);
      else {
        const segment = target.writer.reference(source.segment);
        this.#places.set(key, { segment, slot: source.slot });
      }
    }
    if (missing.size > 0) await this.#write(missing, found, target);
  }

  async #write(
    pages: ReadonlyMap<string, Uint8Array>,
    found: FoundPages,
    { writer, encoder, pacer, segments }: BasesTarget,
  ): Promise<void> {
    const hasher = startSha256();
    for (const digest of pages.values()) hasher.update(digest);
    let identity = hasher.digest().slice(0, SEGMENT_ID_BYTES);
    // The same pages may have been found before, and lost again in this very pack.
    while (segments.has(toHex(identity))) identity = sha256(identity).slice(0, SEGMENT_ID_BYTES);
    const segment = writer.reference(identity);
    const frames = new FullFrames();
    const endFrame = () => {
      const frame = frames.take();
      if (frame === undefined) return;
      writer.addFrame(frame, encoder.encode(frame.type, frame.raw, REPAIR_LEVEL));
    };
    writer.beginSegment(identity);
    for (const [key, digest] of pages) {
      this.#places.set(key, { segment, slot: frames.add(found.read(digest), digest) });
      if (frames.isFull) endFrame();
      await pacer.pause();
    }
    endFrame();
    writer.endSegment();
  }
}
