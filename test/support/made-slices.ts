/** What threads work on, for tests: sessions over made packs, stored files, and slices. */
import { sha256 } from '@noble/hashes/sha2.js';
import { onTestFinished } from 'vitest';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { encodeHeadHeader } from '../../src/manifest/head.ts';
import { LEAF_PAGES } from '../../src/manifest/leaves.ts';
import { Session, ThreadParts } from '../../src/slices/session.ts';
import { NO_CELL } from '../../src/slices/page-cells.ts';
import { newSliceBuffer, Slice } from '../../src/slices/slice.ts';
import type { SessionSetup } from '../../src/slices/tasks.ts';
import { changedPage } from './made-deltas.ts';
import { identityOf, numberedPage, zstd } from './made-packs.ts';
import type { PackDirectory } from './pack-directory.ts';

/** A stored file: its pages, where each of them is, and the leaves over them. */
export interface MadeFile {
  readonly pages: readonly Uint8Array[];
  /** Segment 0 for a page of zeros. */
  readonly places: readonly { readonly segment: number; readonly slot: number }[];
  readonly leaves: Uint8Array;
}

/** A leaf of the base, whose pages' places are in the slice. */
export interface BaseLeaf {
  /** Where its first digest is in the head, counted in pages. */
  readonly headPage: number;
  readonly bytes: number;
  readonly digest: Uint8Array;
}

let slices = 0;

/** A slice that nobody else has. */
export function newSlice(): Slice {
  const slice = new Slice({ number: ++slices, buffer: newSliceBuffer() });
  slice.baseCell.fill(NO_CELL);
  slice.newCell.fill(NO_CELL);
  return slice;
}

/** Says in a slice what its base leaves are; returns how many. */
export function putLeaves(slice: Slice, leaves: readonly BaseLeaf[]): number {
  leaves.forEach(({ headPage, bytes, digest }, i) => {
    slice.baseHeadPage[i] = headPage;
    slice.baseLeafBytes[i] = bytes;
    slice.baseLeafDigests.set(digest, i * 32);
  });
  return leaves.length;
}

/** What a session needs to know, for packs of a directory. */
export function setupOf(
  directory: PackDirectory,
  change: Partial<SessionSetup> = {},
): SessionSetup {
  const packs = { packs: directory.path, segments: directory.table.buffer, fresh: true };
  const none = { generation: 0, lostFrames: [], refuseLost: false, sources: [], head: undefined };
  return { ...packs, cacheBytes: 0, cells: new SharedArrayBuffer(0), ...none, ...change };
}

/** A session over the packs of a directory, closed when the test is done. */
export function newSession(
  directory: PackDirectory,
  change: Partial<SessionSetup> = {},
  files: Files = nodeFiles,
): Session {
  const parts = new ThreadParts(files, zstd);
  const session = new Session(parts, setupOf(directory, change));
  onTestFinished(() => {
    session.close();
    parts.close();
  });
  return session;
}

/**
 * Stores a file as the first segment of a directory: of every four pages, two full ones, a delta
 * upon the first of them, and a page of zeros. The last page has 100 bytes.
 */
export function storeFile(directory: PackDirectory, count: number): MadeFile {
  const full: Uint8Array[] = [];
  const deltas: { page: Uint8Array; base: Uint8Array; slot: number }[] = [];
  const pages: Uint8Array[] = [];
  const places = Array.from({ length: count }, (_, i) => {
    const length = i === count - 1 ? 100 : 4096;
    const page = i === count - 1 || i % 4 < 2 ? numberedPage(i + 1, length) : undefined;
    if (page !== undefined) {
      pages.push(page);
      return { segment: 1, slot: full.push(page) - 1 };
    }
    if (i % 4 === 3) {
      pages.push(new Uint8Array(4096));
      return { segment: 0, slot: 0 };
    }
    const base = full.at(-2)!;
    const delta = { page: changedPage(base, i), base, slot: full.length - 2 };
    pages.push(delta.page);
    return { segment: 1, slot: 2 ** 31 + deltas.push(delta) - 1 };
  });
  directory.add({ segments: [{ identity: identityOf(1), pages: full, deltas }] });
  return { pages, places, leaves: leavesOf(pages) };
}

/** The digests of pages, 32 bytes each. */
export function digestsOf(pages: readonly Uint8Array[]): Buffer {
  return Buffer.concat(pages.map((page) => sha256(page)));
}

/** The leaves over pages, 32 bytes each. */
export function leavesOf(pages: readonly Uint8Array[]): Uint8Array {
  const leaves: Uint8Array[] = [];
  for (let i = 0; i < pages.length; i += LEAF_PAGES) {
    leaves.push(sha256(digestsOf(pages.slice(i, i + LEAF_PAGES))));
  }
  return Uint8Array.from(Buffer.concat(leaves));
}

/** A head over pages, with `before` digests of other files in front. */
export function headOf(pages: readonly Uint8Array[], before = 0): Buffer {
  const header = encodeHeadHeader(identityOf(7));
  return Buffer.concat([header, Buffer.alloc(before * 32, 0x11), digestsOf(pages)]);
}

/** Makes a file the base of a slice: each page is compared with the one at the same place. */
export function putBase(slice: Slice, file: MadeFile, headPage = 0): BaseLeaf[] {
  file.places.forEach(({ segment, slot }, i) => {
    slice.baseSegment[i] = segment;
    slice.baseSlot[i] = slot;
  });
  for (let i = 0; i < LEAF_PAGES; i++) slice.basePage[i] = i < file.pages.length ? i : -1;
  return Array.from({ length: file.leaves.length / 32 }, (_, leaf) => {
    const pages = file.pages.slice(leaf * LEAF_PAGES, (leaf + 1) * LEAF_PAGES);
    return {
      headPage: headPage + leaf * LEAF_PAGES,
      bytes: pages.reduce((sum, page) => sum + page.length, 0),
      digest: file.leaves.subarray(leaf * 32, (leaf + 1) * 32),
    };
  });
}
