/**
 * Gives back the images of a container as it was at a moment:
 *
 *     npx tsx examples/step-back.ts STORE TIMELINE 2026-11-21T10:00:00Z TARGET
 */
import { SnapshotStore } from 'criu-timeline';

const [directory = '', name = '', time = '', target = ''] = process.argv.slice(2);

const store = await SnapshotStore.open(directory);
try {
  const snapshot = store.timeline(name).at(new Date(time));
  if (snapshot === undefined) throw new Error(`${name} has no snapshot as old as ${time}`);
  await snapshot.restore(target, { sync: true });
  const processes = snapshot.describe().processes.map(({ pid, command }) => `${command} (${pid})`);
  console.log(`${name}@${snapshot.sequence}, taken at ${snapshot.takenAt.toISOString()}`);
  console.log(`To go on with ${processes.join(', ')}: criu restore --images-dir ${target}`);
} finally {
  await store.close();
}
