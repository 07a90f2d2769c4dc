/**
 * Capture: an image directory becomes a snapshot. The order of the steps is the order of DESIGN:
 * the timeline's lock, validation of everything before a page is read, pages in address order,
 * the manifest, publication. A failure at any step leaves the store as it was.
 */
import { sha256 } from '#digest';
import { idFromText, idToText } from '../bytes/id.ts';
import { pagesOf } from '../bytes/page.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { StoreError } from '../errors.ts';
import { openImageDirectory, type ImageDirectory } from '../images/index.ts';
import { encodeManifest, MAX_LABELS, MAX_TEXT_BYTES, type Manifest } from '../manifest/manifest.ts';
import { snapshotDigest } from '../manifest/snapshot-digest.ts';
import { captureEntries } from './capture-entries.ts';
import { newIdentity, newSnapshotId, now, Pacer } from './clock.ts';
import { writableStaging, type OperationOptions, type StoreContext } from './context.ts';
import { refreshIndex } from './index-packs.ts';
import { loadLostFrames } from './lost-frames.ts';
import { resolveSnapshot } from './names.ts';
import { PageStore } from './page-store.ts';
import { publish } from './publish.ts';
import { StagedPack } from './staged-pack.ts';
import { lockTimeline } from './timeline-lock.ts';

/** What to capture. */
export interface CaptureSource {
  /** Path of the image directory that `criu dump` wrote. */
  readonly images: string;
  /** When the container was frozen; now, unless given. No image holds wall-clock time. */
  readonly takenAt?: Date | undefined;
  /** What the caller wants to remember; part of the snapshot's digest. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** The snapshot to continue from, or its id or name; the timeline's newest, unless given. */
  readonly parent?: string | { readonly id: string } | undefined;
}

/** Captures into a timeline and returns the row of the new snapshot. */
export async function capture(
  context: StoreContext,
  timeline: string,
  source: CaptureSource,
  options: OperationOptions,
): Promise<SnapshotRow> {
  const { signal } = options;
  if (typeof source?.images !== 'string' || source.images === '') {
    throw new TypeError('images is the path of a directory');
  }
  const takenAtMs = takenAtOf(source.takenAt);
  const labels = canonicalLabels(source.labels ?? {});
  writableStaging(context);
  const lock = await lockTimeline(context, timeline, signal);
  try {
    const images = openImageDirectory(source.images, { files: context.files });
    checkRunId(images);
    const parent = findParent(context, timeline, source.parent);
    const head = { timeline, takenAtMs, labels, images, parent };
    return await captureImages(context, head, options);
  } finally {
    lock.release();
  }
}

interface CaptureHead {
  readonly timeline: string;
  readonly takenAtMs: number;
  readonly labels: Manifest['labels'];
  readonly images: ImageDirectory;
  readonly parent: SnapshotRow | undefined;
}

async function captureImages(
  context: StoreContext,
  head: CaptureHead,
  options: OperationOptions,
): Promise<SnapshotRow> {
  const pacer = new Pacer(options.signal);
  loadLostFrames(context);
  await refreshIndex(context, pacer);
  const identity = newIdentity();
  const staged = new StagedPack(context);
  try {
    staged.writer.beginSegment(identity);
    const pages = new PageStore(context, staged.writer, identity);
    const entries = await captureEntries(head.images, pages, pacer, options);
    head.images.confirmUnchanged();
    staged.writer.endSegment();
    const manifest = makeManifest(context, head, pages, entries);
    const manifestBytes = encodeManifest(manifest);
    const manifestDigest = sha256(manifestBytes);
    staged.writer.addManifest({ ...manifest, digest: manifestDigest, bytes: manifestBytes });
    const pack = staged.seal();
    const segment = { identity, pages: pages.newPages };
    const snapshot = rowOf(manifest, manifestDigest, pack.sizeBytes);
    const toPublish = { path: staged.path, pack, segment, snapshot };
    return await publish(context, toPublish, options.signal);
  } catch (error) {
    staged.discard();
    throw error;
  }
}

