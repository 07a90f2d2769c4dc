/**
 * What the packs of a closed or idle store hold, and what of it one snapshot needs, counted from
 * outside: by packs and manifests alone, without the catalog, and not as a collection counts.
 */
import { statSync } from 'node:fs';
import { idToText } from '../../src/bytes/id.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { pagesOf } from '../../src/bytes/page.ts';
import { DescriptorPool } from '../../src/files/descriptor-pool.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { decodeManifest, type Manifest } from '../../src/manifest/manifest.ts';
import { RecipeCursor, RUN } from '../../src/manifest/recipe.ts';
import { openPack } from '../../src/pack/pack-set.ts';
import type { PackReader } from '../../src/pack/reader.ts';
import type { States } from '../../src/pack/states.ts';
import { zstd } from './made-packs.ts';
import { packFiles } from './store-contents.ts';

/** A manifest in a pack. */
export interface HeldManifest {
  readonly id: string;
  readonly revision: number;
  readonly manifest: Manifest;
}

/** Everything that packs hold. */
export interface HeldContents {
  readonly packs: readonly string[];
  readonly packBytes: number;
  /** Each as `identity:slot`, with the same of the page that it stands on, if it is a delta. */
  readonly slots: ReadonlyMap<string, string | undefined>;
  readonly manifests: readonly HeldManifest[];
  /** The states that count. */
  readonly states: States | undefined;
}

/** Reads all packs of a store. @throws when a slot is there twice. */
export function heldContents(directory: string): HeldContents {
  const descriptors = new DescriptorPool(nodeFiles, 8);
  try {
    const packs = packFiles(directory);
    const slots = new Map<string, string | undefined>();
    const manifests: HeldManifest[] = [];
    let states: States | undefined;
    for (const path of packs) {
      const reader = openPack(nodeFiles, descriptors, zstd, path);
      addSlots(reader, slots);
      manifests.push(...manifestsIn(reader));
      const said = reader.readStates();
      if (said !== undefined && said.generation >= (states?.generation ?? 0)) states = said;
    }
    const packBytes = packs.reduce((sum, path) => sum + statSync(path).size, 0);
    return { packs, packBytes, slots, manifests, states };
  } finally {
    descriptors.close();
  }
}

function addSlots(reader: PackReader, slots: Map<string, string | undefined>): void {
  const names = reader.footer.references.map(toHex);
  for (const [segment, identity] of names.entries()) {
    for (const table of reader.frameTables(segment)) {
      for (let index = 0; index < table.length; index++) {
        const frame = table.isDelta(index) ? reader.readDeltaFrame(table, index) : undefined;
        for (const [rank, slot] of table.slotsAt(index).entries()) {
          const name = `${identity}:${slot}`;
          if (slots.has(name)) throw new Error(`${name} is in two packs`);
          const base = frame && `${names[frame.baseSegment[rank] ?? -1]}:${frame.baseSlot[rank]}`;
          slots.set(name, base);
        }
      }
    }
  }
}

function manifestsIn(reader: PackReader): HeldManifest[] {
  return reader.footer.entries.flatMap((entry) => {
    if (entry.type !== 'manifest' || entry.part > 0) return [];
    const manifest = decodeManifest(reader.readManifest(entry.digest), reader.file);
    return [{ id: idToText(entry.snapshotId), revision: entry.revision, manifest }];
  });
}

/**
 * The slots that a snapshot needs, those that its deltas stand on included.
 *
 * @throws when its newest manifest has a base, or what it needs is not there.
 */
export function neededSlots(held: HeldContents, id: string): Set<string> {
  const revisions = held.manifests.filter((manifest) => manifest.id === id);
  const newest = revisions.sort((a, b) => b.revision - a.revision)[0]?.manifest;
  if (newest === undefined || newest.base !== undefined) throw new Error(`${id} is not whole`);
  const identities = newest.segments.map((identity) => toHex(identity));
  const needed = new Set<string>();
  const add = (name: string): void => {
    for (let at: string | undefined = name; at !== undefined && !needed.has(at);) {
      if (!held.slots.has(at)) throw new Error(`${id} needs ${at}, which no pack holds`);
      needed.add(at);
      at = held.slots.get(at);
    }
  };
  for (const { content } of newest.entries) {
    if (content === undefined) continue;
    const pages = pagesOf(content.sizeBytes);
    const cursor = new RecipeCursor(content.recipe, pages, identities.length, 'made');
    while (cursor.next()) {
      if (cursor.kind !== RUN.slots) continue;
      const identity = identities[cursor.segment];
      for (let i = 0; i < cursor.pages; i++) add(`${identity}:${cursor.slot + i}`);
    }
  }
  return needed;
}
