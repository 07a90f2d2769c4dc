/**
 * Damage of every region of every kind of file of a store, and what must hold after it: what comes
 * out is exact, or nothing does, with an error that names a file; what is derived is made anew; and
 * verify knows which snapshots are lost.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { loadZstd } from '../../src/bytes/zstd.ts';
import { DescriptorPool } from '../../src/files/descriptor-pool.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { type SnapshotStore, StoreError } from '../../src/index.ts';
import { openPack } from '../../src/pack/pack-set.ts';
import { makeDump } from './made-dumps.ts';
import { describeTree } from './trees.ts';
import { openUnmanaged } from './unmanaged-stores.ts';

/** What a damage is done to: bytes of a file, and what they are. */
export interface Region {
  readonly file: string;
  readonly kind: string;
  readonly start: number;
  readonly end: number;
}

/** What came of a damage. */
export type Outcome = 'harmless' | 'lost' | 'refused';

/** Ways to damage a region. */
export const DAMAGES = ['flip', 'zero', 'truncate', 'swap'] as const;

/** A way to damage a region. */
export type DamageKind = (typeof DAMAGES)[number];

/** What a snapshot was captured from. */
interface Captured {
  readonly id: string;
  readonly images: readonly string[];
  readonly files: readonly string[];
}

/** What may come of opening and using a store whose catalog or format is damaged. */
const MEANT = ['CORRUPT', 'NOT_FOUND', 'STORAGE', 'UNSUPPORTED_VERSION'];
/** Of the damages of packs, those after which a capture is tried. */
const CAPTURE_SHARE = 0.3;
/** What a store makes anew when it is damaged. */
const DERIVED = ['run', 'head', 'facts'];

/** A closed store with deltas, files and every derived file, to be damaged in copies. */
export class FlippedStore {
  readonly directory: string;
  readonly regions: readonly Region[];
  readonly #newPath: () => string;
  readonly #captured: readonly Captured[];
  readonly #next: { readonly images: string; readonly files: string };

  private constructor(
    directory: string,
    newPath: () => string,
    made: { captured: readonly Captured[]; next: { images: string; files: string } },
    regions: readonly Region[],
  ) {
    this.directory = directory;
    this.#newPath = newPath;
    this.#captured = made.captured;
    this.#next = made.next;
    this.regions = regions;
  }

  static async make(newPath: () => string): Promise<FlippedStore> {
    const directory = newPath();
    const captured: Captured[] = [];
    const first = { images: makeDump(newPath(), 1, 80), files: makeFiles(newPath(), 1) };
    const sources = [1, 2].map((version) => changed(first, newPath, version));
    const next = changed(first, newPath, 3);
    await using store = await openUnmanaged(directory, { create: true });
    for (const { images, files } of [first, ...sources]) {
      const { id } = await store.timeline('t').capture({ images, files });
      captured.push({ id, images: describeTree(images), files: describeTree(files) });
    }
    await store.close();
    const regions = await regionsOf(directory);
    return new FlippedStore(directory, newPath, { captured, next }, regions);
  }

  /** Damages a copy of the store, and uses it in every way. Fails on anything wrong. */
  async damage(region: Region, kind: DamageKind, random: () => number): Promise<Outcome> {
    const before = readFileSync(join(this.directory, region.file));
    const after = this.#damaged(before, region, kind, random);
    if (after.equals(before)) return 'harmless';
    const directory = this.#newPath();
    execFileSync('cp', ['-a', this.directory, directory]);
    try {
      writeFileSync(join(directory, region.file), after);
      return await this.#use(directory, region, random() < CAPTURE_SHARE);
    } catch (error) {
      const place = `${kind} of ${region.kind} ${region.start}-${region.end} of ${region.file}`;
      throw new Error(`${place}: ${String(error)}`, { cause: error });
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  #damaged(before: Buffer, region: Region, kind: DamageKind, random: () => number): Buffer {
    const after = Buffer.from(before);
    const bytes = region.end - region.start;
    const at = region.start + Math.floor(random() * bytes);
    if (kind === 'flip')
      after.writeUInt8(before.readUInt8(at) ^ (1 << Math.floor(random() * 8)), at);
    if (kind === 'zero')
      after.fill(0, at, region.start + Math.ceil((at - region.start + bytes) / 2));
    if (kind === 'truncate') return after.subarray(0, at);
    if (kind === 'swap') {
      const others = this.regions.filter((other) => other.kind === region.kind && other !== region);
      const other = others[Math.floor(random() * others.length)];
      if (other === undefined) return after;
      const from = readFileSync(join(this.directory, other.file)).subarray(other.start, other.end);
      from.copy(after, region.start, 0, Math.min(bytes, from.length));
    }
    return after;
  }

  async #use(directory: string, region: Region, captures: boolean): Promise<Outcome> {
    let store: SnapshotStore;
    try {
      store = await openUnmanaged(directory);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      expect(MEANT, error.message).toContain(error.code);
      expect(['catalog', 'format'], error.message).toContain(region.kind);
      expect(error.file).toContain(directory);
      return 'refused';
    }
    try {
      const outcome = await this.#useOpen(store, directory, region);
      // Half of the time that a case takes; what is derived shows only there.
      if (captures || !isPack(region)) await this.#expectCapture(store, region);
      return outcome;
    } finally {
      await store.close().catch(onlyOfCatalog(region));
    }
  }

