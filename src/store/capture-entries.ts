/**
 * Stores the content of every entry of an image directory, and of the container's files, and
 * returns the entries of the manifest: names ascending by their bytes, pages in address order.
 */
import { DIGEST_BYTES } from '#digest';
import { PAGE_BYTES, pagesOf } from '../bytes/page.ts';
import type { ImageEntry } from '../images/index.ts';
import type { EntryRole, ManifestEntry } from '../manifest/manifest.ts';
import type { SessionSource } from '../slices/tasks.ts';
import type { Crew } from '../slices/threads.ts';
import type { SlicePlace } from './capture-buffers.ts';
import type { Pacer } from './clock.ts';
import type { OperationOptions } from './context.ts';
import type { FrameQueue } from './frame-queue.ts';
import type { StagedHead } from './heads.ts';
import type { PageStore } from './page-store.ts';
import { SlicePipeline } from './slice-pipeline.ts';
import { SlicePlan } from './slice-plan.ts';
import type { StoredFile } from './snapshot-pages.ts';
import type { WarmCapture } from './warm-pages.ts';

/** What becomes an entry of the manifest: of the image directory, or a space of files. */
export interface CaptureEntry extends Omit<ImageEntry, 'source'> {
  /** Undefined for the image directory's. */
  readonly role?: EntryRole | undefined;
  readonly source: SessionSource | undefined;
}

/** What entries are stored with. */
export interface EntryStorage {
  readonly crew: Crew;
  readonly pages: PageStore;
  readonly frames: FrameQueue;
  readonly places: readonly SlicePlace[];
  readonly head: StagedHead;
  readonly warm: WarmCapture;
  readonly maxDeltaDepth: number;
  /** What each entry is compared with. */
  readonly matches: ReadonlyMap<CaptureEntry, StoredFile>;
  /** Whether recipes are differences to those of the base. */
  readonly differs: boolean;
}

/** The contents that are read, in the order of their numbers. */
export function filesOf(entries: readonly CaptureEntry[]): readonly CaptureEntry[] {
  return entries.filter((entry) => entry.kind === 'file');
}

/** Stores the content of all entries. */
export async function captureEntries(
  toStore: readonly CaptureEntry[],
  storage: EntryStorage,
  pacer: Pacer,
  options: OperationOptions,
): Promise<ManifestEntry[]> {
  const total = toStore.reduce((sum, entry) => sum + entry.sizeBytes, 0);
  let done = 0;
  const { pages, frames, head } = storage;
  const pipeline = new SlicePipeline({ ...storage, pacer }, (slice, planned) => {
    head.write(slice.digests.subarray(0, planned.pages * DIGEST_BYTES));
    done += planned.bytes;
    if (done < total) options.onProgress?.({ phase: 'pages', done, total });
  });
  const entries: ManifestEntry[] = [];
  const sources = filesOf(toStore);
  try {
    for (const entry of toStore) {
      if (entry.kind === 'file') {
        await captureFile(entry, sources.indexOf(entry), { storage, pipeline, pacer });
      }
      pipeline.afterSlices(() => entries.push(describeEntry(entry, storage)));
    }
    await pipeline.end();
  } finally {
    await pipeline.settle();
  }
  await frames.room();
  pages.end();
  await frames.end();
  options.onProgress?.({ phase: 'pages', done: total, total });
  return entries;
}

async function captureFile(
  entry: CaptureEntry,
  source: number,
  to: {
    readonly storage: EntryStorage;
    readonly pipeline: SlicePipeline;
    readonly pacer: Pacer;
  },
): Promise<void> {
  const { storage, pipeline, pacer } = to;
  const { sizeBytes, space, inherited } = entry;
  const base = storage.matches.get(entry);
  const file = { sizeBytes, pageCount: pagesOf(sizeBytes), addresses: space, base, inherited };
  const plan = new SlicePlan(file, storage.maxDeltaDepth, storage.warm);
  for (;;) {
    await pacer.pause();
    const place = await pipeline.place();
    const planned = plan.next(place.slice);
    if (planned === undefined) {
      pipeline.release(place);
      return;
    }
    pipeline.send(place, planned, source, planned.first * PAGE_BYTES);
  }
}

/** Called when all pages of the entry have been kept. */
function describeEntry(entry: CaptureEntry, storage: EntryStorage): ManifestEntry {
  const { name, mode, sizeBytes, space, role } = entry;
  if (entry.kind !== 'file') return { name, mode, content: undefined };
  const { leaves, recipe } = storage.pages.endFile();
  const addresses = space && {
    name: space.name,
    runStart: space.runStart,
    runLength: space.runLength,
  };
  const base = storage.differs ? storage.matches.get(entry)?.entry : undefined;
  const whole = { sizeBytes, leaves, recipe, addresses };
  const content = base === undefined ? whole : { ...whole, baseEntry: base };
  return role === undefined ? { name, mode, content } : { name, mode, content, role };
}
