/**
 * What must be true of a store that a power cut, or a failure, has left: it opens, it holds what it
 * has acknowledged and nothing by halves, it is whole, it has lost no space, and it goes on.
 */
import { copyFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { type Snapshot, SnapshotStore } from '../../src/index.ts';
import { packFiles } from './store-contents.ts';
import { allSnapshots, type Content, factsOf, type StoreFacts } from './store-operations.ts';
import { describeTree } from './trees.ts';
import { openUnmanaged } from './unmanaged-stores.ts';

/** What a store may hold. */
export interface Expectation {
  /** What was acknowledged; undefined while the store itself was not. */
  readonly before: StoreFacts | undefined;
  /** What the operation that was under way would have made of it. */
  readonly after: StoreFacts | undefined;
  readonly contents: ReadonlyMap<string, Content>;
  /** Whether it is to be repaired before it is opened. */
  readonly isRepaired?: boolean;
}

/** Nobody else has a catalog open here: a process for each copy took a third of all the time. */
const FILES: Files = { ...nodeFiles, copyApart: (from, to) => copyFileSync(from, to) };

/** Checks stores; each may be changed by that. */
export class ImageCheck {
  readonly #newPath: () => string;
  /** A dump that any store can capture. */
  readonly #probe: string;
  /** What it restores to. */
  readonly probeContent: Content;

  constructor(newPath: () => string, probe: string) {
    this.#newPath = newPath;
    this.#probe = probe;
    this.probeContent = { images: describeTree(probe), files: undefined };
  }

  /** Fails unless the store in a directory is as expected, once it is opened. */
  async checkDirectory(directory: string, expectation: Expectation): Promise<void> {
    const create = expectation.before === undefined;
    if (expectation.isRepaired === true) await SnapshotStore.repair(directory, { files: FILES });
    const store = await openUnmanaged(directory, { create, workers: 0 });
    try {
      expectNoLeftovers(directory);
      await this.checkStore(store, expectation);
    } finally {
      await store.close();
    }
  }

  /** Fails unless an open store is as expected. */
  async checkStore(store: SnapshotStore, expectation: Expectation): Promise<void> {
    const { before = NOTHING, after = before, contents } = expectation;
    const facts = factsOf(store);
    const lastSequence = isSame(facts, before) ? before.lastSequence : after.lastSequence;
    if (!isSame(facts, before) && !isSame(facts, after)) throw new Error(difference(facts, before));
    const report = await store.verify();
    expect(report.problems).toEqual([]);
    const { unknownPacks } = await store.collect({ dryRun: true });
    expectNoLostSpace(unknownPacks, { before, after });
    for (const snapshot of allSnapshots(store)) {
      const content = contents.get(snapshot.id);
      if (content === undefined) throw new Error(`${snapshot.id} was never captured`);
      const { isRemoved } = snapshot;
      if (isRemoved) await snapshot.undelete();
      await this.#expectRestores(snapshot, content);
      if (isRemoved) await snapshot.remove();
    }
    const snapshot = await store.timeline('t').capture({ images: this.#probe });
    expect(`sequence ${snapshot.sequence}`).toBe(`sequence ${lastSequence + 1}`);
    await this.#expectRestores(snapshot, this.probeContent);
    await expectCollects(store, unknownPacks);
  }

  async #expectRestores(snapshot: Snapshot, { images, files }: Content): Promise<void> {
    const target = this.#newPath();
    const filesTarget = files === undefined ? undefined : this.#newPath();
    await snapshot.restore(target, { files: filesTarget });
    expect(describeTree(target)).toEqual(images);
    rmSync(target, { recursive: true });
    if (filesTarget === undefined) return;
    expect(describeTree(filesTarget)).toEqual(files);
    rmSync(filesTarget, { recursive: true });
  }
}

const NOTHING: StoreFacts = { snapshots: new Map(), lastSequence: 0, packs: [] };

function isSame(a: StoreFacts, b: StoreFacts): boolean {
  if (a.snapshots.size !== b.snapshots.size) return false;
  return [...a.snapshots].every(([id, facts]) => b.snapshots.get(id) === facts);
}

function difference(actual: StoreFacts, before: StoreFacts): string {
  const lost = [...before.snapshots.keys()].filter((id) => !actual.snapshots.has(id));
  const more = [...actual.snapshots.keys()].filter((id) => !before.snapshots.has(id));
  const other = [...actual.snapshots.keys()].filter(
    (id) => before.snapshots.has(id) && before.snapshots.get(id) !== actual.snapshots.get(id),
  );
  return `lost ${lost.length} snapshots, ${more.length} come from nowhere, ${other.length} differ`;
}

/** Fails unless a collection leaves what it does not know, what is listed, and nothing else. */
async function expectCollects(store: SnapshotStore, unknown: readonly string[]): Promise<void> {
  const live = [...factsOf(store).snapshots.values()].filter((text) => !isRemoved(text));
  const report = await store.collect({ wasteThreshold: 0 });
  const { complete, damage, unknownPacks } = report;
  expect(`complete: ${complete}, damage: ${damage.join()}`).toBe('complete: true, damage: ');
  // One may be the very pack that this collection has written.
  expect(unknownPacks.filter((path) => !unknown.includes(path))).toEqual([]);
  expect([...factsOf(store).snapshots.values()]).toEqual(live);
  expect((await store.verify()).problems).toEqual([]);
  expect(packFiles(store.directory)).toHaveLength(store.statistics().packs + unknownPacks.length);
}

function isRemoved(text: string): boolean {
  return (JSON.parse(text) as { readonly removed: boolean }).removed;
}

/** Nothing in staging, and no lease, but of whoever has just opened the store. */
function expectNoLeftovers(directory: string): void {
  const staging = readdirSync(join(directory, 'staging'));
  expect(staging).toHaveLength(1);
  const leases = readdirSync(join(directory, 'leases')).filter((name) => name.endsWith('.lease'));
  expect(leases).toEqual([`${staging[0] ?? ''}.lease`]);
}

/** Only a pack that was being made may be there unknown; all others are the catalog's. */
function expectNoLostSpace(
  unknownPacks: readonly string[],
  { before, after }: { readonly before: StoreFacts; readonly after: StoreFacts },
): void {
  const unknown = unknownPacks.map((path) => path.slice(-PACK_NAME_CHARACTERS));
  const newPacks = after.packs.filter((name) => !before.packs.includes(name));
  expect(unknown.filter((name) => !newPacks.includes(name))).toEqual([]);
}

/** Of a name: the SHA-256 in hex, and `.pack`. */
const PACK_NAME_CHARACTERS = 64 + 5;
