/** Finds an address for every block of a tree: the one it had, if it still fits there. */
import { PAGE_BYTES } from '../bytes/page.ts';
import type { TreeBlock } from './block.ts';
import { BLOCK_STRIDE, type SpaceRuns, type StoredTree } from './tree.ts';

/** The space `tree`: its pages, in shared memory, and where they lie. */
export interface PlacedTree {
  readonly bytes: Uint8Array;
  readonly runs: SpaceRuns;
}

/** Pages of a space that are those of the base: runs of page numbers. */
export interface InheritedRuns {
  readonly start: Float64Array;
  readonly length: Float64Array;
}

/** Where blocks lie, and which of their pages are those of the base. */
export interface PlacedBlocks {
  readonly tree: PlacedTree;
  /** Of blocks that were kept. */
  readonly inherited: InheritedRuns;
}

/** Puts blocks where those of the base were that begin with the same path. */
export function placeBlocks(
  blocks: readonly TreeBlock[],
  base: { readonly tree: StoredTree; readonly treeRuns: SpaceRuns } | undefined,
): PlacedBlocks {
  const known = new Map(base?.tree.blocks.map((block) => [keyOf(block.firstPath), block]));
  let next = endOf(base?.treeRuns);
  const placed = blocks.map(({ firstPath, bytes, kept }) => {
    if (kept !== undefined) return { address: kept.address, bytes, isKept: true };
    const strides = Math.ceil(bytes.length / PAGE_BYTES / BLOCK_STRIDE);
    const before = known.get(keyOf(firstPath));
    if (before !== undefined && strides <= Math.ceil(before.pages / BLOCK_STRIDE)) {
      return { address: before.address, bytes, isKept: false };
    }
    const address = next;
    next += strides * BLOCK_STRIDE;
    return { address, bytes, isKept: false };
  });
  placed.sort((a, b) => a.address - b.address);
  return { tree: join(placed), inherited: inheritedOf(placed) };
}

function inheritedOf(
  blocks: readonly { readonly bytes: Uint8Array; readonly isKept: boolean }[],
): InheritedRuns {
  const start: number[] = [];
  const length: number[] = [];
  let [page, end] = [0, -1];
  for (const { bytes, isKept } of blocks) {
    const pages = bytes.length / PAGE_BYTES;
    if (isKept && page === end) length.push((length.pop() as number) + pages);
    else if (isKept) {
      start.push(page);
      length.push(pages);
    }
    page += pages;
    if (isKept) end = page;
  }
  return { start: Float64Array.from(start), length: Float64Array.from(length) };
}

/** A path as a key: each byte a character. */
function keyOf(path: Uint8Array): string {
  return Buffer.from(path).toString('latin1');
}

/** The first stride behind all runs. */
function endOf(runs: SpaceRuns | undefined): number {
  const last = (runs?.runStart.length ?? 0) - 1;
  if (runs === undefined || last < 0) return 0;
  const end = (runs.runStart[last] as number) + (runs.runLength[last] as number);
  return Math.ceil(end / BLOCK_STRIDE) * BLOCK_STRIDE;
}

function join(
  blocks: readonly { readonly address: number; readonly bytes: Uint8Array }[],
): PlacedTree {
  const length = blocks.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const all = new Uint8Array(new SharedArrayBuffer(length));
  const runStart: number[] = [];
  const runLength: number[] = [];
  let [offset, end] = [0, -1];
  for (const { address, bytes } of blocks) {
    all.set(bytes, offset);
    offset += bytes.length;
    const pages = bytes.length / PAGE_BYTES;
    if (address === end) runLength.push((runLength.pop() as number) + pages);
    else {
      runStart.push(address);
      runLength.push(pages);
    }
    end = address + pages;
  }
  const runs = { runStart: Float64Array.from(runStart), runLength: Float64Array.from(runLength) };
  return { bytes: all, runs };
}
