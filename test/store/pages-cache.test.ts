/** What is remembered of snapshots' pages: never of a pack that is not there any more. */
import { describe, expect, it } from 'vitest';
import type { SnapshotRow } from '../../src/catalog/rows.ts';
import type { StoredSnapshot } from '../../src/store/snapshot-pages.ts';
import { PagesCache } from '../../src/store/pages-cache.ts';

function rowOf(id: string, packName = 'a', digest = 1): SnapshotRow {
  return { id, packName, manifestDigest: new Uint8Array(32).fill(digest) } as SnapshotRow;
}

function snapshotOf(row: SnapshotRow): StoredSnapshot {
  return { row, chain: [row], files: [] } as unknown as StoredSnapshot;
}

describe('the cache of pages', () => {
  it('gives back what it was given, while the manifest is the same and where it was', () => {
    const cache = new PagesCache();
    const known = snapshotOf(rowOf('x'));
    cache.put(known, cache.epoch);
    expect(cache.get(rowOf('x'))).toBe(known);
    expect(cache.get(rowOf('x', 'a', 2))).toBeUndefined();
    expect(cache.get(rowOf('x', 'b'))).toBeUndefined();
    expect(cache.get(rowOf('y'))).toBeUndefined();
  });

  it('takes nothing that was read before it was cleared', () => {
    const cache = new PagesCache();
    const { epoch } = cache;
    cache.clear();
    cache.put(snapshotOf(rowOf('x')), epoch);
    expect(cache.get(rowOf('x'))).toBeUndefined();
    cache.put(snapshotOf(rowOf('x')), cache.epoch);
    expect(cache.get(rowOf('x'))).toBeDefined();
  });
});
