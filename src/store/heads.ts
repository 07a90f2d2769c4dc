/**
 * The heads in cache/: one file for each of the newest snapshots, written beside its capture and
 * put in place after the commit. Never needed, never believed (see manifest/head.ts), so nothing
 * here is synced, and no failure here fails anything.
 *
 * A timeline keeps the heads of its two newest captures, so that cache/ has at most 64 bytes for
 * each page of it; beyond a limit for all timelines together, the oldest go first. While pages are
 * lost, it keeps the two oldest as well: they are of the time when that was noticed, and may be all
 * that tells a repair what was in them.
 */
import { join } from 'node:path';
import { sha256 } from '#digest';
import { toHex } from '../bytes/hex.ts';
import { AppendFile } from '../files/append-file.ts';
import type { Files } from '../files/files.ts';
import { exists } from '../files/transfer.ts';
import { encodeHeadHeader } from '../manifest/head.ts';
import { writableStaging, type StoreContext } from './context.ts';

/** Heads that a timeline keeps. */
const HEADS_OF_TIMELINE = 2;
/** Bytes that all heads together may take: the pages of 128 GiB of memory. */
const MAX_CACHE_BYTES = 1024 * 1024 * 1024;
const SUFFIX = '.head';

/** The path of a snapshot's head, if there is one. */
export function findHead(context: StoreContext, timeline: string, id: string): string | undefined {
  const path = headFile(context, timeline, id);
  return exists(context.files, path) ? path : undefined;
}

/** Whether a file in cache/ is a head, by its name. */
export function isHeadName(name: string): boolean {
  return name.endsWith(SUFFIX);
}

function headFile(context: StoreContext, timeline: string, id: string): string {
  return cacheFile(context, timeline, id, SUFFIX);
}

/** The path of what is kept in cache/ of a snapshot. */
export function cacheFile(
  context: StoreContext,
  timeline: string,
  id: string,
  suffix: string,
): string {
  return join(context.layout.cache, `${timelineKey(timeline)}-${id}${suffix}`);
}

/** The names of what is kept of a timeline's snapshots, sorted by age. */
export function cacheNamesOf(context: StoreContext, timeline: string, suffix: string): string[] {
  const { files, layout } = context;
  const names = files.list(layout.cache).map((name) => name.toString());
  const prefix = `${timelineKey(timeline)}-`;
  // Ids begin with the time of capture: sorted by name is sorted by age.
  return names.filter((name) => name.startsWith(prefix) && name.endsWith(suffix)).sort();
}

function timelineKey(timeline: string): string {
  return toHex(sha256(new TextEncoder().encode(timeline))).slice(0, 16);
}

/** The head of a capture, in the making; it gives up quietly when it cannot be written. */
export class StagedHead {
  readonly #context: StoreContext;
  readonly #path: string;
  #file: AppendFile | undefined;

  constructor(context: StoreContext, snapshotId: Uint8Array) {
    this.#context = context;
    this.#path = writableStaging(context).newPath(SUFFIX);
    this.#attempt(() => {
      this.#file = new AppendFile(context.files, this.#path);
      this.#file.write(encodeHeadHeader(snapshotId));
    });
  }

  /** Appends the digests of the next pages. */
  write(digests: Uint8Array): void {
    if (this.#file !== undefined) this.#attempt(() => this.#file?.write(digests));
  }

  /** Puts the head in place, and evicts those that nobody will ask for. */
  publish(timeline: string, id: string): void {
    const { files } = this.#context;
    this.#attempt(() => {
      if (this.#file === undefined) return;
      this.#file.flush();
      this.#close();
      files.rename(this.#path, headFile(this.#context, timeline, id));
      evict(this.#context, timeline);
    });
  }

  /** Takes the file away. */
  discard(): void {
    this.#attempt(() => {
      this.#close();
      this.#context.files.removeTree(this.#path);
    });
  }

  #close(): void {
    const file = this.#file;
    this.#file = undefined;
    file?.close();
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch {
      // A capture is worth more than its head: the next one takes longer, that is all.
      this.#giveUp();
    }
  }

  #giveUp(): void {
    try {
      this.#close();
      this.#context.files.removeTree(this.#path);
    } catch {
      // Closing the store clears its staging once more.
    }
  }
}

function evict(context: StoreContext, timeline: string): void {
  const { files, layout, packs } = context;
  const names = files.list(layout.cache).map((name) => name.toString());
  const first = packs.lostFrames.isEmpty ? 0 : HEADS_OF_TIMELINE;
  const old = cacheNamesOf(context, timeline, SUFFIX).slice(first, -HEADS_OF_TIMELINE);
  for (const name of old) removeIfThere(files, join(layout.cache, name));
  evictBeyondLimit(
    files,
    layout.cache,
    names.filter((name) => !old.includes(name)),
  );
}

/** Takes away what is kept of snapshots that are gone. */
export function evictCache({ files, layout }: StoreContext, ids: ReadonlySet<string>): void {
  for (const name of files.list(layout.cache).map((bytes) => bytes.toString())) {
    const id = /^[0-9a-f]{16}-([0-9A-Z]{26})\./.exec(name)?.[1];
    if (id !== undefined && !ids.has(id)) removeIfThere(files, join(layout.cache, name));
  }
}

function evictBeyondLimit(files: Files, directory: string, names: readonly string[]): void {
  const byAge = names.map((name) => {
    const { sizeBytes, modifiedNs } = files.lstat(join(directory, name));
    return { name, sizeBytes, modifiedNs };
  });
  byAge.sort((a, b) => (a.modifiedNs < b.modifiedNs ? 1 : -1));
  let bytes = 0;
  for (const { name, sizeBytes } of byAge) {
    bytes += sizeBytes;
    if (bytes > MAX_CACHE_BYTES) removeIfThere(files, join(directory, name));
  }
}

function removeIfThere(files: Files, path: string): void {
  if (exists(files, path)) files.unlink(path);
}
