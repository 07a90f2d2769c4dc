/**
 * Opens the image directory of a capture together with the snapshot that it continues: the one that
 * was asked for, or the newest of the timeline.
 *
 * An incremental dump has pages only in its parent. If that is a snapshot of this store, the
 * parent's directory is not needed any more: which one it is, the caller says, or the run id of the
 * dump that the `parent` link leads to, or, when the link leads nowhere by now, it is taken to be
 * the newest one, and everything that contradicts this is an error.
 */
import { join } from 'node:path';
import { decodePagemap, type PageBytes, prepareMessage } from '../criu/index.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { isDamage, StoreError, storageError, systemCode } from '../errors.ts';
import type { Files } from '../files/files.ts';
import {
  parentSpace,
  peekParent,
  type ImageDirectory,
  type ParentSnapshot,
  type ParentSpace,
  openImageDirectory,
} from '../images/index.ts';
import { loadBase, type CaptureBase } from './capture-base.ts';
import type { CaptureSource } from './capture-source.ts';
import type { Pacer } from './clock.ts';
import type { StoreContext } from './context.ts';
import { withCrew } from './crew.ts';
import { resolveSnapshot } from './names.ts';
import { readManifest } from './read-manifest.ts';
import type { StoredSnapshot } from './snapshot-pages.ts';
import { StoredFileReader } from './stored-file-reader.ts';

/** A source, opened. */
export interface OpenedSource {
  readonly images: ImageDirectory;
  readonly parent: SnapshotRow | undefined;
  /** What pages are compared with: the parent, unless it is damaged. */
  readonly base: CaptureBase | undefined;
}

/** Pagemaps that are decoded in a few milliseconds: some 10,000 runs. */
const MAX_PAGEMAP_BYTES_HERE = 128 * 1024;

/** What is decoded of every dump. */
const FIRST_MESSAGES = ['inventory_entry', 'pstree_entry', 'pagemap_head'] as const;

/** Opens what is to be captured. */
export async function openSource(
  context: StoreContext,
  timeline: string,
  source: CaptureSource,
  pacer: Pacer,
): Promise<OpenedSource> {
  const { files } = context;
  context.threads.prepare(bytesOf(files, source.images, 'pages-'));
  const asked = findAsked(context, source.parent);
  const dumped = asked ?? findDumped(context, timeline, source.images);
  await pacer.pause();
  const parent = dumped ?? context.catalog.snapshots.newest(timeline);
  const base = parent && (await loadBase(context, parent, pacer));
  const isIncremental = isReachable(files, `${source.images}/parent`);
  const known = isIncremental && dumped !== undefined && base !== undefined;
  const description = known ? describeParent(context, base.snapshot) : undefined;
  await pacer.pause();
  const images = await openImages(context, source.images, description, pacer);
  return { images, parent, base };
}

/** Large pagemaps are decoded on another thread: a million runs take a third of a second. */
async function openImages(
  context: StoreContext,
  path: string,
  parent: ParentSnapshot | undefined,
  pacer: Pacer,
): Promise<ImageDirectory> {
  const { files } = context;
  if (bytesOf(files, path, 'pagemap-') <= MAX_PAGEMAP_BYTES_HERE) {
    for (const type of FIRST_MESSAGES) {
      prepareMessage(type);
      await pacer.pause();
    }
    return openImageDirectory(path, { files, parent });
  }
  return await withCrew(context, {}, (crew) => crew.run('openImages', { path, parent }));
}

/** Bytes of all images of a kind; opening says what is wrong with what cannot be looked at. */
function bytesOf(files: Files, path: string, prefix: string): number {
  try {
    const names = files.list(path).map((name) => name.toString());
    const images = names.filter((name) => name.startsWith(prefix));
    return images.reduce((sum, name) => sum + files.lstat(join(path, name)).sizeBytes, 0);
  } catch {
    return 0;
  }
}

function findAsked(context: StoreContext, asked: CaptureSource['parent']): SnapshotRow | undefined {
  if (asked === undefined) return undefined;
  const parent = resolveSnapshot(context.catalog, typeof asked === 'string' ? asked : asked.id);
  if (!parent.removed) return parent;
  throw new StoreError('NOT_FOUND', 'the parent has been removed', { snapshot: parent.id });
}

/** The snapshot of the dump that an incremental one hangs on; undefined when it needs none. */
function findDumped(
  context: StoreContext,
  timeline: string,
  images: string,
): SnapshotRow | undefined {
  const { files, catalog } = context;
  if (!isReachable(files, `${images}/parent`)) return undefined;
  const peek = peekParent(files, images);
  if (!peek.needsParent) return undefined;
  if (peek.parentRunId !== undefined) return catalog.snapshots.byRunId(timeline, peek.parentRunId);
  const newest = catalog.snapshots.newest(timeline);
  if (newest === undefined || !isReachable(files, `${images}/parent/inventory.img`)) return newest;
  // A parent that is there and has no run id is read from disk, unless this is clearly it.
  const isThisOne =
    peek.parentUptimeUs !== undefined && uptimeOf(context, newest) === peek.parentUptimeUs;
  return isThisOne ? newest : undefined;
}

/** What is wrong with a path that leads nowhere is said by whoever must open it. */
function isReachable(files: Files, path: string): boolean {
  try {
    files.lstat(path);
    return true;
  } catch (error) {
    if (LEADS_NOWHERE.has(systemCode(error))) return false;
    throw storageError('look at', path, error);
  }
}

const LEADS_NOWHERE: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

function uptimeOf(context: StoreContext, row: SnapshotRow): bigint | undefined {
  try {
    return readManifest(context, row).dumpUptimeUs;
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}

/** What the images room must know of a snapshot, flags of its pages included. */
function describeParent(context: StoreContext, snapshot: StoredSnapshot): ParentSnapshot {
  const { manifest, files, row } = snapshot;
  const pageBytes = manifest.dumpPageBytes as PageBytes;
  const pagemaps = new Map(files.map((file) => [Buffer.from(file.name).toString(), file]));
  const reader = new StoredFileReader(context);
  try {
    const spaces = new Map<string, ParentSpace>();
    for (const { content, role } of files) {
      if (content.addresses === undefined || role !== undefined) continue;
      const { name, runStart, runLength } = content.addresses;
      const pagemap = pagemaps.get(`${name}.img`);
      const space =
        pagemap === undefined
          ? { runStart, runLength }
          : parentSpace(decodePagemap(reader.read(row.id, pagemap), { pageBytes }), pageBytes);
      spaces.set(name, space);
    }
    const { criuRunId, dumpUptimeUs } = manifest;
    return { criuRunId, dumpUptimeUs, pageBytes, spaces };
  } finally {
    reader.close();
  }
}
