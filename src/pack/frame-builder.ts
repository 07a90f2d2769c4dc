/**
 * Collects the pages of a segment into frames of 64: full pages one after the other, delta pages as
 * columns. A full frame is handed on, as raw bytes or without them, for somebody to encode; what a
 * slot will be is known as soon as its page is added.
 */
import { DIGEST_BYTES } from '#digest';
import { PAGE_BYTES } from '../bytes/page.ts';
import { FIRST_DELTA_SLOT } from '../bytes/slot.ts';
import { DeltaFrameBuilder } from './delta-frame.ts';
import { BLOCK, FIRST_DELTA_FRAME, FRAME_BYTES, FRAME_PAGES } from './format.ts';
import type { DiffRecord } from './page-diff.ts';
import type { ShortPage } from './frame-table.ts';
import type { CollectedFrame } from './writer.ts';

/** A frame to be encoded. */
export interface RawFrame extends CollectedFrame {
  /** Type of its block. */
  readonly type: number;
  /** Valid until the builder is called again. */
  readonly raw: Uint8Array;
}

/** Full pages. */
export class FullFrames {
  readonly #raw = new Uint8Array(FRAME_BYTES);
  readonly #digests = new Uint8Array(FRAME_PAGES * DIGEST_BYTES);
  #shortPages: ShortPage[] = [];
  #frame = 0;
  #pages = 0;
  /** Pages whose bytes are elsewhere. */
  #noted = 0;

  /**
   * Adds a page of 1 to 4096 bytes and returns its slot; both are copied. When the frame is full,
   * `take` must be called before the next page.
   */
  add(page: Uint8Array, digest: Uint8Array): number {
    const start = this.#pages * PAGE_BYTES;
    this.#raw.set(page, start);
    this.#raw.fill(0, start + page.length, start + PAGE_BYTES);
    return this.#enter(page.length, digest);
  }

  /** The same for a page whose bytes somebody else has, and brings when the frame is encoded. */
  note(pageBytes: number, digest: Uint8Array): number {
    this.#noted += 1;
    return this.#enter(pageBytes, digest);
  }

  #enter(pageBytes: number, digest: Uint8Array): number {
    const slot = this.#frame * FRAME_PAGES + this.#pages;
    if (pageBytes < PAGE_BYTES) this.#shortPages.push({ slot, bytes: pageBytes });
    this.#digests.set(digest, this.#pages * DIGEST_BYTES);
    this.#pages += 1;
    return slot;
  }

  /** Whether the next page begins a frame. */
  get isEmpty(): boolean {
    return this.#pages === 0;
  }

  /** Whether the frame has no room for another page. */
  get isFull(): boolean {
    return this.#pages === FRAME_PAGES;
  }

  /** The frame, and a new one begins; undefined when there are no pages in it. */
  take(): RawFrame | undefined {
    if (this.#noted > 0) throw new Error('pages of this frame have been noted only');
    if (this.#pages === 0) return undefined;
    const raw = this.#raw.subarray(0, this.#pages * PAGE_BYTES);
    return { type: BLOCK.frame, ...this.#end(), raw };
  }

  /** A frame of which all pages have been noted, and a new one begins. */
  takeNoted(): CollectedFrame {
    if (this.#noted !== this.#pages) throw new Error('pages of this frame have been copied');
    return this.#end();
  }

  #end(): CollectedFrame {
    const pages = this.#pages;
    const digests = this.#digests.slice(0, pages * DIGEST_BYTES);
    const shortPages = this.#shortPages;
    const frame = this.#frame;
    this.#frame += 1;
    this.#pages = 0;
    this.#noted = 0;
    this.#shortPages = [];
    return { frame, pages, digests, shortPages };
  }
}

/** Delta pages. */
export class DeltaFrames {
  readonly #builder = new DeltaFrameBuilder();
  #shortPages: ShortPage[] = [];
  #frame = FIRST_DELTA_FRAME;

  /**
   * Adds a page and returns its slot, as `FullFrames.add` does.
   *
   * @param segment local number in the pack of the base's segment.
   * @param pageBytes length of the page.
   */
  add(record: DiffRecord, segment: number, pageBytes: number): number {
    const index = this.#builder.pages;
    const slot = FIRST_DELTA_SLOT + (this.#frame - FIRST_DELTA_FRAME) * FRAME_PAGES + index;
    this.#builder.add(record, segment);
    if (pageBytes < PAGE_BYTES) this.#shortPages.push({ slot, bytes: pageBytes });
    return slot;
  }

  /** Whether the frame has no room for another page. */
  get isFull(): boolean {
    return this.#builder.pages === FRAME_PAGES;
  }

  /** The frame, and a new one begins; undefined when there are no pages in it. */
  take(): RawFrame | undefined {
    const { pages } = this.#builder;
    if (pages === 0) return undefined;
    const raw = this.#builder.finish();
    const frame = this.#frame;
    const shortPages = this.#shortPages;
    this.#frame += 1;
    this.#shortPages = [];
    const digests = new Uint8Array(0);
    return { type: BLOCK.deltaFrame, frame, pages, digests, shortPages, raw };
  }
}
