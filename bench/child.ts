/**
 * The measured process of this library: `child.ts capture STORE IMAGES...` or
 * `child.ts restore STORE TARGET`. Prints one JSON line: milliseconds around the work, opening and
 * closing of the store included, and the peak resident memory of the process.
 */
import { SnapshotStore } from 'criu-timeline';

const TIMELINE = 'bench';

async function capture(directory: string, images: readonly string[]): Promise<void> {
  await using store = await SnapshotStore.open(directory, { create: true });
  for (const path of images) await store.timeline(TIMELINE).capture({ images: path });
}

async function restore(directory: string, target: string): Promise<void> {
  await using store = await SnapshotStore.open(directory);
  await store.snapshot(TIMELINE).restore(target);
}

const [action, directory = '', ...paths] = process.argv.slice(2);
const start = performance.now();
if (action === 'capture') await capture(directory, paths);
else await restore(directory, paths[0] ?? '');
const milliseconds = performance.now() - start;
const peakBytes = process.resourceUsage().maxRSS * 1024;
console.log(JSON.stringify({ milliseconds, peakBytes }));
