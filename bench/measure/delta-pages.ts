/**
 * How many deltas pages stand on: read from the packs of a store, frame by frame, because that is
 * what is on the disk, whatever a library says of itself.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { FrameTable } from '../../src/pack/frame-table.ts';
import type { PackReader } from '../../src/pack/reader.ts';
import { loadPackInternals } from '../internals.ts';

/** The pages of a store by kind. */
export interface StoredPages {
  readonly fullPages: number;
  readonly deltaPages: number;
  /** Deltas that the deepest page stands on; 0 without delta pages. */
  readonly deepest: number;
  /** The mean of delta pages. */
  readonly meanDepth: number;
}

const MAX_DESCRIPTORS = 16;

/** Reads all frame tables and all delta frames of a store; it may be open meanwhile. */
export async function readStoredPages(store: string): Promise<StoredPages> {
  const internals = await loadPackInternals();
  const zstd = await internals.zstd.loadZstd();
  const { nodeFiles } = internals.files;
  const descriptors = new internals.descriptors.DescriptorPool(nodeFiles, MAX_DESCRIPTORS);
  const count = { full: 0, delta: 0, deepest: 0, depths: 0 };
  try {
    for (const path of packsOf(store)) {
      addPack(internals.packs.openPack(nodeFiles, descriptors, zstd, path), count);
      descriptors.forget(path);
    }
  } finally {
    descriptors.close();
  }
  const { full, delta, deepest, depths } = count;
  return { fullPages: full, deltaPages: delta, deepest, meanDepth: depths / Math.max(1, delta) };
}

/** Paths of all packs of a store. */
export function packsOf(store: string): string[] {
  const entries = readdirSync(join(store, 'packs'), { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

interface Count {
  full: number;
  delta: number;
  deepest: number;
  depths: number;
}

/** All frame tables of a pack. */
export function tablesOf(pack: PackReader): FrameTable[] {
  const segments = pack.footer.entries.flatMap((entry) =>
    entry.type === 'frameTable' ? [entry.segment] : [],
  );
  return [...new Set(segments)].flatMap((segment) => pack.frameTables(segment));
}

function addPack(pack: PackReader, count: Count): void {
  for (const table of tablesOf(pack)) addTable(pack, table, count);
}

function addTable(pack: PackReader, table: FrameTable, count: Count): void {
  for (let index = 0; index < table.length; index++) {
    if (!table.isDelta(index)) {
      count.full += table.pagesAt(index);
      continue;
    }
    const { pages, depth } = pack.readDeltaFrame(table, index);
    count.delta += pages;
    for (const each of depth) {
      count.deepest = Math.max(count.deepest, each);
      count.depths += each;
    }
  }
}
