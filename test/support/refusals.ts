/**
 * What must be true whenever a capture is refused: the right error, with its place, a store that
 * is as it was, and a next capture that works as if nothing had been.
 */
import { expect } from 'vitest';
import type { CaptureSource, SnapshotStore } from '../../src/index.ts';
import { type ExpectedFailure, expectFailure } from './failures.ts';
import { makeDump } from './made-dumps.ts';
import { expectRestores, openStore } from './stores.ts';
import { storeState } from './store-state.ts';

/** A store with one snapshot in the timeline `t`. */
export async function storeWithSnapshot(newPath: () => string): Promise<SnapshotStore> {
  const store = await openStore(newPath());
  await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
  return store;
}

/** Fails unless this capture is refused as expected, without a trace. */
export async function expectRefused(
  store: SnapshotStore,
  source: CaptureSource,
  expected: ExpectedFailure,
): Promise<void> {
  const before = storeState(store.directory);
  const count = store.timeline('t').list().length;
  await expectFailure(() => store.timeline('t').capture(source), expected);
  expect(storeState(store.directory)).toEqual(before);
  await expectCaptures(store, count + 1);
}

/** Fails unless a capture into the timeline `t` works, and gets this sequence number. */
export async function expectCaptures(store: SnapshotStore, sequence: number): Promise<void> {
  const images = makeDump(`${store.directory}-good-${sequence}`, sequence);
  const snapshot = await store.timeline('t').capture({ images });
  expect(snapshot.sequence).toBe(sequence);
  await expectRestores(snapshot, images);
}
