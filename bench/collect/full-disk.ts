/**
 * Does a collection free space where there is none left? On a disk of its own, in memory, that is
 * filled up but for a megabyte after most snapshots were removed.
 *
 * The disk is mounted in a mount namespace of the commands that use it: it is gone when they are,
 * however they end.
 */
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { childCommand, readReport, runChild, type ChildTask } from '../measure/child.ts';
import { directoryBytes } from '../measure/directories.ts';
import { skipLoudly } from '../process/programs.ts';
import { runShell } from '../process/shell.ts';
import type { SuiteResult } from '../report/result.ts';
import { growTimeline } from '../scale/growth.ts';
import { writeChangedPages } from '../scale/made-pages.ts';
import type { SuiteTask } from '../suites/suite.ts';

const TIMELINE = 'disk';
const DUMPS = 10;
const PAGES = 24_000;
const QUICK_SHARE = 0.1;
const STRETCH = 2;
const MEGA = 1e6;
/** Room on the disk beside the store: for SQLite's log while snapshots are removed, and blocks. */
const ROOM_BYTES = 8 * MEGA;
const LEFT_BYTES = MEGA;
const NAMESPACE = ['unshare', '--mount'] as const;

/**
 * On a disk of $SIZE bytes at $DISK: a copy of the store, in which most snapshots are removed; a
 * file that leaves $LEFT bytes; a collection, which may fail; a restore, compared with $IMAGES.
 */
const SCRIPT = `
  set -e
  free() { echo $(($(stat -f -c '%a * %S' "$DISK"))); }
  mount -t tmpfs -o size="$SIZE" tmpfs "$DISK"
  cp -a "$STORE" "$DISK/store"
  "$NODE" "$CHILD" "$REMOVE" > "$DISK/../removed"
  head -c $(($(free) - LEFT)) /dev/zero > "$DISK/filled"
  free > "$DISK/../before"
  "$NODE" "$CHILD" "$COLLECT" > "$DISK/../collected" 2> "$DISK/../complaint" || true
  free > "$DISK/../after"
  "$NODE" "$CHILD" "$RESTORE" > "$DISK/../restored"
  diff -r "$IMAGES" "$TARGET"`;

interface FullDisk {
  readonly sizeBytes: number;
  readonly freeBefore: number;
  readonly freeAfter: number;
  /** What the same collection frees where there is room. */
  readonly withRoom: number;
  readonly outcome: string;
}

/** Measures, as root; otherwise says loudly that it does not. */
export async function measureFullDisk({ work, quick, say }: SuiteTask): Promise<SuiteResult> {
  const disk = join(work, 'disk');
  mkdirSync(disk);
  if (!(await canMount(disk))) {
    skipLoudly('a collection on a full disk: only root, where it may mount a tmpfs, can make one');
    return { tables: [], bars: [notMeasured()], plots: [], raw: undefined };
  }
  say('a store for a full disk');
  const [store, images] = [join(work, 'store'), join(work, 'images')];
  const pages = PAGES * (quick ? QUICK_SHARE : 1);
  let dump = 0;
  const write = (path: string): void => {
    dump += 1;
    writeChangedPages(path, pages, { seed: 17, dump, stretch: STRETCH });
  };
  await growTimeline({ store, work, timeline: TIMELINE, count: DUMPS - 1, write });
  write(images);
  await runChild({ store, captures: [{ timeline: TIMELINE, images }] });
  say('collecting, with room and without');
  const withRoom = await freedWithRoom(store, join(work, 'copy'));
  const found = await onFullDisk({ store, images, work, disk });
  return resultOf({ ...found, withRoom });
}

async function canMount(disk: string): Promise<boolean> {
  if (process.getuid?.() !== 0) return false;
  const line = 'mount -t tmpfs tmpfs "$DISK"';
  try {
    await runShell({ line, cwd: '/', variables: { DISK: disk } }, NAMESPACE);
    return true;
  } catch {
    return false;
  }
}

function notMeasured() {
  return { bar: 'collect-full-disk', of: 'no disk', value: undefined } as const;
}

/** All but the newest. */
const REMOVES: readonly string[] = Array.from(
  { length: DUMPS - 1 },
  (_, i) => `${TIMELINE}@${i + 1}`,
);
const COLLECT: Omit<ChildTask, 'store'> = { collects: [{ wasteThreshold: 0 }] };

async function freedWithRoom(store: string, copy: string): Promise<number> {
  cpSync(store, copy, { recursive: true });
  await runChild({ store: copy, removes: REMOVES });
  const before = directoryBytes(copy);
  await runChild({ store: copy, ...COLLECT });
  const freed = before - directoryBytes(copy);
  rmSync(copy, { recursive: true });
  return freed;
}

interface Places {
  readonly store: string;
  readonly images: string;
  readonly work: string;
  readonly disk: string;
}

async function onFullDisk(places: Places): Promise<Omit<FullDisk, 'withRoom'>> {
  const { store: template, images, work, disk } = places;
  const store = join(disk, 'store');
  const target = join(work, 'target');
  const sizeBytes = Math.ceil(directoryBytes(template) * 1.02) + ROOM_BYTES;
  const variables = {
    ...childCommand({ store }).variables,
    DISK: disk,
    SIZE: String(sizeBytes),
    LEFT: String(LEFT_BYTES),
    STORE: template,
    IMAGES: images,
    TARGET: target,
    REMOVE: JSON.stringify({ store, removes: REMOVES }),
    COLLECT: JSON.stringify({ store, ...COLLECT }),
    // What is left must come back, also when the disk is still full: nothing is written to it.
    RESTORE: JSON.stringify({
      store,
      options: { readOnly: true },
      restores: [{ snapshot: TIMELINE, target }],
    }),
  };
  await runShell({ line: SCRIPT, cwd: '/', variables }, NAMESPACE);
  const read = (name: string): string => readFileSync(join(work, name), 'utf8').trim();
  return {
    sizeBytes,
    freeBefore: Number(read('before')),
    freeAfter: Number(read('after')),
    outcome: outcomeOf(read('collected'), read('complaint')),
  };
}

/** How the collection ended, from what its process printed. */
function outcomeOf(stdout: string, complaint: string): string {
  if (stdout === '') return /^\w*Error.*$/m.exec(complaint)?.[0] ?? 'failed';
  const report = readReport(stdout).operations[0]?.collected;
  return report?.complete === true ? 'complete' : 'not complete';
}

function resultOf(found: FullDisk): SuiteResult {
  const { sizeBytes, freeBefore, freeAfter, withRoom, outcome } = found;
  const row = {
    'disk, MB': (sizeBytes / MEGA).toFixed(0),
    'free before, bytes': freeBefore,
    'free after, bytes': freeAfter,
    'freed, MB': ((freeAfter - freeBefore) / MEGA).toFixed(1),
    'with room, MB': (withRoom / MEGA).toFixed(1),
    collection: outcome,
  };
  return {
    tables: [{ title: `Most removed, and 1 MB left on the disk: a collection`, rows: [row] }],
    bars: [
      {
        bar: 'collect-full-disk',
        of: `${row['disk, MB']} MB`,
        value: (freeAfter - freeBefore) / withRoom,
      },
    ],
    plots: [],
    raw: found,
  };
}
