/**
 * Finds out what was in slots that cannot be read. Full pages have their digests beside them in the
 * pack. Delta pages have none, but every leaf of a recipe is a digest over those of 512 pages, and
 * so two things tell, in both of which nothing is believed:
 *
 * - the head of a snapshot that has them, which is the digests of all its pages, where it
 *   reproduces the leaf: heads of a timeline in which something is lost are kept for this;
 * - a leaf that is the same, of any file of any snapshot, of which every page can be read.
 */
import { DIGEST_BYTES, sha256, sha256Into } from '#digest';
import { sameBytes, toHex } from '../bytes/hex.ts';
import { PAGE_BYTES } from '../bytes/page.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { isDamage } from '../errors.ts';
import { LEAF_PAGES, leafCount } from '../manifest/leaves.ts';
import { PageRunsCursor, ZERO_SEGMENT } from '../manifest/page-runs.ts';
import { PageDecoder } from '../pack/page-decoder.ts';
import type { Pacer } from './clock.ts';
import type { StoreContext } from './context.ts';
import { HeadDigests } from './repair-head-digests.ts';
import { digestKey } from './repair-lost-pages.ts';
import { LostSlots, type PagePlace } from './repair-lost-slots.ts';
import { SlotFinder, type LookedUp } from './slot-finder.ts';
import { digestAt, leafAt, pagesOfLeaf, type Leaf } from './stored-leaf.ts';
import { findPagesLeft, type StoredFile, type StoredSnapshot } from './snapshot-pages.ts';

/** A slot, and which page of its leaf it holds. */
interface LostPage {
  readonly page: number;
  readonly segment: number;
  readonly slot: number;
}

const CACHE_BYTES = 16 * 1024 * 1024;

/** Finds out what is known of the slots that needed snapshots have and that cannot be read. */
export async function findLostSlots(
  context: StoreContext,
  isNeeded: (id: string) => boolean,
  pacer: Pacer,
): Promise<LostSlots> {
  const search = new LostSearch(context, pacer);
  await search.findLost(isNeeded);
  await search.findSame();
  return search.found;
}

class LostSearch {
  readonly found = new LostSlots();
  readonly #context: StoreContext;
  readonly #pacer: Pacer;
  readonly #rows: readonly SnapshotRow[];
  readonly #finder: SlotFinder;
  /** By the digests of their leaves: what is lost of leaves of which nothing else is known. */
  readonly #wanted = new Map<string, LostPage[]>();
  /** Leaves of which something is lost: snapshot, entry and first page. */
  readonly #broken = new Set<string>();

  constructor(context: StoreContext, pacer: Pacer) {
    this.#context = context;
    this.#pacer = pacer;
    this.#rows = context.catalog.snapshots.all();
    this.#finder = new SlotFinder(context, (identity) => this.found.numberOf(identity));
  }

  /** Finds everything that is lost, and asks the heads. */
  async findLost(isNeeded: (id: string) => boolean): Promise<void> {
    for (const row of this.#rows) {
      if (!isNeeded(row.id)) continue;
      const head = new HeadDigests(this.#context, row);
      try {
        for (const file of await this.#filesOf(row)) {
          for (const [first, pages] of await this.#lostPagesOf(file)) {
            const leaf = leafAt(file, first);
            this.#broken.add(placeOf(row, leaf));
            this.#want(leaf, pages);
            const digests = head.read(leaf);
            if (digests !== undefined) this.#learn(pages, digests);
          }
        }
      } finally {
        head.close();
      }
    }
  }

  /** The files of a snapshot; none when it cannot be known what they are. */
  async #filesOf(row: SnapshotRow): Promise<StoredSnapshot['files']> {
    try {
      const numberOf = (identity: Uint8Array) => this.found.numberOf(identity);
      return (await findPagesLeft(this.#context, row, this.#pacer, numberOf)).files;
    } catch (error) {
      if (!isDamage(error)) throw error;
      return [];
    }
  }

  /** What is lost of a file, by the first pages of its leaves. */
  async #lostPagesOf({ runs }: StoredFile): Promise<Map<number, LostPage[]>> {
    const lost = new Map<number, LostPage[]>();
    let page = 0;
    for (let run = 0; run < runs.length; run++) {
      const segment = runs.segment[run] as number;
      const end = runs.end[run] as number;
      const distance = (runs.slot[run] as number) - page;
      while (page < end) {
        const slot = page + distance;
        const looked = this.#look(segment, slot, end - page);
        if (looked.isLost) addLost(lost, { page, segment, slot }, looked.count);
        if (looked.unlisted !== undefined) this.found.need(looked.unlisted, { segment, slot });
        page += looked.count;
        await this.#pacer.pause();
      }
    }
    return lost;
  }

  #look(segment: number, slot: number, pages: number): LookedUp {
    if (segment === ZERO_SEGMENT) return { count: pages, isLost: false };
    return this.#finder.look(segment, slot, pages, false);
  }

