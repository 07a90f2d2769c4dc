/** Open stores from inside, and segments of numbered pages that are committed to them. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '@noble/hashes/sha2.js';
import { onTestFinished } from 'vitest';
import { idToText, makeId } from '../../src/bytes/id.ts';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import type { StoreContext } from '../../src/store/context.ts';
import { writeRun } from '../../src/store/index-write.ts';
import { openStore } from '../../src/store/open-store.ts';
import { makePack, numberedPage } from './made-packs.ts';

/** The parts of a store at `directory`, which is made if need be; closed when the test is done. */
export async function openContext(
  directory: string,
  { files = nodeFiles, cacheBytes = 4 * 1024 * 1024 }: { files?: Files; cacheBytes?: number } = {},
): Promise<StoreContext> {
  const store = await openStore(directory, {
    create: true,
    readOnly: false,
    anyFileSystem: true,
    files,
    cacheBytes,
    compressionLevel: 1,
    maxDeltaDepth: 16,
    workers: 0,
    workersFromBytes: 0,
    warmBytes: 0,
    lockTimeoutMs: 1000,
  });
  onTestFinished(() => store.close());
  return store.context;
}

/** A segment that is in a pack, and not in the catalog yet. */
export interface PendingSegment {
  readonly packName: string;
  commit(): Promise<void>;
}

let count = 0;

/** Writes a pack with one segment of these pages, and its run unless that is not wanted. */
export async function publishSegment(
  context: StoreContext,
  pages: readonly number[],
  { run = true }: { run?: boolean } = {},
): Promise<PendingSegment> {
  count += 1;
  const identity = new Uint8Array(16);
  new DataView(identity.buffer).setUint32(0, Math.imul(count, 0x9e3779b1));
  new DataView(identity.buffer).setUint32(12, count);
  const pack = makePack({ segments: [{ identity, pages: pages.map((n) => numberedPage(n)) }] });
  mkdirSync(context.layout.packDirectory(pack.name), { recursive: true });
  writeFileSync(context.layout.packFile(pack.name), pack.bytes);
  if (run) await writeRun(context, { identity, packName: pack.name, local: 0 }, undefined);
  const snapshot = {
    ...SNAPSHOT,
    id: idToText(makeId(count, new Uint8Array(10).fill(count))),
    sequence: count,
  };
  const commit = async () => {
    const segment = { identity, pages: pages.length, frameBytes: 1000 };
    await context.catalog.commitCapture({ pack, segment, snapshot });
  };
  return { packName: pack.name, commit };
}

/** Commits a segment of these pages. */
export async function addSegment(
  context: StoreContext,
  pages: readonly number[],
  options: { run?: boolean } = {},
): Promise<PendingSegment> {
  const pending = await publishSegment(context, pages, options);
  await pending.commit();
  return pending;
}

const SNAPSHOT = {
  timelineName: 't',
  kind: 'restorable',
  takenAtMs: 0,
  digest: new Uint8Array(32),
  parentId: undefined,
  parentDigest: undefined,
  criuRunId: undefined,
  labels: [],
  logicalBytes: 0,
  logicalPages: 0,
  newPages: 0,
  storedBytes: 0,
  manifestDigest: new Uint8Array(32),
  revision: 0,
  baseId: undefined,
} as const;

/** Whether the index finds a page and the pack agrees, as a capture asks. */
export function isFound(context: StoreContext, page: number): boolean {
  const digest = sha256(numberedPage(page));
  return context.index.find(digest, 0, (number, slot) => {
    const segment = context.segments.at(number);
    if (segment === undefined) return false;
    const pack = context.packs.reader(segment.packName);
    return pack.hasDigest(segment.local, slot, digest, 0);
  });
}

/** Paths of the files in index/. */
export function runFiles({ layout }: StoreContext): string[] {
  return readdirSync(layout.index)
    .sort()
    .map((name) => join(layout.index, name));
}

/** Names of the files in the staging of all processes. */
export function stagedFiles({ layout }: StoreContext): string[] {
  return readdirSync(layout.staging).flatMap((lease) => readdirSync(join(layout.staging, lease)));
}

/** Numbers from `first` on. */
export function numbers(first: number, length: number): number[] {
  return Array.from({ length }, (_, i) => first + i);
}
