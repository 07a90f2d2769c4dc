/**
 * The measured process of this library: `child.js TASK`, where TASK is JSON as measure/child.ts
 * describes it; prints one JSON document. Plain JavaScript on the built library, because memory and
 * times are to be the library's: below tsx the same capture ends 0.3 s later and peaks 33 MB
 * higher.
 *
 * Peak memory is VmHWM, the process's own. process.resourceUsage().maxRSS is not: it begins with
 * the peak of the parent, which generates dumps of gigabytes.
 */
import { readFileSync, rmSync } from 'node:fs';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { SnapshotStore } from 'criu-timeline';

const task = JSON.parse(process.argv[2]);
const delay = monitorEventLoopDelay({ resolution: 1 });
// The monitor's timer has to have fired once before there is something to be late for.
delay.enable();
await sleep(5);
delay.reset();

const start = performance.now();
const store = await SnapshotStore.open(task.store, task.options);
const openMs = performance.now() - start;
const operations = [];
for (const capture of task.captures ?? []) operations.push(await timed(() => captureOne(capture)));
for (const one of task.imports ?? []) operations.push(await timed(() => importOne(one)));
for (const restore of task.restores ?? []) {
  operations.push(await timed(() => restoreOne(restore)));
  if (restore.discard) rmSync(restore.target, { recursive: true });
}
for (const one of task.exports ?? []) operations.push(await timed(() => exportOne(one)));
const statistics = task.statistics ? await store.statistics() : undefined;
const closeStart = performance.now();
await store.close();
const end = performance.now();
// A block that lasts until now is noticed at the next turn of the loop.
await sleep(5);

const report = {
  milliseconds: end - start,
  openMs,
  closeMs: end - closeStart,
  operations,
  statistics,
  longestBlockMs: delay.max / 1e6,
  peakBytes: readPeakBytes(),
};
process.stdout.write(`${JSON.stringify(report)}\n`);

async function captureOne({ timeline, images, files }) {
  const { id, sizes } = await store.timeline(timeline).capture({ images, files });
  return { id, sizes };
}

async function importOne({ timeline, archive }) {
  const { id, sizes } = await store.timeline(timeline).import(archive);
  return { id, sizes };
}

async function restoreOne({ snapshot, target, files }) {
  return { result: await store.snapshot(snapshot).restore(target, { files }) };
}

async function exportOne({ snapshot, target, compression }) {
  await store.snapshot(snapshot).export(target, { compression });
}

async function timed(work) {
  const before = performance.now();
  const outcome = await work();
  return { milliseconds: performance.now() - before, ...outcome };
}

function readPeakBytes() {
  const status = readFileSync('/proc/self/status', 'latin1');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}