  #want({ digest }: Leaf, pages: readonly LostPage[]): void {
    const key = toHex(digest);
    const others = this.#wanted.get(key) ?? [];
    // The same leaf of the next snapshot has mostly the same slots.
    const known = new Set(others.map(({ segment, slot }) => `${segment} ${slot}`));
    const more = pages.filter(({ segment, slot }) => !known.has(`${segment} ${slot}`));
    this.#wanted.set(key, [...others, ...more]);
  }

  #learn(pages: readonly LostPage[], digests: Uint8Array): void {
    for (const { page, segment, slot } of pages) {
      this.found.add(segment, slot, digestAt(digests, page));
    }
  }

  /** Finds leaves of the same digests of which everything can be read. */
  async findSame(): Promise<void> {
    if (this.#wanted.size === 0) return;
    const decoder = new PageDecoder(this.#context.packs, CACHE_BYTES);
    decoder.begin(this.#context.segments.table, true);
    for (const row of this.#rows) {
      for (const file of await this.#filesOf(row)) {
        for (let leaf = 0; leaf < leafCount(file.pageCount); leaf++) {
          const { first, digest } = leafAt(file, leaf * LEAF_PAGES);
          const pages = this.#wanted.get(toHex(digest));
          if (pages === undefined) continue;
          if (this.#broken.has(placeOf(row, { file, first, digest }))) continue;
          if (!this.#readLeaf(decoder, { file, first, digest }, pages)) continue;
          this.#wanted.delete(toHex(digest));
          await this.#pacer.pause();
        }
      }
    }
  }

  /** Reads a leaf; whether it is what its digest says. */
  #readLeaf(decoder: PageDecoder, leaf: Leaf, pages: readonly LostPage[]): boolean {
    const count = pagesOfLeaf(leaf);
    const digests = Buffer.alloc(count * DIGEST_BYTES);
    const places: PagePlace[] = [];
    const page = Buffer.alloc(PAGE_BYTES);
    const cursor = new PageRunsCursor(leaf.file.runs);
    try {
      for (let i = 0; i < count; i++) {
        if (!cursor.seek(leaf.first + i)) return false;
        const { segment, slot } = cursor;
        const bytes = Math.min(PAGE_BYTES, leaf.file.content.sizeBytes - offsetOf(leaf, i));
        places.push({ segment, slot, bytes });
        if (segment === ZERO_SEGMENT) page.fill(0);
        else decoder.read(segment, slot, page, 0);
        sha256Into(page.subarray(0, bytes), digests, i * DIGEST_BYTES);
      }
    } catch (error) {
      if (!isDamage(error)) throw error;
      return false;
    }
    if (!sameBytes(sha256(digests), leaf.digest)) return false;
    this.#learn(pages, digests);
    for (const lost of pages) {
      const place = places[lost.page] as PagePlace;
      if (place.segment !== ZERO_SEGMENT)
        this.found.copies.set(digestKey(digests, lost.page), place);
    }
    return true;
  }
}

/** Adds consecutive pages that are lost, each to its leaf. */
function addLost(
  lost: Map<number, LostPage[]>,
  { page, segment, slot }: LostPage,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    const inLeaf = (page + i) % LEAF_PAGES;
    const first = page + i - inLeaf;
    const pages = lost.get(first) ?? [];
    lost.set(first, pages);
    pages.push({ page: inLeaf, segment, slot: slot + i });
  }
}

function offsetOf({ first }: Leaf, page: number): number {
  return (first + page) * PAGE_BYTES;
}

function placeOf({ id }: SnapshotRow, { file, first }: Leaf): string {
  return `${id} ${file.entry} ${first}`;
}
