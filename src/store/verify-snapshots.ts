/**
 * Checks snapshots: each manifest, and at level `snapshots` every page through its recipe, against
 * its leaves. Where reading fails, it is found out which bytes are lost.
 */
import { PAGE_BYTES } from '../bytes/page.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { StoreError } from '../errors.ts';
import type { LostBytes, ReadRequest } from '../slices/tasks.ts';
import { checkTree } from './check-tree.ts';
import { now } from './clock.ts';
import type { StoreContext } from './context.ts';
import { readManifest } from './read-manifest.ts';
import { readRequests, runRead } from './read-requests.ts';
import { findPages, type StoredFile, type StoredSnapshot } from './snapshot-pages.ts';
import { TaskWindow } from './task-window.ts';
import type { Verification } from './verify-packs.ts';

/** Bytes of a space that are lost. */
export interface LostRange {
  /** Where they begin in the image. */
  readonly offset: number;
  readonly bytes: number;
  /** Where they begin in the memory of the task, in hex; undefined outside of memory. */
  readonly address: string | undefined;
}

/** What is lost of a space. */
export interface LostSpace {
  /** Name of the image; empty for the container's files. */
  readonly image: string;
  /** Name of the space, such as `pagemap-7`, `tree` or `files`; undefined for other images. */
  readonly space: string | undefined;
  readonly lostBytes: number;
  /** The first 16 of `rangeCount`, ascending. */
  readonly ranges: readonly LostRange[];
  readonly rangeCount: number;
}

/** A snapshot that is not whole any more. */
export interface LostSnapshot {
  readonly id: string;
  readonly timeline: string;
  readonly sequence: number;
  /** `whole`: nobody knows where its pages are. `partly`: all but `spaces` is there. */
  readonly lost: 'whole' | 'partly';
  /** The first 64 of `spaceCount`; empty when the whole of it is lost. */
  readonly spaces: readonly LostSpace[];
  readonly spaceCount: number;
}

/** What of the snapshots was read. */
export interface SnapshotsChecked {
  readonly snapshots: number;
  readonly lost: readonly LostSnapshot[];
  /** Snapshots that the budget did not reach. */
  readonly leftOut: number;
}

const MAX_RANGES = 16;
const MAX_SPACES = 64;

/** Snapshots whose times are written in one transaction. */
const SNAPSHOTS_OF_WRITE = 64;

/** Checks the snapshots that the budget allows, in their order. */
export async function checkSnapshots(
  verification: Verification,
  ordered: readonly SnapshotRow[],
): Promise<SnapshotsChecked> {
  const { context, budget, level } = verification;
  const lost: LostSnapshot[] = [];
  const read: string[] = [];
  let done = 0;
  try {
    for (const row of ordered) {
      if (budget.isSpent) break;
      const isRead = level === 'snapshots' && !row.condemned;
      budget.spend(isRead ? row.logicalBytes : 0);
      const found = await checkSnapshot(verification, row);
      if (found !== undefined && !row.condemned) lost.push(found);
      if (isRead) read.push(row.id);
      if (read.length >= SNAPSHOTS_OF_WRITE) await remember(context, read);
      verification.onDone((done += 1));
    }
  } finally {
    await remember(context, read);
  }
  // The newest first, whatever the order was.
  lost.sort((a, b) => (a.id < b.id ? 1 : -1));
  return { snapshots: done, lost, leftOut: ordered.length - done };
}

/** Puts on record what was read; that it cannot is no failure of the verification. */
async function remember({ catalog, staging }: StoreContext, read: string[]): Promise<void> {
  const ids = read.splice(0);
  if (staging === undefined || ids.length === 0) return;
  try {
    await catalog.packRecords.putChecked(ids, now());
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
  }
}

