/**
 * Captures every dump that appears in a directory, in the order of names, until Ctrl-C, and thins
 * the timeline out as it gets older:
 *     npx tsx examples/ticker.ts STORE TIMELINE DUMPS [SECONDS]
 *
 * A dump is finished when its name has no leading dot: dump into `.name`, then rename. What has
 * been captured is deleted; the label `dump` says what was captured before a crash came in between,
 * so this can be stopped and started at any time.
 */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SnapshotStore } from 'criu-timeline';

const [directory = '', name = '', dumps = '', seconds = 5] = process.argv.slice(2);
const interruption = new AbortController();
process.on('SIGINT', () => interruption.abort());
const { signal } = interruption;
const store = await SnapshotStore.open(directory, { create: true });
try {
  for (;;) {
    await captureNew();
    // All of the last ten minutes, then one a minute, one an hour, one a day.
    const policy = { keepWithin: '10m', keepMinutely: '1h', keepHourly: '2d', keepDaily: 14 };
    const { removed } = await store.timeline(name).prune(policy, { signal });
    // Beside whatever else uses the store; what it does not get to, the next one does.
    if (removed.length > 0) await store.collect({ maxMilliseconds: 1000, signal });
    await delay(Number(seconds) * 1000, undefined, { signal });
  }
} catch (error) {
  // An interrupted capture has left the store as it was.
  if (!signal.aborted) throw error;
} finally {
  await store.close();
}

async function captureNew(): Promise<void> {
  const timeline = store.timeline(name);
  const known = new Set(timeline.list().map(({ labels }) => labels['dump']));
  for (const dump of (await readdir(dumps)).sort()) {
    if (dump.startsWith('.')) continue;
    const images = join(dumps, dump);
    if (!known.has(dump)) {
      const takenAt = (await stat(join(images, 'inventory.img'))).mtime;
      const snapshot = await timeline.capture({ images, takenAt, labels: { dump } }, { signal });
      console.log(`${dump} is now ${name}@${snapshot.sequence}`);
    }
    // Acknowledged is durable: the dump is not needed any more.
    await rm(images, { recursive: true });
  }
}
