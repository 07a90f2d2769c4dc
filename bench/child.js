/**
 * The measured process of this library: `child.js TASK`, where TASK is JSON as measure/child.ts
 * describes it; prints one JSON document. Plain JavaScript on the built library, because memory and
 * times are to be the library's: below tsx the same capture ends 0.3 s later and peaks 33 MB
 * higher.
 *
 * Peak memory is VmHWM, the process's own. process.resourceUsage().maxRSS is not: it begins with
 * the peak of the parent, which generates dumps of gigabytes.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
for (const capture of task.captures ?? []) {
  for (const { path, text } of capture.changes ?? []) writeFileSync(path, text);
  operations.push(await timed(() => captureOne(capture)));
}
for (const one of task.imports ?? []) operations.push(await timed(() => importOne(one)));
for (const restore of task.restores ?? []) {
  operations.push(await timed(() => restoreOne(restore)));
  if (restore.discard) rmSync(restore.target, { recursive: true });
}
for (const one of task.exports ?? []) operations.push(await timed(() => exportOne(one)));
for (const one of task.removes ?? []) operations.push(await timed(() => removeOne(one)));
for (const one of task.undeletes ?? []) operations.push(await timed(() => undeleteOne(one)));
for (const one of task.lists ?? []) operations.push(await timed(() => listOne(one)));
for (const one of task.ats ?? []) operations.push(await timed(() => atOne(one)));
for (const one of task.prunes ?? []) operations.push(await timed(() => pruneOne(one)));
for (const one of task.collects ?? []) operations.push(await timed(() => collectOne(one)));
if (task.rounds) operations.push(...(await collectInRounds(task.rounds)));
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

async function removeOne(snapshot) {
  await store.snapshot(snapshot).remove();
}

async function undeleteOne(snapshot) {
  await store.snapshot(snapshot).undelete();
}

async function listOne(timeline) {
  return { found: store.timeline(timeline).list().length };
}

async function atOne({ timeline, date }) {
  return { found: store.timeline(timeline).at(new Date(date))?.sequence };
}

async function pruneOne({ timeline, policy }) {
  const { kept, removed } = await store.timeline(timeline).prune(policy, { dryRun: true });
  return { kept: kept.length, found: kept.length + removed.length };
}

async function collectOne(options) {
  return { collected: await store.collect(options) };
}

/** Removes one snapshot after the other, and collects after each, until there is a file `stop`. */
async function collectInRounds({ removes, started, stop, options }) {
  const rounds = [];
  for (const snapshot of removes) {
    if (existsSync(stop)) break;
    await removeOne(snapshot);
    if (rounds.length === 0) writeFileSync(started, '');
    rounds.push(await timed(() => collectOne(options)));
  }
  return rounds;
}

async function timed(work) {
  const before = performance.now();
  const outcome = await work();
  const milliseconds = performance.now() - before;
  return { startedAtMs: performance.timeOrigin + before, milliseconds, ...outcome };
}

function readPeakBytes() {
  const status = readFileSync('/proc/self/status', 'latin1');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}
