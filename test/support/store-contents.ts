/** Looks into the packs of a store: manifests, frames, and how deep their delta pages are. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { idToText } from '../../src/bytes/id.ts';
import { loadZstd } from '../../src/bytes/zstd.ts';
import { DescriptorPool } from '../../src/files/descriptor-pool.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { decodeManifest, type Manifest } from '../../src/manifest/manifest.ts';
import { openPack } from '../../src/pack/pack-set.ts';
import type { BlockPlace } from '../../src/pack/footer.ts';
import type { PackReader } from '../../src/pack/reader.ts';
import { treeBytes } from './trees.ts';

/** A block of pages in a pack. */
export interface StoredFrame {
  readonly isDelta: boolean;
  readonly pages: number;
  /** Where its block is in the pack, header included. */
  readonly offset: number;
  readonly blockBytes: number;
  /** Of delta pages: how many deltas each stands on, itself included. */
  readonly depths: readonly number[];
}

/** A pack, and the snapshot that it was written for. */
export interface StoredPack {
  readonly path: string;
  readonly sizeBytes: number;
  readonly snapshot: string;
  readonly manifest: Manifest;
  /** Where the first part of its manifest is in the pack. */
  readonly manifestOffset: number;
  readonly frames: readonly StoredFrame[];
  /** Where the digests of its full pages are. */
  readonly digests: readonly BlockPlace[];
}

/** All packs of a store that hold manifests, in the order of their snapshots' ids. */
export async function packsOf(directory: string): Promise<StoredPack[]> {
  const zstd = await loadZstd();
  const descriptors = new DescriptorPool(nodeFiles, 8);
  try {
    const readers = packFiles(directory).map((path) =>
      openPack(nodeFiles, descriptors, zstd, path),
    );
    const holders = readers.filter(({ footer }) =>
      footer.entries.some(({ type }) => type === 'manifest'),
    );
    const packs = holders.map(describePack);
    return packs.sort((a, b) => (a.snapshot < b.snapshot ? -1 : 1));
  } finally {
    descriptors.close();
  }
}

/** Reads one pack. */
export async function readPack<T>(path: string, use: (reader: PackReader) => T): Promise<T> {
  const descriptors = new DescriptorPool(nodeFiles, 1);
  try {
    return use(openPack(nodeFiles, descriptors, await loadZstd(), path));
  } finally {
    descriptors.close();
  }
}

/** Paths of all packs. */
export function packFiles(directory: string): string[] {
  const packs = join(directory, 'packs');
  return readdirSync(packs).flatMap((prefix) =>
    readdirSync(join(packs, prefix)).map((name) => join(packs, prefix, name)),
  );
}

function describePack(reader: PackReader): StoredPack {
  const place = reader.footer.entries.find((entry) => entry.type === 'manifest');
  if (place === undefined) throw new Error(`${reader.file} holds no manifest`);
  const manifest = decodeManifest(reader.readManifest(place.digest), reader.file);
  const tables = reader.footer.references.flatMap((_, segment) => reader.frameTables(segment));
  const frames = tables.flatMap((table) =>
    Array.from({ length: table.length }, (_, index): StoredFrame => {
      const { offset, blockBytes } = table.entryAt(index);
      const isDelta = table.isDelta(index);
      const depths = isDelta ? [...reader.readDeltaFrame(table, index).depth] : [];
      return { isDelta, pages: table.pagesAt(index), offset, blockBytes, depths };
    }),
  );
  return {
    path: reader.file,
    sizeBytes: statSync(reader.file).size,
    snapshot: idToText(manifest.snapshotId),
    manifest,
    manifestOffset: place.offset,
    frames,
    digests: reader.footer.entries.filter(({ type }) => type === 'digests'),
  };
}

/** Bytes of the pages in a pack, as they are stored. */
export function pageBytesOf(pack: StoredPack | undefined): number {
  return (pack?.frames ?? []).reduce((sum, { blockBytes }) => sum + blockBytes, 0);
}

/** Depths of all delta pages of a pack. */
export function depthsOf(pack: StoredPack | undefined): number[] {
  return (pack?.frames ?? []).flatMap(({ depths }) => depths);
}

/** Bytes of a store but for what is only a cache. */
export function keptBytes(directory: string): number {
  return treeBytes(directory) - treeBytes(join(directory, 'cache'));
}
