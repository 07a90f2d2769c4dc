/**
 * Captures every dump that appears in a directory, in the order of names, until Ctrl-C:
 *     npx tsx examples/ticker.ts STORE TIMELINE DUMPS [SECONDS]
 *
 * A dump is finished when its name has no leading dot: dump into `.name`, then rename. The label
 * `dump` says what is in the store already, so this can be stopped and started at any time.
 */
import { readdir, stat } from 'node:fs/promises';
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
    if (dump.startsWith('.') || known.has(dump)) continue;
    const images = join(dumps, dump);
    const takenAt = (await stat(join(images, 'inventory.img'))).mtime;
    const snapshot = await timeline.capture({ images, takenAt, labels: { dump } }, { signal });
    console.log(`${dump} is now ${name}@${snapshot.sequence}`);
  }
}
