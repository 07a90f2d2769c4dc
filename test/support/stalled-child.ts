/**
 * The program of a child process that comes to a stop in the middle of an operation, says so, and
 * stays there until it is killed; or does something, and is idle then.
 */
import { Writable } from 'node:stream';
import { join } from 'node:path';
import { makeDump } from './made-dumps.ts';
import type { StalledTask } from './stalled-processes.ts';
import { openUnmanaged } from './unmanaged-stores.ts';

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Says so once something comes, and takes no more. */
const stalled = new Writable({
  highWaterMark: 1,
  write: () => {
    say('stalled');
  },
});

function stopHere(): void {
  say('stalled');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

const { directory, what, snapshot, work } = JSON.parse(process.argv[2] ?? '') as StalledTask;
const store = await openUnmanaged(directory);
const keepAlive = setInterval(() => undefined, 1000);
if (what === 'export') await store.snapshot(snapshot).export(stalled);
else if (what === 'capture') {
  const images = makeDump(join(work, 'dump'), 5, 2000);
  await store.timeline('t').capture({ images }, { onProgress: stopHere });
} else {
  await store.snapshot(snapshot).restore(join(work, 'restored'));
  say('stalled');
  await new Promise(() => undefined);
}
clearInterval(keepAlive);
