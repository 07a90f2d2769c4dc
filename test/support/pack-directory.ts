/** Packs on disk as a store keeps them, and the table that says where their segments are. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { nodeFiles } from '../../src/files/node-files.ts';
import { PageDecoder } from '../../src/pack/page-decoder.ts';
import { PackSet } from '../../src/pack/pack-set.ts';
import { SegmentTable } from '../../src/pack/segment-table.ts';
import { changedPage } from './made-deltas.ts';
import {
  identityOf,
  type MadeDelta,
  makePack,
  type MadePack,
  numberedPage,
  zstd,
} from './made-packs.ts';

/** A directory of packs; the segments that they hold are numbered from 1, in their order. */
export class PackDirectory {
  readonly path: string;
  readonly table: SegmentTable = new SegmentTable();
  #segments = 0;

  constructor(path: string) {
    this.path = path;
  }

  /** Where a pack of this name is. */
  readonly pathOf = (name: string): string => join(this.path, name.slice(0, 2), `${name}.pack`);

  /** Writes a pack, and puts its segments into the table; returns its path. */
  add(content: MadePack): string {
    const { name, bytes } = makePack(content);
    const file = this.pathOf(name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
    const { references } = this.packs().reader(name).footer;
    for (const { identity } of content.segments ?? []) {
      const local = references.findIndex((other) => Buffer.compare(other, identity) === 0);
      this.table.add(++this.#segments, identity, name, local);
    }
    return file;
  }

  /** The number of the segment with an identity. */
  number(identity: Uint8Array): number {
    return this.table.find(identity);
  }

  /** A new set of these packs. */
  packs(): PackSet {
    return new PackSet(nodeFiles, zstd, this.pathOf);
  }

  /** A new decoder, over a new set of packs unless one is given. */
  decoder(
    { cacheBytes = 0, refuseLost = false }: { cacheBytes?: number; refuseLost?: boolean } = {},
    packs: PackSet = this.packs(),
  ): PageDecoder {
    const decoder = new PageDecoder(packs, cacheBytes);
    decoder.begin(this.table, refuseLost);
    return decoder;
  }
}

/** A chain of deltas: the pages from the full one on, and where each of them is. */
export interface MadeChain {
  readonly pages: readonly Uint8Array[];
  readonly places: readonly { readonly identity: Uint8Array; readonly slot: number }[];
}

/**
 * Adds a chain of so many deltas to a directory, over so many packs: each delta is in another pack
 * than its base, as far as there are several. Segments are called from `first` on.
 */
export function addChain(
  directory: PackDirectory,
  depth: number,
  { packs = 1, first = 1 }: { packs?: number; first?: number } = {},
): MadeChain {
  const pages = [numberedPage(first)];
  const places = [{ identity: identityOf(first), slot: 0 }];
  const deltas = Array.from({ length: packs }, (): MadeDelta[] => []);
  for (let i = 1; i <= depth; i++) {
    const [base, { identity, slot }] = [pages[i - 1]!, places[i - 1]!];
    const page = changedPage(base, first + i);
    const own = deltas[i % packs]!;
    pages.push(page);
    places.push({ identity: identityOf(first + (i % packs)), slot: 2 ** 31 + own.length });
    own.push({ page, base, segment: identity, slot, depth: i });
  }
  deltas.forEach((list, i) => {
    const full = i === 0 ? [pages[0]!] : [];
    directory.add({ segments: [{ identity: identityOf(first + i), pages: full, deltas: list }] });
  });
  return { pages, places };
}
