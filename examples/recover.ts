/**
 * Restores the newest snapshot of a container that is undamaged. One bad sector need not be the
 * end: what a restore writes has been checked, so a damaged snapshot fails, and an older one is
 * tried.
 *
 *     npx tsx examples/recover.ts STORE TIMELINE TARGET
 */
import { SnapshotStore, StoreError, type Snapshot, type Timeline } from 'criu-timeline';

const [directory = '', name = '', target = ''] = process.argv.slice(2);

const store = await SnapshotStore.open(directory);
try {
  const snapshot = await restoreNewest(store.timeline(name));
  console.log(`Restored ${name}@${snapshot.sequence}, taken at ${snapshot.takenAt.toISOString()}`);
} finally {
  await store.close();
}

async function restoreNewest(timeline: Timeline): Promise<Snapshot> {
  // A pre-dump is no container, only the base of one.
  const snapshots = timeline.list().filter(({ kind }) => kind === 'restorable');
  for (const snapshot of snapshots.reverse()) {
    try {
      await snapshot.restore(target);
      return snapshot;
    } catch (error) {
      // Only damage is a reason to go back in time; a full disk, say, is not.
      if (!(error instanceof StoreError) || error.code !== 'CORRUPT') throw error;
      console.error(`${name}@${snapshot.sequence} is damaged: ${error.message}`);
    }
  }
  throw new Error(`no snapshot of ${name} can be restored`);
}