async function checkSnapshot(
  verification: Verification,
  row: SnapshotRow,
): Promise<LostSnapshot | undefined> {
  const { context, findings, pacer, level } = verification;
  await pacer.pause();
  const manifest = findings.collect(() => readManifest(context, row), row.id);
  if (manifest === undefined) return lostWith(row, 'whole', []);
  // Of one that is condemned, only the recipes are needed: others differ from them.
  if (level !== 'snapshots' || row.condemned) return undefined;
  const find = () => findPages(context, row, pacer, true);
  const found = await findings.collectLater(find, row.id);
  if (found === undefined) return lostWith(row, 'whole', []);
  const spaces = await checkFiles(verification, found);
  const tree = await findings.collectLater(async () => {
    await checkTree(context, found, pacer);
    return true;
  }, row.id);
  // What its pages are is all right then, and not what they say.
  if (tree === undefined && !spaces.some(({ space }) => space === 'tree')) {
    const none = { lostBytes: 0, ranges: [], rangeCount: 0 };
    spaces.push({ image: '', space: 'tree', ...none });
  }
  return spaces.length === 0 ? undefined : lostWith(row, 'partly', spaces);
}

function lostWith(
  { id, timelineName: timeline, sequence }: SnapshotRow,
  lost: LostSnapshot['lost'],
  spaces: readonly LostSpace[],
): LostSnapshot {
  const spaceCount = spaces.length;
  return { id, timeline, sequence, lost, spaces: spaces.slice(0, MAX_SPACES), spaceCount };
}

/** Reads every page of a snapshot; returns what is lost, in the order of the manifest. */
async function checkFiles(
  verification: Verification,
  { row, files }: StoredSnapshot,
): Promise<LostSpace[]> {
  const { crew, pacer } = verification;
  const tasks = new TaskWindow(2 * crew.width);
  const losses: Loss[] = [];
  try {
    for (const file of files) {
      const loss = new Loss(file);
      losses.push(loss);
      for (const request of readRequests(row.id, file, undefined)) {
        await pacer.pause();
        await tasks.add(checkPages(verification, request, loss));
      }
    }
    await tasks.end();
  } finally {
    await tasks.settle();
  }
  return losses.filter(({ bytes }) => bytes > 0).map((loss) => loss.describe());
}

async function checkPages(
  { crew, findings }: Verification,
  request: ReadRequest,
  loss: Loss,
): Promise<void> {
  const { snapshot } = request;
  const read = async (): Promise<true> => {
    await runRead(crew, request);
    return true;
  };
  if ((await findings.collectLater(read, snapshot)) === true) return;
  const find = () => crew.run('findLost', request);
  loss.add((await findings.collectLater(find, snapshot)) ?? [request]);
}

/** What is lost of a file, as it is found out. */
class Loss {
  bytes = 0;
  readonly #file: StoredFile;
  readonly #ranges: LostBytes[] = [];

  constructor(file: StoredFile) {
    this.#file = file;
  }

  add(ranges: readonly LostBytes[]): void {
    for (const { offset, bytes } of ranges) {
      this.bytes += bytes;
      this.#ranges.push({ offset, bytes });
    }
  }

  describe(): LostSpace {
    const { name, role, content } = this.#file;
    const joined: LostBytes[] = [];
    for (const { offset, bytes } of this.#ranges.toSorted((a, b) => a.offset - b.offset)) {
      const last = joined.at(-1);
      if (last === undefined || last.offset + last.bytes !== offset) joined.push({ offset, bytes });
      else joined[joined.length - 1] = { offset: last.offset, bytes: last.bytes + bytes };
    }
    const isMemory = role === undefined && content.addresses !== undefined;
    return {
      image: Buffer.from(name).toString(),
      space: role ?? content.addresses?.name,
      lostBytes: this.bytes,
      ranges: joined.slice(0, MAX_RANGES).map(({ offset, bytes }) => ({
        offset,
        bytes,
        address: isMemory ? this.#addressOf(offset) : undefined,
      })),
      rangeCount: joined.length,
    };
  }

  #addressOf(offset: number): string | undefined {
    const { addresses } = this.#file.content;
    let page = Math.floor(offset / PAGE_BYTES);
    for (const [run, pages] of addresses?.runLength.entries() ?? []) {
      const start = addresses?.runStart[run] as number;
      if (page < pages) return `0x${(BigInt(start + page) * BigInt(PAGE_BYTES)).toString(16)}`;
      page -= pages;
    }
    return undefined;
  }
}