  async #useOpen(store: SnapshotStore, directory: string, region: Region): Promise<Outcome> {
    const lost: string[] = [];
    for (const { id, images, files } of this.#captured) {
      const outcome = await this.#restore(store, id, { images, files });
      if (outcome instanceof StoreError) {
        const codes = region.kind === 'catalog' ? MEANT : ['CORRUPT'];
        expect(codes, outcome.message).toContain(outcome.code);
        // What an index of the catalog no longer finds has no place: the message has its id.
        const isNamed = outcome.code === 'NOT_FOUND' && outcome.message.includes(id);
        expect(isNamed || (outcome.file ?? outcome.snapshot) !== undefined).toBe(true);
        lost.push(id);
      }
    }
    if (DERIVED.includes(region.kind)) expect(lost).toEqual([]);
    const isCatalog = region.kind === 'catalog';
    try {
      const report = await store.verify();
      const named = report.lostSnapshots.map(({ id }) => id);
      if (!isCatalog) {
        expect(named.sort()).toEqual([...lost].sort());
        const files = report.problems.map(({ file }) => file);
        if (isPack(region)) expect(files).toContain(join(directory, region.file));
        else expect(files).toEqual([]);
      }
    } catch (error) {
      onlyOfCatalog(region)(error);
    }
    return lost.length > 0 ? 'lost' : 'harmless';
  }

  async #restore(
    store: SnapshotStore,
    id: string,
    expected: { readonly images: readonly string[]; readonly files: readonly string[] },
  ): Promise<StoreError | undefined> {
    const [images, files] = [this.#newPath(), this.#newPath()];
    try {
      await store.snapshot(id).restore(images, { files });
      expect(describeTree(images)).toEqual(expected.images);
      expect(describeTree(files)).toEqual(expected.files);
      return undefined;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      for (const path of [images, files]) expect(() => readdirSync(path)).toThrow(/ENOENT/);
      return error;
    } finally {
      for (const path of [images, files]) rmSync(path, { recursive: true, force: true });
    }
  }

  /** A capture after it comes out whole, whatever was lost. */
  async #expectCapture(store: SnapshotStore, region: Region): Promise<void> {
    const { images, files } = this.#next;
    try {
      const { id } = await store.timeline('t').capture({ images, files });
      const expected = { images: describeTree(images), files: describeTree(files) };
      const failure = await this.#restore(store, id, expected);
      if (failure !== undefined) throw failure;
    } catch (error) {
      onlyOfCatalog(region)(error);
    }
  }
}

function isPack({ file }: Region): boolean {
  return file.endsWith('.pack');
}

/** A damaged catalog may be in the way of everything, but only with errors that say so. */
function onlyOfCatalog({ kind }: Region): (error: unknown) => void {
  return (error) => {
    if (kind !== 'catalog' || !(error instanceof StoreError)) throw error;
    expect(MEANT, error.message).toContain(error.code);
  };
}

function makeFiles(path: string, seed: number): string {
  mkdirSync(join(path, 'etc'), { recursive: true });
  for (let i = 0; i < 12; i++) {
    writeFileSync(join(path, 'etc', `${i}.conf`), `${seed} ${i} `.repeat(200 * i + 1));
  }
  return path;
}

/** A copy in which some bytes of some pages are others. */
function changed(
  first: { readonly images: string; readonly files: string },
  newPath: () => string,
  version: number,
): { images: string; files: string } {
  const [images, files] = [newPath(), newPath()];
  execFileSync('cp', ['-a', first.images, images]);
  execFileSync('cp', ['-a', first.files, files]);
  const pages = join(images, 'pages-1.img');
  const bytes = readFileSync(pages);
  for (let at = version * 100; at < bytes.length; at += 4096 * (version + 1)) {
    bytes.writeUInt8(bytes.readUInt8(at) ^ (version + 16), at);
  }
  writeFileSync(pages, bytes);
  writeFileSync(join(files, 'etc', `${version}.conf`), `version ${version}\n`.repeat(400));
  return { images, files };
}

async function regionsOf(directory: string): Promise<Region[]> {
  const regions: Region[] = [whole(directory, 'format.json', 'format')];
  regions.push(whole(directory, 'catalog.sqlite', 'catalog'));
  for (const [folder, kinds] of [
    ['index', ['run']],
    ['cache', ['head', 'facts']],
  ] as const) {
    for (const name of readdirSync(join(directory, folder))) {
      const kind = kinds.find((end) => name.endsWith(`.${end}`));
      if (kind !== undefined) regions.push(whole(directory, join(folder, name), kind));
    }
  }
  for (const prefix of readdirSync(join(directory, 'packs'))) {
    for (const name of readdirSync(join(directory, 'packs', prefix))) {
      regions.push(...(await regionsOfPack(directory, join('packs', prefix, name))));
    }
  }
  return regions;
}

function whole(directory: string, file: string, kind: string): Region {
  return { file, kind, start: 0, end: readFileSync(join(directory, file)).length };
}

async function regionsOfPack(directory: string, file: string): Promise<Region[]> {
  const descriptors = new DescriptorPool(nodeFiles, 1);
  try {
    const pack = openPack(nodeFiles, descriptors, await loadZstd(), join(directory, file));
    const { sizeBytes } = pack;
    const region = (kind: string, start: number, bytes: number): Region => {
      return { file, kind, start, end: start + bytes };
    };
    const blocks = pack.footer.entries.map(({ type, offset, blockBytes }) =>
      region(type, offset, blockBytes),
    );
    const frames = pack.frameTables(0).flatMap((table) =>
      Array.from({ length: table.length }, (_, index) => {
        const { offset, blockBytes } = table.entryAt(index);
        return region(table.isDelta(index) ? 'delta frame' : 'frame', offset, blockBytes);
      }),
    );
    const footer = Math.max(...blocks.map(({ end }) => end));
    return [
      region('header', 0, 16),
      ...frames,
      ...blocks,
      region('footer', footer, sizeBytes - 32 - footer),
      region('trailer', sizeBytes - 32, 32),
      { ...region('pack', 0, sizeBytes) },
    ];
  } finally {
    descriptors.close();
  }
}