function makeManifest(
  context: StoreContext,
  head: CaptureHead,
  pages: PageStore,
  entries: Manifest['entries'],
): Manifest {
  const { images, parent } = head;
  const last = context.catalog.snapshots.last(head.timeline);
  return {
    snapshotId: newSnapshotId(),
    revision: 0,
    kind: images.kind,
    timeline: head.timeline,
    sequence: (last?.sequence ?? 0) + 1,
    takenAtMs: head.takenAtMs,
    labels: head.labels,
    parent: parent && { id: idFromText(parent.id) as Uint8Array, digest: parent.digest },
    criuRunId: images.criuRunId,
    dumpUptimeUs: images.dumpUptimeUs,
    dumpPageBytes: images.pageBytes,
    directoryMode: images.mode,
    segments: pages.segments,
    newPages: pages.newPages,
    entries,
  };
}

function rowOf(
  manifest: Manifest,
  manifestDigest: Uint8Array,
  storedBytes: number,
): Omit<SnapshotRow, 'number' | 'packName' | 'removed'> {
  const sizes = manifest.entries.map((entry) => entry.content?.sizeBytes ?? 0);
  return {
    id: idToText(manifest.snapshotId),
    timelineName: manifest.timeline,
    sequence: manifest.sequence,
    kind: manifest.kind,
    takenAtMs: manifest.takenAtMs,
    digest: snapshotDigest(manifest),
    parentId: manifest.parent && idToText(manifest.parent.id),
    parentDigest: manifest.parent?.digest,
    criuRunId: manifest.criuRunId,
    labels: manifest.labels,
    logicalBytes: sizes.reduce((sum, size) => sum + size, 0),
    logicalPages: sizes.reduce((sum, size) => sum + pagesOf(size), 0),
    newPages: manifest.newPages,
    storedBytes,
    manifestDigest,
    revision: manifest.revision,
  };
}

/** CRIU's are 36 characters. */
function checkRunId(images: ImageDirectory): void {
  if (Buffer.byteLength(images.criuRunId ?? '') <= MAX_TEXT_BYTES) return;
  const message = `CRIU run id of more than ${MAX_TEXT_BYTES} bytes`;
  throw new StoreError('INVALID_IMAGE', message, { file: `${images.path}/inventory.img` });
}

/** The snapshot that this one continues: the one asked for, or the newest of the timeline. */
function findParent(
  context: StoreContext,
  timeline: string,
  asked: CaptureSource['parent'],
): SnapshotRow | undefined {
  if (asked === undefined) return context.catalog.snapshots.newest(timeline);
  const reference = typeof asked === 'string' ? asked : asked.id;
  const parent = resolveSnapshot(context.catalog, reference);
  if (!parent.removed) return parent;
  throw new StoreError('NOT_FOUND', 'the parent has been removed', { snapshot: parent.id });
}

function takenAtOf(takenAt: Date | undefined): number {
  if (takenAt === undefined) return now();
  const milliseconds = takenAt instanceof Date ? takenAt.getTime() : Number.NaN;
  if (Number.isNaN(milliseconds)) throw new TypeError('takenAt is not a valid Date');
  return milliseconds;
}

/** Labels as pairs, keys ascending by their bytes: one set of labels has one form. */
function canonicalLabels(labels: Readonly<Record<string, string>>): [string, string][] {
  const pairs = Object.entries(labels);
  if (pairs.length > MAX_LABELS) throw new RangeError(`more than ${MAX_LABELS} labels`);
  for (const [key, value] of pairs) {
    if (typeof value !== 'string') throw new TypeError(`label '${key}' is not a string`);
    const longest = Math.max(Buffer.byteLength(key), Buffer.byteLength(value));
    if (key === '' || longest > MAX_TEXT_BYTES) {
      throw new RangeError(`label '${key}' is empty or longer than ${MAX_TEXT_BYTES} bytes`);
    }
    if (!key.isWellFormed() || !value.isWellFormed()) {
      throw new TypeError(`label '${key}' is not well-formed text`);
    }
  }
  return pairs.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}
