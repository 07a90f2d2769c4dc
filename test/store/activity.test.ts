/** What other processes see of the operations of a handle: a lock, and a generation. */
import { writeFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { takeLease } from '../../src/catalog/lease.ts';
import { Activity } from '../../src/store/activity.ts';
import { newCatalog } from '../support/made-catalogs.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();

async function newActivity(): Promise<{ activity: Activity; catalog: Catalog; path: string }> {
  const catalog = await newCatalog(nextPath());
  const path = nextPath();
  writeFileSync(path, '');
  await catalog.putLease('one', 1);
  const activity = new Activity(catalog, path, 'one');
  onTestFinished(() => activity.close());
  return { activity, catalog, path };
}

/** A collection that condemns nothing, but begins a generation. */
async function raise(catalog: Catalog): Promise<void> {
  const nothing = { manifests: [], snapshots: [], slots: [], lostFrames: [], statesChanged: 0 };
  await catalog.collections.condemn({ pack: undefined, ...nothing });
}

function isHeld(path: string): boolean {
  const lock = takeLease(path);
  lock?.release();
  return lock === undefined;
}

describe('the activity of a handle', () => {
  it('holds its lock while anything runs, and not a moment longer', async () => {
    const { activity, path } = await newActivity();
    expect(isHeld(path)).toBe(false);
    const [one, two] = [activity.beginNow(), activity.beginNow()];
    expect(isHeld(path)).toBe(true);
    one.end();
    one.end();
    expect(isHeld(path)).toBe(true);
    two.end();
    expect(isHeld(path)).toBe(false);
    activity.beginNow().end();
    expect(isHeld(path)).toBe(false);
  });

  it('is as old as the oldest operation that runs, and its row is never younger', async () => {
    const { activity, catalog } = await newActivity();
    const old = activity.beginNow();
    await raise(catalog);
    const young = activity.beginNow();
    expect([old.generation, young.generation]).toEqual([0, 1]);
    expect(activity.oldestBut(young)).toBe(0);
    expect(activity.oldestBut(old)).toBe(1);
    await expect.poll(() => catalog.leaseGeneration('one')).toBe(0);
    old.end();
    await expect.poll(() => catalog.leaseGeneration('one')).toBe(1);
    expect(activity.oldestBut(young)).toBeUndefined();
    await raise(catalog);
    const younger = activity.beginNow();
    young.end();
    await expect.poll(() => catalog.leaseGeneration('one')).toBe(2);
    younger.end();
  });

  it('gives the lock back when it cannot tell the generation', async () => {
    const { activity, catalog, path } = await newActivity();
    catalog.close();
    expect(() => activity.beginNow()).toThrow();
    expect(isHeld(path)).toBe(false);
  });
});
