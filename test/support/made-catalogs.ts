/** Catalogs for tests: fresh ones, captures to commit, and a second look at their file. */
import { writeFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { onTestFinished } from 'vitest';
import { idToText, makeId } from '../../src/bytes/id.ts';
import { Catalog, type CaptureToCommit } from '../../src/catalog/catalog.ts';

/** The store that the catalogs of tests belong to. */
export const STORE_ID: Uint8Array = new Uint8Array(16).fill(0xc7);

/** Opens a catalog, closed when the test is done. */
export async function openCatalog(file: string, signal?: AbortSignal): Promise<Catalog> {
  const catalog = await Catalog.open(file, STORE_ID, { signal });
  onTestFinished(() => catalog.close());
  return catalog;
}

/** Makes an empty file and opens it as a new catalog. */
export async function newCatalog(file: string): Promise<Catalog> {
  writeFileSync(file, '');
  return await openCatalog(file);
}

/** Another connection to a catalog's file. */
export function openRaw(file: string): Database.Database {
  const database = new Database(file);
  onTestFinished(() => void database.close());
  return database;
}

/** The id of the n-th snapshot of a test. */
export function snapshotId(n: number): string {
  return idToText(makeId(n, new Uint8Array(10).fill(n)));
}

/** A capture whose fields all follow from a number, but for those that are given. */
export function captureOf(
  n: number,
  snapshot: Partial<CaptureToCommit['snapshot']> = {},
): CaptureToCommit {
  return {
    pack: { name: n.toString(16).padStart(64, '0'), sizeBytes: 1000 + n },
    segment: { identity: new Uint8Array(16).fill(n), pages: 10 + n, frameBytes: 500 + n },
    snapshot: {
      id: snapshotId(n),
      timelineName: 'web',
      sequence: n,
      kind: 'restorable',
      takenAtMs: n * 1000,
      digest: Buffer.alloc(32, n),
      parentId: n === 1 ? undefined : snapshotId(n - 1),
      parentDigest: n === 1 ? undefined : Buffer.alloc(32, n - 1),
      criuRunId: n === 1 ? undefined : `run ${n}`,
      labels: n === 1 ? [] : [['reason', `capture ${n} €`]],
      logicalBytes: 4096 * n,
      logicalPages: n,
      newPages: 10 + n,
      storedBytes: 1000 + n,
      manifestDigest: Buffer.alloc(32, 0x80 + n),
      revision: 0,
      baseId: n === 1 ? undefined : snapshotId(n - 1),
      ...snapshot,
    },
  };
}
